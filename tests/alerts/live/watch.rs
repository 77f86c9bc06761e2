//! What Prometheus says at each moment: one thread asks, scenes wait for what they expect.

use aqueduct_stack::prometheus::Prometheus;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const ASK_EVERY: Duration = Duration::from_millis(100);

/// The names of alerts that fire, each with the instance it is about; empty where it is about none.
pub type Firing = BTreeSet<(String, String)>;

#[derive(Default)]
struct Said {
    firing: Firing,
    /// When each of those that ever fired began to, or ceased.
    changed_at: BTreeMap<(String, String), Instant>,
}

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
    over: AtomicBool,
    /// Annotations whose template met something that is not there.
    unfilled: Mutex<BTreeSet<String>>,
}

impl Said {
    fn is_now(&mut self, firing: Firing) {
        let now = Instant::now();
        for changed in self.firing.symmetric_difference(&firing) {
            self.changed_at.insert(changed.clone(), now);
        }
        self.firing = firing;
    }
}

pub struct Watch(Arc<Shared>);

impl Watch {
    pub fn start(prometheus: Prometheus) -> Self {
        let shared = Arc::new(Shared::default());
        let asking = shared.clone();
        std::thread::spawn(move || {
            while !asking.over.load(Ordering::Relaxed) {
                // It may be busy; what it said last holds.
                if let Ok(alerts) = prometheus.alerts() {
                    let unfilled = |text: &&String| text.contains("<no value>") || text.contains("<error");
                    let texts = alerts.iter().flat_map(|alert| alert.annotations.values()).filter(unfilled);
                    asking.unfilled.lock().unwrap_or_else(PoisonError::into_inner).extend(texts.cloned());
                    let instance = |labels: &BTreeMap<String, String>| {
                        labels.get("instance").cloned().unwrap_or_default()
                    };
                    let firing = alerts.into_iter().filter(|alert| alert.firing);
                    let firing = firing.map(|alert| (alert.name, instance(&alert.labels))).collect();
                    asking.said.lock().unwrap_or_else(PoisonError::into_inner).is_now(firing);
                    asking.changed.notify_all();
                }
                std::thread::sleep(ASK_EVERY);
            }
        });
        Self(shared)
    }

    pub fn firing(&self) -> Firing {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner).firing.clone()
    }

    /// Annotations that could not be filled in, of any alert so far.
    pub fn unfilled(&self) -> BTreeSet<String> {
        self.0.unfilled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long after `since` the alert fired for that instance (`wanted`) or did not any more; `None` if not within the
    /// bound.
    pub fn until(
        &self,
        alert: &str,
        instance: &str,
        wanted: bool,
        since: Instant,
        bound: Duration,
    ) -> Option<Duration> {
        let key = (alert.to_owned(), instance.to_owned());
        let deadline = since + bound;
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if said.firing.contains(&key) == wanted {
                let changed = said.changed_at.get(&key).copied().unwrap_or(since);
                return Some(changed.saturating_duration_since(since));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            said = self.0.changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
