//! What came of a drill: figures held against their bounds, a timeline, a verdict; as text, JSON, Markdown, and as a row of
//! `aqueduct.drills`.
//!
//! Invariant: the verdict follows from the figures and from whether the drill came to its end; nobody sets it.

use crate::output::{second, table, time};
use aqueduct_engine::Clock;
use aqueduct_engine::archive::Drill;
use serde_json::{Map, Value, json};
use std::io::Write;

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For pages.
    Markdown,
}

/// What a figure must not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// It is only told.
    Free,
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// This.
    Exactly(f64),
}

/// One thing that was measured or counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// With its unit last, as everywhere: `pause_seconds_max`, `rows_lost`.
    name: &'static str,
    value: f64,
    /// For people: `s`, `rows`.
    unit: &'static str,
    bound: Bound,
}

impl Figure {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// With its unit.
    pub(super) fn amount(&self) -> String {
        format!("{} {}", shown(self.value), self.unit).trim_end().to_owned()
    }

    fn markdown(&self) -> String {
        format!("| {} | {} | {} | {} |\n", self.name, self.amount(), self.wanted(), self.verdict())
    }

    /// Whether it is held against anything.
    pub(super) fn is_bound(&self) -> bool {
        self.bound != Bound::Free
    }

    pub(super) fn holds(&self) -> bool {
        match self.bound {
            Bound::Free => true,
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
            Bound::Exactly(wanted) => self.value == wanted,
        }
    }

    fn wanted(&self) -> String {
        match self.bound {
            Bound::Free => String::new(),
            Bound::AtMost(most) => format!("at most {}", shown(most)),
            Bound::AtLeast(least) => format!("at least {}", shown(least)),
            Bound::Exactly(wanted) => shown(wanted),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.bound, self.holds()) {
            (Bound::Free, _) => "",
            (_, true) => "held",
            (_, false) => "did not hold",
        }
    }

    fn json(&self) -> Value {
        let wanted = self.is_bound().then(|| self.wanted());
        json!({ "name": self.name, "value": number(self.value), "unit": self.unit, "wanted": wanted, "held": self.holds() })
    }
}

/// What happened, and when after the drill began.
#[derive(Clone, Debug, PartialEq)]
struct Moment {
    at_us: i64,
    what: String,
}

/// See the module.
pub(super) struct Report {
    drill: &'static str,
    topology: String,
    node: String,
    started_us: i64,
    ended_us: i64,
    figures: Vec<Figure>,
    timeline: Vec<Moment>,
    /// Why it did not come to its end.
    failure: Option<String>,
    clock: Clock,
}

impl Report {
    /// Of a drill that begins now, by the topology and on the node of those names.
    pub(super) fn begin(drill: &'static str, topology: &str, node: &str) -> Self {
        let clock = Clock::system();
        let now = clock.wall_us();
        let (topology, node) = (topology.to_owned(), node.to_owned());
        let (figures, timeline) = (Vec::new(), Vec::new());
        Self {
            drill,
            topology,
            node,
            started_us: now,
            ended_us: now,
            figures,
            timeline,
            failure: None,
            clock,
        }
    }

    /// Something happens; it is said at once on standard error, too.
    pub(super) fn happens(&mut self, what: impl Into<String>) {
        let (at_us, what) = (self.clock.wall_us() - self.started_us, what.into());
        crate::output::say!("{:7.1} s  {what}", at_us as f64 / 1e6);
        self.timeline.push(Moment { at_us, what });
    }

