//! The range of an export as spans that no midnight and no edge of a chunk crosses, with the rows expected in each.
//!
//! Invariant: the spans tile the range. What lies between two chunks is a span too: rows may come there yet.

use super::limits::{DAY_US, SPANS_MAX};
use super::table::Shape;
use crate::timescale::{Connection, Identifier, sql};
use aqueduct_engine::Error;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
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
    SELECT (EXTRACT(epoch FROM c.range_start) * 1000000)::int8, (EXTRACT(epoch FROM c.range_end) * 1000000)::int8 \
    FROM timescaledb_information.chunks AS c \
    WHERE c.hypertable_schema = $1 AND c.hypertable_name = $2 AND c.range_end > $3 AND c.range_start < $4 \
    ORDER BY c.range_start LIMIT $5";

/// Of the table's rows in `range`.
pub async fn spans(connection: &Connection, shape: &Shape, range: Range) -> Result<Vec<Span>, Error> {
    let chunks = if shape.hypertable { Some(chunks(connection, shape, range).await?) } else { None };
    let edges: Vec<i64> = chunks.iter().flatten().flat_map(|chunk| [chunk.from_us, chunk.to_us]).collect();
    let column = Identifier::new(&shape.time_column)?;
    let statement = sql::explain_between(&shape.table, &column);
    let mut spans = Vec::new();
    for span in tiles(range, &edges) {
        let empty = chunks.as_ref().is_some_and(|chunks| !chunks.iter().any(|chunk| overlap(*chunk, span)));
        let rows = if empty { 0 } else { estimated(connection, &statement, span).await? };
        spans.push(Span { range: span, rows });
    }
    Ok(spans)
}

async fn chunks(connection: &Connection, shape: &Shape, range: Range) -> Result<Vec<Range>, Error> {
    let (from, to) = (time(range.from_us), time(range.to_us));
    let most = SPANS_MAX as i64;
    let params: [&(dyn ToSql + Sync); 5] =
        [&shape.table.schema.as_str(), &shape.table.table.as_str(), &from, &to, &most];
    let rows = connection.rows("list the chunks", CHUNKS, &params).await?;
    Ok(rows.iter().map(|row| Range { from_us: row.get(0), to_us: row.get(1) }).collect())
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
pub(super) fn time(micros: i64) -> SystemTime {
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
    fn too_many_chunks_are_not_asked_for_one_by_one() {
        let edges: Vec<i64> = (0..=SPANS_MAX as i64).collect();
        assert_eq!(tiles(Range { from_us: 0, to_us: DAY_US }, &edges).len(), 1);
    }
}
