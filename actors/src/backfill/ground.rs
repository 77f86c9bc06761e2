//! The table that is to be filled, as it is: its time, its chunks, and why rows may have no place in it.

use crate::export::spans::{Range, time};
use crate::export::table::{Shape, look};
use crate::timescale::{Connection, TableName};
use aqueduct_engine::{Class, Error};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Chunks of a range beyond which they are not told apart: it is filled as one.
const CHUNKS_MAX: i64 = 1_000;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The table.
    pub shape: Shape,
    /// Where one chunk ends and the next begins, within the range, ascending.
    pub edges: Vec<i64>,
    /// Where its oldest chunk begins; `None`: it has none.
    pub oldest_us: Option<i64>,
    /// Chunks of the range that are compressed.
    pub compressed: i64,
    /// How old rows may get before the database itself drops them.
    pub drop_after_us: Option<i64>,
}

const CHUNKS: &str = "\
    SELECT (EXTRACT(epoch FROM c.range_start) * 1000000)::int8, c.is_compressed \
    FROM timescaledb_information.chunks AS c \
    WHERE c.hypertable_schema = $1 AND c.hypertable_name = $2 AND c.range_end > $3 AND c.range_start < $4 \
    ORDER BY c.range_start LIMIT $5";

const OLDEST: &str = "\
    SELECT (EXTRACT(epoch FROM min(c.range_start)) * 1000000)::int8 FROM timescaledb_information.chunks AS c \
    WHERE c.hypertable_schema = $1 AND c.hypertable_name = $2";

const POLICY: &str = "\
    SELECT (EXTRACT(epoch FROM (j.config ->> 'drop_after')::interval) * 1000000)::int8 \
    FROM timescaledb_information.jobs AS j \
    WHERE j.proc_name = 'policy_retention' AND j.hypertable_schema = $1 AND j.hypertable_name = $2 LIMIT 1";

impl Ground {
    /// Looks at `table`, whose rows have their time in `time_column`, else in that of the hypertable, else in `event_time`.
    pub async fn look(
        connection: &Connection,
        table: &TableName,
        (time_column, event_time): (Option<&str>, Option<&str>),
        range: Range,
    ) -> Result<Self, Error> {
        let shape = look(connection, table, time_column, event_time).await?;
        let mut ground =
            Self { shape, edges: Vec::new(), oldest_us: None, compressed: 0, drop_after_us: None };
        if !ground.shape.hypertable {
            return Ok(ground);
        }
        let doing = format!("look at the chunks of `{}`", table.plain());
        let (schema, name) = (table.schema.as_str(), table.table.as_str());
        let (from, to) = (time(range.from_us), time(range.to_us));
        let params: [&(dyn ToSql + Sync); 5] = [&schema, &name, &from, &to, &CHUNKS_MAX];
        let chunks = connection.rows(&doing, CHUNKS, &params).await?;
        let begins = |row: &Row| row.get::<_, i64>(0);
        if chunks.len() < CHUNKS_MAX as usize {
            ground.edges = chunks.iter().map(begins).filter(|edge| *edge > range.from_us).collect();
        }
        ground.compressed = chunks.iter().filter(|row| row.get(1)).count() as i64;
        ground.oldest_us = connection.row(&doing, OLDEST, &params[..2]).await?.get(0);
        let policy = connection.rows(&doing, POLICY, &params[..2]).await?;
        ground.drop_after_us = policy.first().and_then(|row| row.get(0));
        Ok(ground)
    }

    /// Refuses a range in which rows would not stay, or not arrive. `into_dropped`: somebody wants chunks anew that are gone.
    pub fn refuse(&self, range: Range, now_us: i64, into_dropped: bool) -> Result<(), Error> {
        let table = self.shape.table.plain();
        if self.compressed > 0 {
            return refused(format!(
                "{} of `{table}` in the range are compressed, and filling those may lose rows: decompress them first \
                 (SELECT decompress_chunk(c) FROM show_chunks('{table}', older_than => .., newer_than => ..) AS c)",
                self.compressed
            ));
        }
        if into_dropped {
            return Ok(());
        }
        let kept_us = self.drop_after_us.map(|after| now_us.saturating_sub(after));
        if let Some(kept_us) = kept_us.filter(|kept_us| range.from_us < *kept_us) {
            return refused(format!(
                "`{table}` keeps rows from {} on (its retention policy), and what is filled before that would be dropped \
                 again: say a later --from, lift the policy first, or say --into-dropped",
                shown(kept_us)
            ));
        }
        match self.oldest_us.filter(|oldest| range.from_us < *oldest) {
            Some(oldest) => refused(format!(
                "`{table}` has no chunk before {}: what was there was dropped by retention, or nothing ever was. What is \
                 filled there may be dropped again by the next retention: say --from {} to fill what has chunks, or lift the \
                 retention (a longer `retention:`, a legal hold) and say --into-dropped",
                shown(oldest),
                shown(oldest)
            )),
            None => Ok(()),
        }
    }
}

fn refused<T>(message: String) -> Result<T, Error> {
    Err(Error::new(Class::Config, message))
}

/// As it is written on a command line.
pub(super) fn shown(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        let shape = Shape {
            table: TableName::parse("m.t").expect("a name"),
            oid: 1,
            columns: Vec::new(),
            time_column: "ts".into(),
            time_zoned: true,
            hypertable: true,
        };
        Ground { shape, edges: Vec::new(), oldest_us: Some(1_000), compressed: 0, drop_after_us: None }
    }

    #[test]
    fn a_range_without_chunks_is_refused_with_the_way_to_go_on() {
        let range = |from_us| Range { from_us, to_us: 5_000 };
        let refuse = |ground: &Ground, from| {
            ground.refuse(range(from), 10_000, false).err().map(|error| error.message.into_owned())
        };
        assert_eq!(refuse(&ground(), 1_000), None);
        let why = refuse(&ground(), 999).expect("refused");
        assert!(why.contains("no chunk before 1970-01-01T00:00:00.001Z"), "{why}");
        assert!(why.contains("--from 1970-01-01T00:00:00.001Z") && why.contains("--into-dropped"), "{why}");
        assert!(ground().refuse(range(0), 10_000, true).is_ok());
        assert_eq!(refuse(&Ground { oldest_us: None, ..ground() }, 0), None, "it was never filled");
        let kept = Ground { drop_after_us: Some(8_000), ..ground() };
        assert!(refuse(&kept, 1_500).expect("refused").contains("its retention policy"));
        assert_eq!(refuse(&kept, 2_000), None);
        let compressed = Ground { compressed: 2, ..ground() };
        assert!(refuse(&compressed, 2_000).expect("refused").contains("decompress_chunk"));
    }
}
