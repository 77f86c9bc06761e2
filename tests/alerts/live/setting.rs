//! What all scenes share: the stack, the Prometheus that judges by hastened rules, and what it says at each moment.

use super::faults::Scene;
use super::stage::Stage;
use super::watch::Watch;
use crate::harness::rules::{self, Alert};
use aqueduct_stack::prometheus::{Prometheus, Target};
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FACTOR: u32 = 30;
/// How long nodes may take to be found, asked and ready.
const READY_WITHIN: Duration = Duration::from_secs(150);
/// How long the figures of nodes that do well are looked at before anything is disturbed.
const CALM: Duration = Duration::from_secs(8);

pub struct Setting {
    pub stack: Arc<Stack>,
    pub prometheus: Prometheus,
    pub watch: Watch,
    pub factor: u32,
    pub alerts: Vec<Alert>,
    only: Option<Vec<String>>,
    targets: Mutex<BTreeMap<String, SocketAddr>>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Setting {
    pub fn bring_up() -> Self {
        let parts = [&Part::DEFAULT[..], &[Part::Prometheus, Part::Replica]].concat();
        let options =
            Options::from_env("alerts", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
        let stack = Stack::up(&options.parts(&parts), &*progress::on_stderr())
            .unwrap_or_else(|error| panic!("the stack cannot start: {error}"));
        let prometheus = stack.prometheus().expect("it was asked for");
        let factor =
            variable("AQUEDUCT_ALERTS_FACTOR").map_or(FACTOR, |text| text.parse().expect("a number"));
        let files = aqueduct_config::monitoring::rules();
        let hastened: Vec<_> =
            files.iter().map(|file| (file.name, rules::hastened(file.text, factor))).collect();
        prometheus.judge_by(&hastened).unwrap_or_else(|error| panic!("{error}"));
        Self {
            stack: Arc::new(stack),
            watch: Watch::start(prometheus.clone()),
            prometheus,
            factor,
            alerts: rules::alerts(),
            only: variable("AQUEDUCT_ALERTS_ONLY")
                .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
            targets: Mutex::default(),
        }
    }

    /// The scenes that are asked for.
    pub fn chosen(&self, scenes: &'static [Scene]) -> Vec<&'static Scene> {
        let asked =
            |scene: &&Scene| self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == scene.name));
        scenes.iter().filter(asked).collect()
    }

    /// Whether only some are.
    pub fn is_partial(&self) -> bool {
        self.only.is_some()
    }

    /// What the files say takes so long, in the time of this run.
    pub fn in_time(&self, as_written: Duration) -> Duration {
        as_written / self.factor
    }

    /// What a file says must hold for so long, in the time of this run.
    pub fn held(&self, hold: Duration) -> Duration {
        rules::held(hold, self.factor)
    }

    /// Prometheus asks the node of that scene there from now on.
    pub fn ask_at(&self, scene: &str, address: SocketAddr) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.insert(scene.to_owned(), address);
        self.tell(&targets);
    }

    /// It is not asked any more.
    pub fn ask_no_more(&self, scene: &str) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.remove(scene);
        self.tell(&targets);
    }

    /// Nobody is asked.
    pub fn ask_nobody(&self) {
        self.tell(&BTreeMap::new());
    }

    /// All are asked again.
    pub fn ask_all(&self) {
        self.tell(&self.targets.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, targets: &BTreeMap<String, SocketAddr>) {
        let target = |(scene, address): (&String, &SocketAddr)| Target {
            address: address.to_string(),
            labels: BTreeMap::from([("instance".to_owned(), scene.clone())]),
        };
        self.prometheus.watch(&targets.iter().map(target).collect::<Vec<_>>()).expect("a file of targets");
    }

    /// Waits until every node is asked and ready, and finds that nothing is said of nodes that do well.
    pub fn calm(&self, stages: &[Stage]) {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let ready = self.prometheus.query("aqueduct_ready == 1").expect("prometheus answers");
            let missing: Vec<_> = stages
                .iter()
                .map(|stage| stage.name)
                .filter(|name| !ready.iter().any(|sample| sample.labels["instance"] == *name))
                .collect();
            if missing.is_empty() {
                break;
            }
            let told = self.prometheus.unreachable().expect("prometheus answers");
            assert!(Instant::now() < deadline, "not asked or not ready: {missing:?}; asked: {told:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(CALM);
        let firing = self.watch.firing();
        assert!(firing.is_empty(), "alerts fire though all is well: {firing:?}");
    }
}
