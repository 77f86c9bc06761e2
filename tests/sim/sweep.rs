//! Many runs, spread over the machine's cores, each on one thread.

use super::oracle::{Violation, judge};
use super::schedule::{Act, LASTS, Schedule};
use super::stage::{Seen, play};
use super::workload::Workload;
use std::fmt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Of what is said of a failure in a line.
const DETAIL_CHARS_MAX: usize = 240;

/// What one seed brings.
pub struct Run {
    pub seed: u64,
    pub workload: Workload,
    pub schedule: Schedule,
}

impl Run {
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let workload = Workload::of(&mut rng);
        let schedule = Schedule::of(&mut rng, &workload);
        Self::with(seed, workload, schedule)
    }

    /// A claim by somebody who is never heard of again shows where the next record comes: so one does.
    fn with(seed: u64, mut workload: Workload, schedule: Schedule) -> Self {
        if schedule.acts.iter().any(|(_, act)| matches!(act, Act::Usurp { .. })) {
            workload.trail(LASTS);
        }
        Self { seed, workload, schedule }
    }

    /// The workload of that seed, under another schedule.
    pub fn under(seed: u64, schedule: Schedule) -> Self {
        Self::with(seed, Workload::of(&mut fastrand::Rng::with_seed(seed)), schedule)
    }

    pub fn play(&self) -> Seen {
        play(&self.workload, &self.schedule, self.seed)
    }

    /// What it does wrong.
    pub fn failure(&self) -> Option<Failure> {
        let seen = self.play();
        let violations = judge(&self.workload, &seen);
        let topology = self.workload.text.clone();
        let failure = Failure { seed: self.seed, topology, violations, trace: seen.trace };
        Some(failure).filter(|failure| !failure.violations.is_empty())
    }
}

/// A run that went wrong.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub topology: String,
    pub violations: Vec<Violation>,
    pub trace: Vec<String>,
}

impl Failure {
    /// In a line.
    pub fn brief(&self) -> String {
        let Violation { check, detail } = &self.violations[0];
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        format!("seed {}: {check:?}: {detail}", self.seed)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} does not hold:", self.seed)?;
        for Violation { check, detail } in &self.violations {
            writeln!(f, "  {check:?}: {detail}")?;
        }
        writeln!(f, "under this topology:{}and this schedule of faults:", self.topology)?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        write!(f, "again: AQUEDUCT_SIM_SEED={} cargo test --release --test tests sim::", self.seed)
    }
}

/// Failures found among `seeds`, by seed; about so many, then it stops.
pub fn sweep(seeds: Range<u64>, enough: usize, find: impl Fn(u64) -> Option<Failure> + Sync) -> Vec<Failure> {
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Some(failure) = find(seed) {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(failure);
                        if failures.len() >= enough {
                            next.store(seeds.end, Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|failure| failure.seed);
    failures
}
