//! The scenes: which fault, which alerts, what ends it.

use super::report::{Line, Report};
use super::setting::Setting;
use super::stage::{RATE, Stage};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::{Sql, World};
use aqueduct_stack::{Part, SMALL_DISK};
use std::time::{Duration, Instant};

/// Beyond the stated time: the engine's own telling (5 s), Prometheus' asking and judging, and a machine that is busy.
const SLACK: Duration = Duration::from_secs(20);
/// How long an alert may take to clear, beyond the longest window of its rule.
const CLEARS_WITHIN: Duration = Duration::from_secs(60);
/// The longest window of a rule whose alert is injected.
const WINDOW_MAX: Duration = Duration::from_secs(15 * 60);
/// Long enough for the patience of any rule about age.
const OLD: Duration = Duration::from_secs(900);

pub struct Scene {
    pub name: &'static str,

    /// Before its node starts.
    pub prepare: fn(&World),
    pub play: fn(&Play<'_>),
}

const fn scene(name: &'static str, play: fn(&Play<'_>)) -> Scene {
    Scene { name, prepare: |_| {}, play }
}

pub const SCENES: &[Scene] = &[
    scene("database", database),
    scene("redis", redis),
    scene("refused", refused),
    Scene { prepare: on_the_small_disk, ..scene("full", full) },
    scene("orders", orders),
    scene("reload", reload),
    scene("letters", letters),
    scene("kept", kept),
    scene("slow", slow),
    scene("silent", silent),
    scene("killed", killed),
    scene("twin", twin),
];

/// A scene at play.
pub struct Play<'a> {
    pub setting: &'a Setting,
    pub stage: &'a Stage,
    pub report: &'a Report,
}

impl Play<'_> {
    /// Injects a fault, waits until every one of `alerts` fires, ends the fault, waits until every one has cleared.
    fn strikes(&self, fault: &str, alerts: &[&str], inject: impl FnOnce(), end: impl FnOnce()) {
        strike(self.setting, self.report, self.stage.name, (fault, alerts), inject, end);
    }
}

fn strike(
    setting: &Setting,
    report: &Report,
    instance: &str,
    (fault, alerts): (&str, &[&str]),
    inject: impl FnOnce(),
    end: impl FnOnce(),
) {
    let stated = |name: &str| {
        let alert = setting.alerts.iter().find(|alert| alert.name == name);
        setting.in_time(alert.unwrap_or_else(|| panic!("{name} is no alert")).within)
    };
    let began = Instant::now();
    inject();
    let mut lines: Vec<Line> = Vec::new();
    for name in alerts {
        let fires_within = stated(name);
        let fired = setting.watch.until(name, instance, true, began, fires_within + SLACK);
        if fired.is_none() {
            report.fail(format!("{name} did not fire within {fires_within:?} and {SLACK:?} of: {fault}"));
        }
        lines.push(Line { alert: (*name).to_owned(), fault: fault.to_owned(), fired, cleared: None });
    }
    let ended = Instant::now();
    end();
    let bound = CLEARS_WITHIN + setting.in_time(WINDOW_MAX);
    for mut line in lines {
        if line.fired.is_some() {
            line.cleared = setting.watch.until(&line.alert, instance, false, ended, bound);
            if line.cleared.is_none() {
                report.fail(format!("{} did not clear within {bound:?} of the end of: {fault}", line.alert));
            }
        }
        report.enter(line);
    }
}

/// Nothing answers where the database was, while much that is old comes in.
fn database(play: &Play<'_>) {
    let stage = play.stage;
    let mut alerts = vec![
        "AqueductTimescaleUnavailable",
        "AqueductLagOld",
        "AqueductNothingFlows",
        "AqueductNodeNotReady",
        "AqueductLagGrowing",
    ];
    // It goes by an age that no factor changes.
    if play.setting.factor == 1 {
        alerts.push("AqueductLagUnknown");
    }
    // Until the first record that is owed is an old one too.
    stage.flow.age(OLD);
    std::thread::sleep(Duration::from_secs(3));
    let inject = || {
        stage.cut_off(&stage.database);
        stage.flow.rate(4_000);
    };
    let end = || {
        stage.flow.age(Duration::ZERO);
        stage.flow.rate(RATE);
        stage.join_database();
    };
    play.strikes("TimescaleDB refuses connections", &alerts, inject, end);
}

