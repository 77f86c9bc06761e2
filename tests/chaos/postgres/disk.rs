//! The disk the table lies on is full.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, await_waiting, none_rejected, restarts};
use crate::harness::world::Sql;
use aqueduct_stack::SMALL_DISK;

/// More than the small disk holds.
const BALLAST_ROWS: u32 = 200_000;

/// Nothing is rejected for it: the writer pauses, says why, and goes on as soon as there is room.
pub fn full(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let sql = stage.world.sql();
    // One that an earlier run has left.
    sql.batch("DROP TABLESPACE IF EXISTS small");
    sql.batch(&sql.format("CREATE TABLESPACE small LOCATION %L", &[SMALL_DISK]));
    sql.batch("ALTER TABLE market.trades SET TABLESPACE small");
    let load = stage.load(RATE);
    let node = stage.node("full");
    stage.await_progress(FIRST);
    for _ in 0..trial.times(1, 10) {
        // The server leaves what it could write of it.
        let filled = sql.try_batch(&ballast(&sql, BALLAST_ROWS));
        assert!(filled.is_err(), "the ballast is smaller than the disk");
        trial.fault();
        await_waiting(&node, &["53100", "disk is full"]);
        std::thread::sleep(trial.seconds(1, 10));
        assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200));
        sql.batch(&ballast(&sql, 0));
        trial.recovered(stage.time_to_progress());
    }
    assert_eq!(restarts(&node), 0, "a full disk burns no restart");
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
    sql.batch("DROP TABLE market.trades");
    sql.batch("DROP TABLESPACE small");
}

/// A file of so many kilobytes beside the table's.
fn ballast(sql: &Sql, rows: u32) -> String {
    const FILL: &str = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, %1$s)) TO %2$L";
    sql.format(FILL, &[&rows.to_string(), &format!("{SMALL_DISK}/ballast")])
}
