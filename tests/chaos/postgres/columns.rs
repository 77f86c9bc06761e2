//! Somebody alters the table while it is written to.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, await_waiting, none_rejected, restarts};
use crate::harness::node::Node;
use crate::harness::world::Sql;

/// Rows whose columns do not say what their id says they must.
const ALTERED: &str = "SELECT count(*) FROM market.trades \
                       WHERE part <> id % 4 OR seq <> div(id, 4) OR p <> id % 1000 + 1.25 OR q <> 1.5";

/// What the writer needs is gone: it waits and names it, and goes on once it is back.
pub fn dropped(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("dropped");
    stage.await_progress(FIRST);
    let sql = stage.world.sql();
    for _ in 0..trial.times(1, 5) {
        sql.batch("ALTER TABLE market.trades DROP COLUMN q");
        trial.fault();
        await_waiting(&node, &["market.trades", "`q`"]);
        sql.batch("ALTER TABLE market.trades ADD COLUMN q numeric(18,8)");
        trial.recovered(stage.time_to_progress());
    }
    finish(&node, &sql);
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
}

/// Columns nobody here writes: everything goes on, and what is said of them holds.
pub fn added(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("added");
    stage.await_progress(FIRST);
    let sql = stage.world.sql();
    for statement in [
        "ALTER TABLE market.trades ADD COLUMN note text",
        "ALTER TABLE market.trades ADD COLUMN venue text NOT NULL DEFAULT 'here'",
        "ALTER TABLE market.trades ADD COLUMN seen timestamptz NOT NULL DEFAULT clock_timestamp()",
    ] {
        sql.batch(statement);
        trial.fault();
        trial.recovered(stage.time_to_progress());
    }
    // Values without a field or default: somebody must decide, and does by giving it one.
    sql.batch(
        "ALTER TABLE market.trades ADD COLUMN desk text; UPDATE market.trades SET desk = 'a'; \
               ALTER TABLE market.trades ALTER COLUMN desk SET NOT NULL",
    );
    trial.fault();
    await_waiting(&node, &["market.trades", "`desk`"]);
    sql.batch("ALTER TABLE market.trades ALTER COLUMN desk SET DEFAULT 'b'");
    trial.recovered(stage.time_to_progress());
    finish(&node, &sql);
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades WHERE venue <> 'here'"), 0);
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
}

/// A type that holds the values is written anew at once; one that does not is named and waited for. Above all nothing is
/// written in the old type's bytes, which some new types would take for another value without a word.
pub fn retyped(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("retyped");
    stage.await_progress(FIRST);
    let sql = stage.world.sql();
    for _ in 0..trial.times(1, 5) {
        retype(trial, &stage, &sql, "seq", "numeric");
        retype(trial, &stage, &sql, "seq", "bigint");
        for (column, other, right) in [("part", "float8", "bigint"), ("p", "text", "numeric(18,8)")] {
            alter(&sql, column, other);
            trial.fault();
            await_waiting(&node, &["market.trades", &format!("`{column}`")]);
            retype(trial, &stage, &sql, column, right);
        }
    }
    finish(&node, &sql);
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
}

fn retype(trial: &mut Trial<'_>, stage: &Stage, sql: &Sql, column: &str, to: &str) {
    alter(sql, column, to);
    trial.fault();
    trial.recovered(stage.time_to_progress());
}

fn alter(sql: &Sql, column: &str, to: &str) {
    let alter = "ALTER TABLE market.trades ALTER COLUMN %1$I TYPE %2$s USING %1$I::%2$s";
    sql.batch(&sql.format(alter, &[column, to]));
}

/// Nobody was restarted for it, and what is written is right.
fn finish(node: &Node, sql: &Sql) {
    assert_eq!(restarts(node), 0, "an altered table burns no restart");
    assert_eq!(sql.integer(ALTERED), 0, "rows hold what was sent");
}
