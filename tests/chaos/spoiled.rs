//! The oracle itself is put to the test: what a scenario has left behind is spoiled in each way, and must be found.

use super::oracle::Findings;
use super::scenario::Form;
use super::stage::{CHAOS, Stage, connect};
use super::trial::{Stacks, Trial};
use crate::harness::world::World;
use bb8_redis::redis::Commands;

fn judged(stage: &Stage) -> Findings {
    let mut stacks = Stacks::new();
    let mut trial = Trial::new("spoiled", 0, Form::Short, &mut stacks);
    stage.judge_log(&mut trial, Vec::new());
    trial.findings.take().expect("findings")
}

#[test]
fn a_spoiled_table_or_cache_is_found() {
    let stage = Stage::on(World::shared(), "spoiled", CHAOS);
    let load = stage.load(5_000);
    let node = stage.node("honest");
    stage.await_progress(1_000);
    let mut stacks = Stacks::new();
    let mut trial = Trial::new("spoiled", 0, Form::Short, &mut stacks);
    stage.judge(&mut trial, load, vec![node]);
    let clean = trial.findings.take().expect("findings");
    assert!(clean.is_clean(), "{clean:?}");
    assert!(clean.records >= 1_000);

    let sql = stage.world.sql();
    sql.batch("CREATE TABLE kept AS SELECT * FROM market.trades WHERE id = 500");
    sql.batch("DELETE FROM market.trades WHERE id = 500");
    let found = judged(&stage);
    assert_eq!((found.lost, found.doubled), (1, 0), "a lost row: {found:?}");
    sql.batch("INSERT INTO market.trades SELECT * FROM kept; INSERT INTO market.trades SELECT * FROM kept");
    let found = judged(&stage);
    assert_eq!((found.lost, found.doubled), (0, 1), "a doubled row: {found:?}");
    sql.batch("DELETE FROM market.trades WHERE id = 500; INSERT INTO market.trades SELECT * FROM kept");
    assert!(judged(&stage).is_clean(), "all is mended");

    let key = format!("{}K07", stage.world.prefix);
    let mut redis = connect(&stage.redis_url);
    let newest: i64 = redis.hget(&key, "id").expect("a hash");
    let _: () = redis.hset(&key, "id", 7).expect("lower the key");
    let found = judged(&stage);
    assert!(found.wrong.iter().any(|wrong| wrong.starts_with("1 keys are stale")), "a stale key: {found:?}");
    let _: () = redis.hset(&key, "id", newest).expect("mend the key");

    sql.batch(
        "UPDATE aqueduct.offsets SET next_offset = next_offset + 1 WHERE sink = 'history' AND partition = 0",
    );
    let found = judged(&stage);
    assert!(found.wrong.iter().any(|wrong| wrong.starts_with("partition 0: next_offset")), "{found:?}");
}