fn redis(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.cut_off(&stage.redis), || stage.join_redis());
    play.strikes("Redis refuses connections", &["AqueductRedisUnavailable"], inject, end);
    stage.await_ready();
    let (inject, end) = (|| stage.flow.age(OLD), || stage.flow.age(Duration::ZERO));
    play.strikes("records of a quarter of an hour ago come in", &["AqueductCacheOld"], inject, end);
}

/// Somebody takes the table away.
fn refused(play: &Play<'_>) {
    let sql = play.stage.sql();
    let inject = || sql.batch("ALTER TABLE market.trades RENAME TO moved");
    let end = || sql.batch("ALTER TABLE market.moved RENAME TO trades");
    play.strikes("the table is renamed", &["AqueductServerRefuses"], inject, end);
}

fn on_the_small_disk(world: &World) {
    let sql = world.sql();
    sql.batch(&sql.format("CREATE TABLESPACE small LOCATION %L", &[SMALL_DISK]));
    sql.batch("ALTER TABLE market.trades SET TABLESPACE small");
}

/// A file of so many kilobytes beside the table's, which is more than the small disk holds.
fn full(play: &Play<'_>) {
    let sql = play.stage.sql();
    let ballast = |sql: &Sql, rows: &str| {
        const FILL: &str = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, %1$s)) TO %2$L";
        sql.format(FILL, &[rows, &format!("{SMALL_DISK}/ballast")])
    };
    let inject = || assert!(sql.try_batch(&ballast(&sql, "200000")).is_err(), "the disk holds it");
    let end = || sql.batch(&ballast(&sql, "0"));
    play.strikes("the disk of the table is full", &["AqueductServerFull"], inject, end);
}

/// Somebody restarts an actor again and again; somebody stops one.
fn orders(play: &Play<'_>) {
    let stage = play.stage;
    let restart = || {
        for _ in 0..6 {
            stage.order("/api/actors/trades/restart");
            std::thread::sleep(Duration::from_millis(700));
        }
    };
    let alerts = ["AqueductActorRestarted", "AqueductActorCrashLooping"];
    let stop = || stage.order("/api/actors/cache/stop");
    let start = || stage.order("/api/actors/cache/start");
    std::thread::scope(|scope| {
        scope.spawn(|| play.strikes("an actor is restarted six times", &alerts, restart, || {}));
        scope.spawn(|| play.strikes("an operator stops an actor", &["AqueductActorStopped"], stop, start));
    });
}

fn reload(play: &Play<'_>) {
    let stage = play.stage;
    let good = std::fs::read_to_string(&stage.file).expect("the topology");
    let inject = || {
        std::fs::write(&stage.file, good.replace("kind: normalizer", "kind: normaliser")).expect("write it");
        stage.reload(422);
    };
    let end = || {
        std::fs::write(&stage.file, &good).expect("write it");
        stage.reload(200);
    };
    play.strikes("a reload of a file with a mistake", &["AqueductReloadNotApplied"], inject, end);
    let files = stage.with_node(|node| node.open_files());
    let (inject, end) = (|| stage.limit_files(files * 10 / 9), || stage.limit_files(files * 4));
    play.strikes("few files are left", &["AqueductOpenFilesNearLimit"], inject, end);
}

fn letters(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.flow.bad_every(4), || stage.flow.bad_every(0));
    let alerts = ["AqueductDeadLetters", "AqueductDeadLetterShareHigh"];
    play.strikes("one record in four has a price below zero", &alerts, inject, end);
}

/// Where rejects are kept: for a long time, and not at all.
fn kept(play: &Play<'_>) {
    let stage = play.stage;
    stage.flow.bad_every(50);
    std::thread::sleep(Duration::from_secs(2));
    stage.flow.bad_every(0);
    let sql = stage.sql();
    let inject = || sql.batch("UPDATE aqueduct.dead_letter SET at = now() - interval '2 days'");
    let end = || sql.batch("DELETE FROM aqueduct.dead_letter");
    play.strikes("nobody replays a letter for two days", &["AqueductDeadLetterOld"], inject, end);
    let inject = || {
        stage.flow.bad_every(2);
        stage.cut_off(&stage.database);
    };
    let end = || {
        stage.flow.bad_every(0);
        stage.join_database();
    };
    let alerts = ["AqueductDeadLetterUnavailable"];
    play.strikes("rejects while TimescaleDB refuses connections", &alerts, inject, end);
}

