//! One actor that can hardly work, or not at all, beside others that can.

use super::super::kit::PLAIN;
use super::super::stage::{BOUND, CHAOS, Stage};
use super::super::trial::Trial;
use super::super::wire::Wire;
use crate::harness::wait;
use std::time::{Duration, Instant};

/// What each message to the database waits for: a transaction of five takes a hundred times what it takes without.
const SLOWNESS: Duration = Duration::from_millis(100);

/// The database takes a hundred times as long. Everybody before it waits, and waiting costs no processor.
pub fn slow_sink(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = Wire::to(stage.world.database_url());
    let url = wire.url(stage.world.database_url());
    let load = stage.load(10_000);
    let node = stage.node_with("slow", &[], &[("TIMESCALE_URL", &url)]);
    stage.await_progress(10_000);
    for _ in 0..trial.times(1, 10) {
        wire.delay(SLOWNESS);
        trial.fault();
        // Until what is read ahead is full; from then on everybody waits for the database.
        wait::until("the sink to fall behind", BOUND, || {
            Some(node.metric("aqueduct_lag_records")?).filter(|lag| *lag > 20_000.0)
        });
        let (before, began) = (node.processor_time(), Instant::now());
        std::thread::sleep(trial.seconds(4, 30));
        let (busy, passed) = (node.processor_time() - before, began.elapsed());
        trial.note(format!(
            "{:.0} % of a core while the sink was slow",
            100.0 * busy.as_secs_f64() / passed.as_secs_f64()
        ));
        assert!(busy < passed / 3, "{busy:?} of processor in {passed:?}: somebody spins");
        wire.delay(Duration::ZERO);
        trial.recovered(stage.time_to_progress());
    }
    stage.judge(trial, load, vec![node]);
}

/// Another node takes partitions that are left alone because the sink is slow, and leaves: given back, they are read on.
pub fn partitions_taken_while_held_up(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = Wire::to(stage.world.database_url());
    let url = wire.url(stage.world.database_url());
    let load = stage.load(10_000);
    // Nobody shall be helped by a new client.
    let patient = ["--stalled-after", "1h"];
    let node = stage.node_with("slow", &patient, &[("TIMESCALE_URL", &url)]);
    stage.await_progress(10_000);
    for _ in 0..trial.times(1, 10) {
        wire.delay(SLOWNESS);
        wait::until("the sink to fall behind", BOUND, || {
            Some(node.metric("aqueduct_lag_records")?).filter(|lag| *lag > 20_000.0)
        });
        let other = stage.node("other");
        trial.fault();
        wait::until("the other node to read", BOUND, || {
            other.get("/api/ledger").filter(|(status, body)| *status == 200 && body.contains("\"partition\""))
        });
        other.terminate();
        assert_eq!(other.exit_code(BOUND), 0);
        wire.delay(Duration::ZERO);
        let sent = i64::try_from(load.sent()).expect("a count");
        trial.recovered(stage.await_progress(sent));
    }
    stage.judge(trial, load, vec![node]);
}

/// A best-effort writer without a table never works; the others do not feel it. Given its table, it catches up.
pub fn dead_branch_beside_healthy_ones(trial: &mut Trial<'_>) {
    let text = format!(
        "{CHAOS}  dead: {{ kind: timescale_writer, from: trades, table: market.nowhere, policy: best_effort }}\n"
    );
    let stage = Stage::set_as(trial, PLAIN, &text);
    let sql = stage.world.sql();
    sql.batch("ALTER TABLE market.nowhere RENAME TO elsewhere");
    trial.fault();
    let load = stage.load(2_000);
    let node = stage.node("beside");
    stage.await_progress(1_000);
    let why = wait::until("the dead branch to say why", BOUND, || {
        let actors: serde_json::Value = serde_json::from_str(&node.get("/api/actors")?.1).ok()?;
        let dead = actors.as_array()?.iter().find(|actor| actor["name"] == "dead")?.clone();
        dead["reason"].as_str().filter(|_| dead["state"] == "waiting").map(str::to_owned)
    });
    assert!(why.contains("nowhere"), "{why}");
    for _ in 0..trial.times(10, 100) {
        let wait = stage.time_to_progress();
        assert!(wait < Duration::from_secs(3), "rows waited {wait:?} for a branch that is dead");
        std::thread::sleep(Duration::from_millis(200));
    }
    sql.batch("ALTER TABLE market.elsewhere RENAME TO nowhere");
    let began = Instant::now();
    wait::until("rows of the branch that was dead", BOUND, || {
        (sql.integer("SELECT count(*) FROM market.nowhere") > 0).then_some(())
    });
    trial.recovered(began.elapsed());
    stage.judge(trial, load, vec![node]);
}
