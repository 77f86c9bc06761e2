//! What is promised of the figures, held against them. A goal whose figures were not taken says so.

use super::Report;
use crate::parts::Outcome;
use crate::parts::drain::{Comparison, Figures};
use crate::parts::scale::{Axis, Series};
use crate::programs::Program;
use crate::workload::{Sinks, Work};

/// One promise.
#[derive(Debug)]
pub(super) struct Goal {
    /// What of.
    pub(super) what: String,
    /// What is wanted.
    pub(super) wanted: Wanted,
    /// What came out; `None` where it was not measured.
    pub(super) found: Option<f64>,
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Goal {
    /// Whether it holds.
    pub(super) fn holds(&self) -> Option<bool> {
        self.found.map(|found| match self.wanted {
            Wanted::AtLeast(bound) => found >= bound,
            Wanted::AtMost(bound) => found <= bound,
        })
    }
}

impl Report {
    fn drain(&self, work: Work, sinks: Sinks) -> Option<&Comparison> {
        self.drains.iter().find(|one| one.work == work && one.sinks == sinks)
    }

    /// All promises.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let mut goal = |what: String, wanted, found| goals.push(Goal { what, wanted, found });
        let rows = |figures: &Figures| figures.rows_per_second.median;
        let cpu = |figures: &Figures| figures.cpu_us.median;
        for (sinks, best_peer) in [(Sinks::Both, 4.0), (Sinks::History, 2.9)] {
            let one = self.drain(Work::Ticks, sinks);
            let engine = one.and_then(|one| one.figures(Program::Aqueduct));
            let by_hand = one.and_then(|one| one.figures(Program::ByHand));
            let peer = one.and_then(|one| Some(one.best_peer()?.1));
            let ratio =
                |figure: fn(&Figures) -> f64, other: Option<&Figures>| Some(figure(engine?) / figure(other?));
            let to = sinks.title();
            goal(format!("rows/s, aqueduct : by hand, {to}"), Wanted::AtLeast(1.0), ratio(rows, by_hand));
            goal(format!("CPU per row, aqueduct : by hand, {to}"), Wanted::AtMost(1.0), ratio(cpu, by_hand));
            goal(
                format!("rows/s, aqueduct : best peer, {to}"),
                Wanted::AtLeast(best_peer),
                ratio(rows, peer),
            );
            goal(format!("CPU per row, aqueduct : best peer, {to}"), Wanted::AtMost(0.12), ratio(cpu, peer));
            goal(
                format!("peak RSS at full rate, MiB, {to}"),
                Wanted::AtMost(128.0),
                engine.map(|engine| engine.rss_peak_mib.median),
            );
            let limit = one.and_then(|one| one.limits.cpu_bound_per_second);
            goal(
                format!("share of the limit that CPU sets, {to}"),
                Wanted::AtLeast(0.85),
                engine.and_then(|engine| Some(rows(engine) / limit?)),
            );
        }
        let engine = |work| self.drain(work, Sinks::Both).and_then(|one| one.figures(Program::Aqueduct));
        goal(
            "rows/s, nested with five conditions : flat".to_owned(),
            Wanted::AtLeast(0.7),
            engine(Work::Conditions).and_then(|nested| Some(rows(nested) / rows(engine(Work::Ticks)?))),
        );
        let p99 = |slowest: bool| {
            let ours = self.steady.iter().filter(|(program, ..)| *program == Program::Aqueduct);
            let mut figures =
                ours.filter_map(|(_, per_second, outcome)| Some((*per_second, outcome.figures()?)));
            let found = figures.find(|(per_second, _)| (*per_second <= 1_000) == slowest);
            found.map(|(_, steady)| steady.latency_ms.p99)
        };
        goal("p99 at 1,000 ticks/s, ms".to_owned(), Wanted::AtMost(20.0), p99(true));
        goal("p99 at half of the sustainable rate, ms".to_owned(), Wanted::AtMost(100.0), p99(false));
        goal(
            "peak RSS with the database stopped, MiB".to_owned(),
            Wanted::AtMost(200.0),
            self.outage.as_ref().and_then(Outcome::figures).map(|outage| outage.rss_peak_mib),
        );
        for axis in Axis::ALL {
            let series = self.scale.iter().find(|series| series.axis == axis);
            goal(
                format!("CPU per {}, most {} : fewest", axis.unit(), axis.title()),
                Wanted::AtMost(1.5),
                series.and_then(growth),
            );
        }
        goals
    }
}

/// The last point's cost to the first one's.
fn growth(series: &Series) -> Option<f64> {
    let mut costs = series.points.iter().map(|point| point.cost_us(series.axis));
    let first = costs.next()??;
    Some(costs.next_back()?? / first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Made;

    #[test]
    fn what_was_not_measured_neither_holds_nor_fails() {
        let made = Made {
            command: String::new(),
            version: String::new(),
            at: String::new(),
            cores: 2,
            processor: String::new(),
        };
        let goals = Report::new(made).goals();
        assert!(goals.len() > 10 && goals.iter().all(|goal| goal.holds().is_none()));
        let goal = |wanted| Goal { what: String::new(), wanted, found: Some(1.0) };
        assert_eq!(goal(Wanted::AtLeast(1.0)).holds(), Some(true));
        assert_eq!(goal(Wanted::AtMost(0.9)).holds(), Some(false));
    }
}
