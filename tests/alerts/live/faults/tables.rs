//! A table that has grown: what TimescaleDB says of it is what was made of its catalogue and of its files.

use super::Play;
use crate::harness::topologies::TRADES;
use crate::harness::world::Sql;
use std::time::Duration;

/// Chunks that there are none of, beside the table's own.
const MANY: &str = "INSERT INTO _timescaledb_catalog.chunk (hypertable_id, schema_name, table_name, creation_time) \
    SELECT h.id, 'nowhere', 'chunk_' || n, now() FROM _timescaledb_catalog.hypertable AS h, generate_series(1, 10001) AS n \
    WHERE h.schema_name = 'market' AND h.table_name = 'trades'";
const FEW: &str = "DELETE FROM _timescaledb_catalog.chunk WHERE schema_name = 'nowhere'";

/// A chunk of long ago, which nobody writes to.
const ASIDE: &str = "INSERT INTO market.trades (ts, id, k, p, q) VALUES ('2001-01-01', 0, 'K00', 1, 1)";
/// Where its file is, from the server's folder.
const FILE: &str = "SELECT pg_relation_filepath(c) FROM show_chunks('market.trades', older_than => '2002-01-01'::timestamptz) AS c";
/// Segments of a gigabyte each, all hole.
const SEGMENTS: u32 = 12;

pub fn grown(play: &Play<'_>) {
    let sql = play.stage.sql();
    sql.batch(ASIDE);
    let (inject, end) = (
        || {
            sql.batch(MANY);
            grow(&sql);
        },
        || {
            sql.batch(FEW);
            sql.batch("SELECT drop_chunks('market.trades', older_than => '2002-01-01'::timestamptz)");
        },
    );
    let fault = "a table grows by 12 GB and ten thousand chunks";
    play.strikes(fault, &["AqueductChunksMany", "AqueductTableGrowsFast"], inject, end);
}

fn grow(sql: &Sql) {
    let file: String = sql.rows(FILE, &[])[0].get(0);
    let segments = (1..SEGMENTS).map(|number| format!("{file}.{number}"));
    let files: Vec<String> = std::iter::once(file.clone()).chain(segments).collect();
    // It runs in the server's folder, as the server's user.
    let program = format!("cat > /dev/null; truncate -s 1G {}", files.join(" "));
    sql.batch(&sql.format("COPY (SELECT 1) TO PROGRAM %L", &[&program]));
}

/// Trades whose table has a retention, and the schedule that carries it out.
pub fn kept_in_order() -> String {
    let history = "interval: 30ms }";
    assert!(TRADES.contains(history));
    let kept = TRADES.replace(history, "interval: 30ms }, retention: 90d");
    format!("{kept}  keeper: {{ kind: schedule, every: 2s, run: retention }}\n")
}

/// Whose lock it is.
const KEEPER: &str = "SELECT pg_advisory_lock(hashtextextended(concat_ws(' ', 'aqueduct schedule', topology, schedule), 0)) \
    FROM (SELECT DISTINCT topology, schedule FROM aqueduct.schedule_runs) AS known";
/// Half an hour is not waited for: the runs there were become older.
const LONG_AGO: &str = "UPDATE aqueduct.schedule_runs SET started_at = started_at - interval '1 hour'";

/// Somebody who does nothing is at work for the schedule.
pub fn unkept(play: &Play<'_>) {
    let stage = play.stage;
    let stranger = stage.sql();
    let inject = || {
        std::thread::scope(|scope| {
            scope.spawn(|| stranger.batch(KEEPER));
            std::thread::sleep(Duration::from_secs(1));
            // The node's session ends, and the lock goes to who waits for it.
            stage.database.cut();
        });
        stage.sql().batch(LONG_AGO);
    };
    let end = || stranger.batch("SELECT pg_advisory_unlock_all()");
    play.strikes_all("the one at work for a schedule hangs", &["AqueductScheduleLate"], inject, end);
}
