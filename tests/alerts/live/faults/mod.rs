//! The scenes: which fault, which alerts, what ends it.

mod actors;
mod dependencies;
mod gates;
mod group;
mod nodes;
mod records;
mod tables;

use super::report::{Line, Report};
use super::setting::Setting;
use super::stage::Stage;
use crate::harness::topologies::TRADES;
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::Part;
use std::time::{Duration, Instant};

/// Beyond the stated time, which is a thirtieth of what the file says, and real time all the same: what the engine measures
/// only now and then (the dead letter, a cache's sample, the tables: up to 30 s), Prometheus' asking and judging, and a
/// machine that is slow and busy.
const SLACK: Duration = Duration::from_secs(50);
/// How long an alert may take to clear, beyond the longest window of its rule.
const CLEARS_WITHIN: Duration = Duration::from_secs(60);
/// The longest window of a rule whose alert is injected.
const WINDOW_MAX: Duration = Duration::from_secs(15 * 60);
/// Long enough for the patience of any rule about age.
const OLD: Duration = Duration::from_secs(900);
/// Alerts that go by an age the engine measures itself: no factor makes that pass faster.
const AGES: &[(&str, Duration)] = &[("AqueductLagUnknown", Duration::from_secs(60))];

/// Alerts without a scene, and why. All others must have one.
pub const UNSEEN: &[(&str, &str)] = &[(
    "AqueductUnaccountedRecords",
    "a defect of the engine itself: no fault from outside makes it, and `--test planted` holds that planted ones are caught",
)];

pub struct Scene {
    pub name: &'static str,
    /// What its node runs; the factor is how much faster time goes.
    pub topology: fn(factor: u32) -> String,
    /// Which of the stack's servers is its Redis.
    pub redis: Part,

    /// Before its node starts.
    pub prepare: fn(&World),
    pub play: fn(&Play<'_>),
}

const fn scene(name: &'static str, play: fn(&Play<'_>)) -> Scene {
    Scene { name, topology: |_| TRADES.to_owned(), redis: Part::Redis, prepare: |_| {}, play }
}

pub const SCENES: &[Scene] = &[
    scene("database", dependencies::database),
    scene("redis", |play| {
        std::thread::scope(|scope| {
            scope.spawn(|| tables::grown(play));
            dependencies::redis(play);
        })
    }),
    Scene {
        topology: |_| tables::kept_in_order(),
        prepare: dependencies::on_the_small_disk,
        ..scene("full", |play| {
            dependencies::refused(play);
            dependencies::full(play);
        })
    },
    Scene { prepare: dependencies::login_in_a_file, ..scene("secret", dependencies::secret) },
    scene("slow", dependencies::slow),
    scene("orders", actors::orders),
    Scene { topology: actors::patience, ..scene("crashes", actors::crashes) },
    scene("twin", actors::twin),
    Scene {
        topology: |_| tables::kept_in_order(),
        ..scene("reload", |play| {
            tables::unkept(play);
            nodes::reload(play);
        })
    },
    scene("killed", nodes::killed),
    scene("letters", records::letters),
    Scene { topology: |_| records::one_connection(), ..scene("kept", records::kept) },
    scene("silent", records::silent),
    Scene { topology: |_| group::loose(), ..scene("group", group::group) },
    Scene {
        topology: |_| gates::gated(),
        redis: Part::Replica,
        prepare: gates::alone,
        ..scene("gates", gates::gates)
    },
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

    /// The same for alerts that are about no single node.
    fn strikes_all(&self, fault: &str, alerts: &[&str], inject: impl FnOnce(), end: impl FnOnce()) {
        strike(self.setting, self.report, "", (fault, alerts), inject, end);
    }

    /// Whether it fires for this scene's node.
    fn fires(&self, alert: &str) -> bool {
        self.setting.watch.firing().contains(&(alert.to_owned(), self.stage.name.to_owned()))
    }
}

/// How soon after its fault it must fire here.
fn fires_within(setting: &Setting, name: &str) -> Duration {
    let alert = setting.alerts.iter().find(|alert| alert.name == name);
    let alert = alert.unwrap_or_else(|| panic!("{name} is no alert"));
    let age = AGES.iter().find(|(aged, _)| *aged == name).map(|(_, age)| *age + setting.held(alert.hold));
    setting.in_time(alert.within).max(age.unwrap_or_default())
}

/// See [`Play::strikes`]; for a node of that name, or for none.
fn strike(
    setting: &Setting,
    report: &Report,
    instance: &str,
    (fault, alerts): (&str, &[&str]),
    inject: impl FnOnce(),
    end: impl FnOnce(),
) {
    // One that fires for another reason would prove nothing.
    for name in alerts {
        let silent = setting.watch.until(name, instance, false, Instant::now(), CLEARS_WITHIN);
        assert!(silent.is_some(), "{name} fires before: {fault}");
    }
    let began = Instant::now();
    inject();
    // It is told how long after its beginning an alert fires; one that takes a while to inject is not held against it.
    let injected = began.elapsed();
    let mut lines: Vec<Line> = Vec::new();
    for name in alerts {
        let within = fires_within(setting, name);
        let fired = setting.watch.until(name, instance, true, began, injected + within + SLACK);
        if fired.is_none() {
            report.fail(format!("{name} did not fire within {within:?} and {SLACK:?} of: {fault}"));
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
