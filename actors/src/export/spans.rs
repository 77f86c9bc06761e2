//! The range of an export as spans that no midnight and no edge of a chunk crosses, with the rows expected in each.
//!
//! Invariant: the spans tile the range. What lies between two chunks is a span too: rows may come there yet.

use super::limits::{DAY_US, ROW_BYTES, SPANS_MAX};
use super::table::Shape;
use crate::timescale::{Connection, Identifier, sql};
use aqueduct_engine::Error;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Microseconds since 1970 UTC, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from_us: i64,
    /// The one after the last.
    pub to_us: i64,
}

/// A span and the rows expected in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub range: Range,
    /// As the planner of the database estimates it.
    pub rows: i64,
}

const CHUNKS: &str = "\
    SELECT (EXTRACT(epoch FROM c.range_start) * 1000000)::int8, (EXTRACT(epoch FROM c.range_end) * 1000000)::int8, \
           COALESCE(pg_catalog.pg_relation_size(r.oid), 0) \
    FROM timescaledb_information.chunks AS c \
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = c.chunk_schema \
    LEFT JOIN pg_catalog.pg_class AS r ON r.relnamespace = n.oid AND r.relname = c.chunk_name \
    WHERE c.hypertable_schema = $1 AND c.hypertable_name = $2 AND c.range_end > $3 AND c.range_start < $4 \
    ORDER BY c.range_start LIMIT $5";

/// A chunk and the bytes of its rows.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    range: Range,
    bytes: i64,
}

/// Of the table's rows in `range`.
pub async fn spans(connection: &Connection, shape: &Shape, range: Range) -> Result<Vec<Span>, Error> {
    let chunks = if shape.hypertable { Some(chunks(connection, shape, range).await?) } else { None };
    let edges: Vec<i64> =
        chunks.iter().flatten().flat_map(|chunk| [chunk.range.from_us, chunk.range.to_us]).collect();
    let column = Identifier::new(&shape.time_column)?;
    let statement = sql::explain_between(&shape.table, &column);
    let mut spans = Vec::new();
    for span in tiles(range, &edges) {
        // A planner without statistics takes any range for a small one, so a chunk's size has a say too.
        let sized = chunks.as_ref().map(|chunks| sized_rows(chunks, span));
        let rows = match sized {
            Some(None) => 0,
            sized => estimated(connection, &statement, span).await?.max(sized.flatten().unwrap_or(0)),
        };
        spans.push(Span { range: span, rows });
    }
    Ok(spans)
}

async fn chunks(connection: &Connection, shape: &Shape, range: Range) -> Result<Vec<Chunk>, Error> {
    let (from, to) = (time(range.from_us), time(range.to_us));
    let most = SPANS_MAX as i64;
    let params: [&(dyn ToSql + Sync); 5] =
        [&shape.table.schema.as_str(), &shape.table.table.as_str(), &from, &to, &most];
    let rows = connection.rows("list the chunks", CHUNKS, &params).await?;
    let chunk =
        |row: &Row| Chunk { range: Range { from_us: row.get(0), to_us: row.get(1) }, bytes: row.get(2) };
    Ok(rows.iter().map(chunk).collect())
}

/// About how many rows the chunks have in `span`, by their sizes; none where no chunk is.
fn sized_rows(chunks: &[Chunk], span: Range) -> Option<i64> {
    let bytes: Vec<i128> = chunks
        .iter()
        .filter(|chunk| overlap(chunk.range, span))
        .map(|Chunk { range, bytes }| {
            let shared = range.to_us.min(span.to_us) - range.from_us.max(span.from_us);
            i128::from(*bytes) * i128::from(shared) / i128::from(range.to_us - range.from_us).max(1)
        })
        .collect();
    let rows = bytes.iter().sum::<i128>() / i128::from(ROW_BYTES);
    (!bytes.is_empty()).then(|| i64::try_from(rows).unwrap_or(i64::MAX))
}

async fn estimated(connection: &Connection, statement: &str, span: Range) -> Result<i64, Error> {
    let (from, to) = (time(span.from_us), time(span.to_us));
    let rows = connection.rows("estimate the rows", statement, &[&from, &to]).await?;
    let plan: Option<Value> = rows.first().and_then(|row| row.try_get(0).ok());
    let rows = plan.as_ref().and_then(|plan| plan.pointer("/0/Plan/Plan Rows")).and_then(Value::as_i64);
    Ok(rows.unwrap_or(0).max(0))
}

/// The range cut at every midnight and every edge; at midnights alone where that would be too many.
fn tiles(range: Range, edges: &[i64]) -> Vec<Range> {
    let first_midnight = (range.from_us.div_euclid(DAY_US) + 1) * DAY_US;
    let midnights = (0..).map(|day| first_midnight + day * DAY_US).take_while(|cut| *cut < range.to_us);
    let mut cuts: BTreeSet<i64> = midnights.chain([range.from_us, range.to_us]).collect();
    if cuts.len() + edges.len() <= SPANS_MAX {
        cuts.extend(edges.iter().filter(|edge| range.from_us < **edge && **edge < range.to_us));
    }
    let cuts: Vec<i64> = cuts.into_iter().collect();
    cuts.windows(2).map(|pair| Range { from_us: pair[0], to_us: pair[1] }).collect()
}

fn overlap(one: Range, other: Range) -> bool {
    one.from_us < other.to_us && other.from_us < one.to_us
}

/// As the driver takes it.
pub(crate) fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_tile_the_range_and_no_midnight_and_no_edge_lies_within_one() {
        let range = Range { from_us: -5, to_us: DAY_US + 10 };
        let tiled = tiles(range, &[-100, 7, DAY_US, DAY_US + 10, DAY_US + 100]);
        let edges: Vec<i64> = tiled.iter().map(|tile| tile.from_us).collect();
        assert_eq!(edges, [-5, 0, 7, DAY_US]);
        assert_eq!(tiled.last().map(|tile| tile.to_us), Some(range.to_us));
        assert!(tiled.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
    }

    #[test]
    fn a_chunk_that_nobody_has_analyzed_counts_by_its_size() {
        let chunk = Chunk { range: Range { from_us: 0, to_us: 100 }, bytes: 4_000 * ROW_BYTES };
        let rows = |from_us, to_us| sized_rows(&[chunk], Range { from_us, to_us });
        assert_eq!((rows(0, 100), rows(50, 75), rows(-100, 50)), (Some(4_000), Some(1_000), Some(2_000)));
        assert_eq!(rows(100, 200), None, "where no chunk is there are no rows");
    }

    #[test]
    fn too_many_chunks_are_not_asked_for_one_by_one() {
        let edges: Vec<i64> = (0..=SPANS_MAX as i64).collect();
        assert_eq!(tiles(Range { from_us: 0, to_us: DAY_US }, &edges).len(), 1);
    }
}
