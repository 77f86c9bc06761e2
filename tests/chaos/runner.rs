//! Runs scenarios: groups side by side, those of a group one after the other, a failure stops nothing.

use super::report::{self, Line, Report};
use super::scenario::{Form, Scenario};
use super::trial::{Stacks, Trial};
use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is asked for.
pub struct Plan {
    pub seed: u64,
    pub form: Form,
    /// In the long form: random scenarios follow until this is over.
    pub lasts: Duration,
    /// Beginnings of names; empty = all.
    pub only: Vec<String>,
    pub lanes: usize,
}

impl Plan {
    /// From `AQUEDUCT_CHAOS_*`.
    ///
    /// # Panics
    /// A variable that cannot be read, with its name.
    pub fn from_env() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let number = |name: &str| {
            text(name).map(|text| {
                text.parse::<f64>().unwrap_or_else(|_| panic!("{name}={text}: a number is needed"))
            })
        };
        let hours = number("AQUEDUCT_CHAOS_HOURS");
        let seed = text("AQUEDUCT_CHAOS_SEED").map(|text| {
            text.parse().unwrap_or_else(|_| panic!("AQUEDUCT_CHAOS_SEED={text}: a whole number is needed"))
        });
        let form = if hours.is_some() { Form::Long } else { Form::Short };
        // Figures of the long form are to be compared: nothing runs beside it.
        let lanes = if form == Form::Long { 1.0 } else { 3.0 };
        Self {
            seed: seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
            form,
            lasts: Duration::from_secs_f64(hours.unwrap_or(0.0) * 3600.0),
            only: text("AQUEDUCT_CHAOS_ONLY")
                .map_or_else(Vec::new, |text| text.split(',').map(str::to_owned).collect()),
            lanes: number("AQUEDUCT_CHAOS_LANES").unwrap_or(lanes) as usize,
        }
    }

    /// A scenario that is asked for by its whole name runs in any form.
    fn takes(&self, scenario: &Scenario) -> bool {
        let in_form = self.form == Form::Long || scenario.form == Form::Short;
        let named =
            |only: &String| scenario.name.starts_with(only.as_str()) && (in_form || scenario.name == only);
        if self.only.is_empty() { in_form } else { self.only.iter().any(named) }
    }
}

/// Runs what `plan` asks for.
pub fn run(plan: &Plan, scenarios: &[Scenario]) -> Report {
    let began = Instant::now();
    let chosen: Vec<Scenario> = scenarios.iter().filter(|scenario| plan.takes(scenario)).copied().collect();
    assert!(!chosen.is_empty(), "no scenario is named so; {} are known", scenarios.len());
    let mut lines = rounds(plan, &chosen, plan.seed);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    while began.elapsed() < plan.lasts {
        let one = [*random.choice(&chosen).expect("invariant: there are scenarios")];
        lines.extend(rounds(plan, &one, random.u64(..)));
    }
    let place = |line: &Line| chosen.iter().position(|scenario| scenario.name == line.scenario);
    lines.sort_by_key(place);
    Report { seed: plan.seed, lines, took: began.elapsed() }
}

/// Runs each of them once.
fn rounds(plan: &Plan, scenarios: &[Scenario], seed: u64) -> Vec<Line> {
    let mut groups: VecDeque<Vec<Scenario>> = VecDeque::new();
    for scenario in scenarios {
        match groups.iter_mut().find(|group| group[0].group() == scenario.group()) {
            Some(group) => group.push(*scenario),
            None => groups.push_back(vec![*scenario]),
        }
    }
    let (groups, lines) = (Mutex::new(groups), Mutex::new(Vec::new()));
    let next = || groups.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = || {
        while let Some(group) = next() {
            let mut stacks = Stacks::new();
            for scenario in group {
                let line = once(plan, scenario, seed, &mut stacks);
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..plan.lanes.max(1) {
            scope.spawn(lane);
        }
    });
    lines.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn once(plan: &Plan, scenario: Scenario, seed: u64, stacks: &mut Stacks) -> Line {
    // The name takes part, so that scenarios of one run do not all draw the same.
    let seed =
        scenario.name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    report::forget_logs(scenario.name);
    let mut trial = Trial::new(scenario.name, seed, plan.form, stacks);
    let outcome = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&mut trial)));
    let failure = outcome.err().map(|panic| said(&*panic));
    let took = trial.elapsed();
    let line = Line {
        scenario: scenario.name,
        seed,
        faults: trial.faults,
        recoveries: std::mem::take(&mut trial.recoveries),
        recovers_within: scenario.recovers_within,
        findings: trial.findings.take(),
        peak_memory_mib: trial.peak_memory_mib,
        notes: std::mem::take(&mut trial.notes),
        took,
        failure,
    };
    if !line.is_clean() {
        // The next one of the group begins on parts that nobody has damaged.
        stacks.clear();
    }
    // To the terminal itself, as it happens: the long form takes hours, and whoever reads it may be gone.
    let verdict = line.verdict();
    let _ = writeln!(std::io::stderr(), "{}: {verdict} after {:.1} s", scenario.name, took.as_secs_f64());
    line
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}