/// Each message to the database waits.
fn slow(play: &Play<'_>) {
    let stage = play.stage;
    let inject = || {
        stage.flow.rate(4_000);
        stage.database.delay(Duration::from_millis(500));
    };
    let end = || {
        stage.flow.rate(RATE);
        stage.database.delay(Duration::ZERO);
    };
    let alerts = ["AqueductFlushSlow", "AqueductLinkFull", "AqueductBottleneck"];
    play.strikes("each message to TimescaleDB waits for 0.5 s", &alerts, inject, end);
    let (inject, end) = (|| stage.database.hold(), || stage.database.cut());
    play.strikes("TimescaleDB falls silent in the middle of it", &["AqueductActorStalled"], inject, end);
}

fn silent(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.flow.rate(0), || stage.flow.rate(RATE));
    play.strikes("the sender falls silent", &["AqueductSourceSilent"], inject, end);
}

fn killed(play: &Play<'_>) {
    let (setting, stage) = (play.setting, play.stage);
    let (inject, end) = (|| stage.kill(), || stage.start(setting));
    play.strikes("kill -9", &["AqueductNodeDown"], inject, end);
    stage.await_ready();
    // What is read by then takes a while to be written, and a drain waits for that.
    stage.flow.rate(4_000);
    stage.database.delay(Duration::from_millis(500));
    std::thread::sleep(Duration::from_secs(3));
    let inject = || stage.with_node(|node| node.terminate());
    let end = || {
        stage.flow.rate(RATE);
        stage.database.delay(Duration::ZERO);
        stage.kill();
        stage.start(setting);
    };
    play.strikes("SIGTERM while TimescaleDB is slow", &["AqueductNodeDrainsLong"], inject, end);
    stage.await_ready();
    let inject = || {
        for _ in 0..3 {
            stage.kill();
            stage.start(setting);
            stage.await_ready();
            std::thread::sleep(Duration::from_secs(2));
        }
    };
    play.strikes("kill -9 three times", &["AqueductNodeRestarting"], inject, || {});
}

/// A node stands still and loses its connections, and with them the lease of its name; another takes that.
fn twin(play: &Play<'_>) {
    let stage = play.stage;
    stage.with_node(|node| node.stop());
    stage.database.cut();
    let mut second = Some(stage.launch(stage.name));
    let reads = |second: &Node| second.metric("aqueduct_records_total").filter(|records| *records > 0.0);
    wait::until("the second to read", Duration::from_secs(60), || second.as_ref().and_then(reads));
    let resume = || stage.with_node(|node| node.resume());
    let end = || {
        drop(second.take());
        stage.order("/api/actors/ticks/restart");
    };
    play.strikes("two nodes have one name", &["AqueductActorFenced"], resume, end);
}

/// What strikes everybody comes last.
pub fn shared(setting: &Setting, stages: &[Stage], report: &Report) {
    let quiet = stages.iter().find(|stage| stage.name == "silent").expect("a scene of that name");
    let kafka = ("the broker falls silent", &["AqueductKafkaUnavailable"][..]);
    let pause = || setting.stack.pause(Part::Kafka).expect("pause Kafka");
    let resume = || setting.stack.resume(Part::Kafka).expect("resume Kafka");
    strike(setting, report, quiet.name, kafka, pause, resume);
    let nobody = ("Prometheus has no targets", &["AqueductNotScraped"][..]);
    strike(setting, report, "", nobody, || setting.ask_nobody(), || setting.ask_all());
    let unfilled = setting.watch.unfilled();
    assert!(unfilled.is_empty(), "annotations that could not be filled in: {unfilled:?}");
    wait::until("nothing to be said in the end", CLEARS_WITHIN, || {
        let of_quiet = setting.watch.firing().into_iter().filter(|(_, instance)| *instance == quiet.name);
        (of_quiet.count() == 0).then_some(())
    });
}