    /// Something was measured.
    pub(super) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str, bound: Bound) {
        self.figures.push(Figure { name, value, unit, bound });
    }

    /// The report of what `carry_out` does; if it fails, that is the report's failure.
    pub(super) fn of(mut self, carry_out: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> Self {
        let ended = carry_out(&mut self);
        self.end(ended.err().map(|error| format!("{error:#}")));
        self
    }

    /// It ends now; with the reason, if that is before its end.
    pub(super) fn end(&mut self, failure: Option<String>) {
        self.ended_us = self.clock.wall_us();
        self.failure = failure;
    }

    /// Whether all figures keep to their bounds, and there are any.
    pub(super) fn passed(&self) -> bool {
        self.failure.is_none() && !self.figures.is_empty() && self.figures.iter().all(Figure::holds)
    }

    /// As a row of `aqueduct.drills`: figures by name, for those who show what is plain; then the rest.
    pub(super) fn row(&self) -> Drill {
        let mut report: Map<String, Value> =
            self.figures.iter().map(|figure| (figure.name.to_owned(), number(figure.value))).collect();
        report.insert("figures".into(), self.figures.iter().map(Figure::json).collect());
        report.insert("timeline".into(), self.timeline_json());
        if let Some(why) = &self.failure {
            report.insert("failure".into(), why.as_str().into());
        }
        Drill {
            drill: self.drill.to_owned(),
            passed: self.passed(),
            node: self.node.clone(),
            started_us: self.started_us,
            ended_us: self.ended_us,
            report: Value::Object(report),
        }
    }

    /// Prints it.
    pub(super) fn print(&self, form: Form, out: &mut impl Write) -> std::io::Result<()> {
        match form {
            Form::Json => writeln!(out, "{:#}", self.json()),
            Form::Text => self.text(out),
            Form::Markdown => self.markdown(out),
        }
    }

    /// Its part of a playbook; `command` carried it out.
    pub(super) fn section(&self, command: &str) -> String {
        let verdict = if self.passed() { "passed" } else { "did not pass" };
        let (at, seconds) = (second(self.started_us), self.seconds());
        let mut text = format!("Last drill: {at}, {verdict} after {seconds:.1} s, `{command}`.\n\n{HEAD}\n");
        for figure in &self.figures {
            text.push_str(&figure.markdown());
        }
        if let Some(why) = &self.failure {
            text.push_str(&format!("\nIt did not come to its end: {}\n", cell(why)));
        }
        text
    }

    /// What happened, as a table in Markdown.
    pub(super) fn timeline(&self) -> String {
        let line =
            |Moment { at_us, what }: &Moment| format!("| {:.1} s | {} |\n", *at_us as f64 / 1e6, cell(what));
        let lines: String = self.timeline.iter().map(line).collect();
        format!("| at | what happened |\n|---|---|\n{lines}")
    }

    pub(super) fn name(&self) -> &'static str {
        self.drill
    }

    /// When it began.
    pub(super) fn started_us(&self) -> i64 {
        self.started_us
    }

    pub(super) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn seconds(&self) -> f64 {
        (self.ended_us - self.started_us) as f64 / 1e6
    }

    fn timeline_json(&self) -> Value {
        let moment =
            |moment: &Moment| json!({ "at_seconds": number(moment.at_us as f64 / 1e6), "what": moment.what });
        self.timeline.iter().map(moment).collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "drill": self.drill, "passed": self.passed(), "topology": self.topology, "node": self.node,
            "started_at": time(self.started_us), "ended_at": time(self.ended_us), "seconds": number(self.seconds()),
            "failure": self.failure, "figures": self.figures.iter().map(Figure::json).collect::<Value>(),
            "timeline": self.timeline_json(),
        })
    }

    fn heading(&self) -> String {
        let verdict = if self.passed() { "passed" } else { "did not pass" };
        let (drill, at, seconds) = (self.drill, time(self.started_us), self.seconds());
        format!("drill {drill} {verdict} ({}, {at}, {seconds:.1} s)", self.node)
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.heading())?;
        let cells = |figure: &Figure| {
            [
                ("figure", figure.name.to_owned()),
                ("value", figure.amount()),
                ("wanted", figure.wanted()),
                ("verdict", figure.verdict().to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
        };
        table(&self.figures.iter().map(cells).collect::<Vec<_>>(), out)?;
        match &self.failure {
            Some(why) => writeln!(out, "it did not come to its end: {why}"),
            None => Ok(()),
        }
    }

    fn markdown(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "### {}\n\n{HEAD}", self.heading())?;
        for figure in &self.figures {
            write!(out, "{}", figure.markdown())?;
        }
        if let Some(why) = &self.failure {
            writeln!(out, "\nIt did not come to its end: {}", cell(why))?;
        }
        write!(out, "\n{}", self.timeline())?;
        Ok(())
    }
}

/// The head of figures in Markdown.
const HEAD: &str = "| figure | value | wanted | verdict |\n|---|---|---|---|";

/// A text in a table of Markdown.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Whole where it is, else to three digits.
fn shown(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!((value * 1e6).round() / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::begin("practice", "trades", "a");
        report.figure("rows_lost", 0.0, "rows", Bound::Exactly(0.0));
        report.figure("pause_seconds_max", 0.25, "s", Bound::AtMost(1.0));
        report.figure("rows_total", 3600.0, "rows", Bound::Free);
        report
    }

    #[test]
    fn the_verdict_follows_from_the_figures_and_from_the_end() {
        let mut held = report();
        held.end(None);
        assert!(held.passed());
        held.figure("rows_doubled", 1.0, "rows", Bound::Exactly(0.0));
        assert!(!held.passed());
        let mut cut = report();
        cut.end(Some("the broker went away".into()));
        assert!(!cut.passed());
        assert!(!Report::begin("practice", "t", "a").passed(), "nothing was measured");
        assert!(!Figure { bound: Bound::AtLeast(2.0), ..report().figures[0].clone() }.holds());
    }

    #[test]
    fn the_row_has_plain_figures_by_name_and_the_rest_beside_them() {
        let mut report = report();
        report.timeline.push(Moment { at_us: 1_500_000, what: "killed | a".into() });
        report.end(None);
        let row = report.row();
        assert_eq!(
            (&row.report["pause_seconds_max"], &row.report["rows_total"]),
            (&json!(0.25), &json!(3600))
        );
        assert_eq!(row.report["timeline"][0], json!({ "at_seconds": 1.5, "what": "killed | a" }));
        assert!(row.passed);
        let mut page = Vec::new();
        report.print(Form::Markdown, &mut page).expect("a vector takes it");
        let page = String::from_utf8(page).expect("text");
        assert!(page.contains("| rows_lost | 0 rows | 0 | held |"), "{page}");
        assert!(page.contains("| 1.5 s | killed \\| a |"), "{page}");
    }
}
