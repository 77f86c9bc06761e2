//! Actors that are restarted, stopped, kept out, or crash.

use super::Play;
use crate::harness::node::Node;
use crate::harness::topologies::TRADES;
use crate::harness::wait;
use std::time::Duration;

/// Somebody restarts an actor again and again; somebody stops one.
pub fn orders(play: &Play<'_>) {
    const RESTARTS_MAX: usize = 20;
    let stage = play.stage;
    let alerts = ["AqueductActorRestarted", "AqueductActorCrashLooping"];
    let restart = || {
        for _ in 0..RESTARTS_MAX {
            stage.order("/api/actors/trades/restart");
            std::thread::sleep(Duration::from_millis(700));
            if play.fires(alerts[1]) {
                break;
            }
        }
    };
    let stop = || stage.order("/api/actors/cache/stop");
    let start = || stage.order("/api/actors/cache/start");
    std::thread::scope(|scope| {
        scope.spawn(|| play.strikes("an actor is restarted again and again", &alerts, restart, || {}));
        scope.spawn(|| play.strikes("an operator stops an actor", &["AqueductActorStopped"], stop, start));
    });
}

/// How long a writer waits for its next start, in the time of the rules: longer than the alert is patient.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// Two writers: one that waits long after a crash, and one whose supervisor gives up soon and is itself started again late.
pub fn patience(factor: u32) -> String {
    let pause = (PAUSE / factor).as_secs();
    let supervisors = format!(
        "supervisors:
  patient: {{ intensity: 20, period: 1d, backoff: {{ initial: {pause}s, max: {pause}s, jitter: 0 }}, children: [history] }}
  strict:  {{ intensity: 1, period: 1m, backoff: {{ initial: 100ms, max: 100ms, jitter: 0 }}, children: [copies] }}
  above:   {{ intensity: 20, period: 1d, backoff: {{ initial: 20s, max: 20s, jitter: 0 }}, children: [strict] }}
actors:
"
    );
    let copies = "  copies: { kind: timescale_writer, from: trades, table: market.copies, flush: { rows: 4000, interval: 30ms } }\n";
    format!("{}{copies}", TRADES.replace("actors:\n", &supervisors))
}

/// A state that PostgreSQL does not know, so that nobody can say what it means: the writer crashes.
const FAIL: &str = "CREATE FUNCTION market.fail() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN RAISE EXCEPTION 'a trigger of somebody''s' USING ERRCODE = 'QA001'; END $$";

/// Somebody's trigger fails on each of two tables, in a way that no writer knows what to do about.
pub fn crashes(play: &Play<'_>) {
    let sql = play.stage.sql();
    sql.batch(FAIL);
    let breaks = |table: &'static str, fault: &str, alert: &str| {
        let sql = play.stage.sql();
        let inject = || {
            let trigger =
                "CREATE TRIGGER fail BEFORE INSERT ON market.%I FOR EACH ROW EXECUTE FUNCTION market.fail()";
            sql.batch(&sql.format(trigger, &[table]));
        };
        let end = || sql.batch(&sql.format("DROP TRIGGER fail ON market.%I", &[table]));
        play.strikes(fault, &[alert], inject, end);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| breaks("trades", "a trigger fails in an unknown way", "AqueductActorBackingOff"));
        scope.spawn(|| {
            let fault = "a trigger fails in an unknown way, under a strict supervisor";
            breaks("copies", fault, "AqueductActorFailed");
        });
    });
}

/// A node stands still and loses its connections, and with them the lease of its name; another takes that.
pub fn twin(play: &Play<'_>) {
    let stage = play.stage;
    stage.with_node(|node| node.stop());
    stage.database.cut();
    let mut second = Some(stage.launch(stage.name, &[]));
    let reads = |second: &Node| second.metric("aqueduct_records_total").filter(|records| *records > 0.0);
    wait::until("the second to read", Duration::from_secs(60), || second.as_ref().and_then(reads));
    let resume = || stage.with_node(|node| node.resume());
    let end = || {
        drop(second.take());
        stage.order("/api/actors/ticks/restart");
    };
    play.strikes("two nodes have one name", &["AqueductActorFenced"], resume, end);
}
