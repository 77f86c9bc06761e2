//! What came of several drills, as one table.

use super::super::report::{Figure, Report, cell};
use super::Carried;
use crate::environment::host_name;
use crate::output::{second, table, time};
use crate::version;
use aqueduct_engine::Clock;
use serde_json::{Map, Value, json};
use std::io::Write;

/// Columns of their own, for what every reader looks for; the beginnings of the figures that they take.
const COLUMNS: [(&str, &[&str]); 4] = [
    ("RTO", &["rto_"]),
    ("RPO", &["rpo_"]),
    ("lost", &["rows_lost", "rows_missing"]),
    ("doubled", &["rows_doubled"]),
];

/// See the module.
pub(super) struct Summary<'a> {
    carried: &'a [Carried],
    at_us: i64,
}

impl<'a> Summary<'a> {
    pub(super) fn of(carried: &'a [Carried]) -> Self {
        Self { carried, at_us: Clock::system().wall_us() }
    }

    pub(super) fn passed(&self) -> bool {
        !self.carried.is_empty() && self.carried.iter().all(|drill| drill.report.passed())
    }

    /// Where, when, and what was practised.
    pub(super) fn origin(&self) -> String {
        format!("Made on {} by aqueduct {}, {}.", host_name(), version::short(), second(self.at_us))
    }

    pub(super) fn json(&self) -> Value {
        let drill = |carried: &Carried| {
            let mut report = carried.report.json();
            if let Value::Object(report) = &mut report {
                report.insert("command".into(), carried.command.as_str().into());
            }
            report
        };
        let mut all = Map::new();
        all.insert("at".into(), time(self.at_us).into());
        all.insert("node".into(), host_name().into());
        all.insert("version".into(), version::short().into());
        all.insert("passed".into(), self.passed().into());
        all.insert("drills".into(), self.carried.iter().map(drill).collect());
        json!(all)
    }

    pub(super) fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let rows: Vec<Vec<(String, String)>> = self
            .carried
            .iter()
            .map(|drill| cells(drill).into_iter().map(|(head, cell)| (head.to_owned(), cell)).collect())
            .collect();
        table(&rows, out)
    }

    /// A page: the table, then each report.
    pub(super) fn markdown(&self) -> String {
        let mut page = format!("# Drills\n\n{}\n\n{}", self.origin(), self.table());
        for drill in self.carried {
            page.push_str(&format!(
                "\n## {}\n\n{}",
                drill.report.name(),
                drill.report.section(&drill.command)
            ));
            page.push_str(&format!("\n{}", drill.report.timeline()));
        }
        page
    }

    /// Its part of another page.
    pub(super) fn section(&self) -> String {
        format!("{}\n\n{}", self.origin(), self.table())
    }

    fn table(&self) -> String {
        let rows: Vec<Vec<(&str, String)>> = self.carried.iter().map(cells).collect();
        let heads: Vec<&str> = rows.first().into_iter().flatten().map(|(head, _)| *head).collect();
        let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
        for row in &rows {
            let line: Vec<String> = row.iter().map(|(_, text)| cell(text)).collect();
            text.push_str(&format!("| {} |\n", line.join(" | ")));
        }
        text
    }
}

fn cells(drill: &Carried) -> Vec<(&'static str, String)> {
    let report = &drill.report;
    let verdict = if report.passed() { "passed" } else { "did not pass" };
    let mut cells = vec![
        ("drill", report.name().to_owned()),
        ("verdict", verdict.to_owned()),
        ("took", format!("{:.1} s", report.seconds())),
    ];
    for (head, beginnings) in COLUMNS {
        cells.push((head, joined(report, |figure| takes(beginnings, figure), |figure| figure.amount())));
    }
    let is_further = |figure: &Figure| !COLUMNS.iter().any(|(_, beginnings)| takes(beginnings, figure));
    let mut further = joined(report, is_further, |figure| {
        let broken = if figure.holds() { "" } else { " (did not hold)" };
        format!("{} {}{broken}", figure.name(), figure.amount())
    });
    if let Some(why) = report.failure() {
        further = format!("it did not come to its end: {why}");
    }
    cells.push(("figures", further));
    cells
}

fn takes(beginnings: &[&str], figure: &Figure) -> bool {
    beginnings.iter().any(|beginning| figure.name().starts_with(beginning))
}

fn joined(report: &Report, pick: impl Fn(&Figure) -> bool, shown: impl Fn(&Figure) -> String) -> String {
    report.figures().iter().filter(|figure| pick(figure)).map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Bound;
    use super::*;

    fn carried(rto: f64, failure: Option<&str>) -> Carried {
        let mut report = Report::begin("restore", "t", "a");
        report.figure("rto_seconds", rto, "s", Bound::AtMost(60.0));
        report.figure("rows_lost", 0.0, "rows", Bound::Exactly(0.0));
        report.figure("rows_replayed", 9.0, "rows", Bound::AtLeast(10.0 - rto));
        report.end(failure.map(str::to_owned));
        Carried { command: "aqueduct drill restore".into(), report }
    }

    #[test]
    fn the_table_has_a_line_for_each_and_says_which_did_not_pass() {
        let drills = [carried(12.5, None), carried(0.0, None), carried(1.0, Some("the | broker\nwent away"))];
        let summary = Summary::of(&drills);
        assert!(!summary.passed() && Summary::of(&drills[..1]).passed());
        let page = summary.markdown();
        assert!(
            page.contains("| drill | verdict | took | RTO | RPO | lost | doubled | figures |\n|---|---|"),
            "{page}"
        );
        assert!(
            page.contains("| restore | passed | 0.0 s | 12.500 s |  | 0 rows |  | rows_replayed 9 rows |"),
            "{page}"
        );
        assert!(page.contains("| rows_replayed 9 rows (did not hold) |"), "{page}");
        assert!(page.contains("did not come to its end: the \\| broker went away |"), "{page}");
        let json = summary.json();
        assert_eq!(
            (&json["passed"], &json["drills"][0]["command"]),
            (&json!(false), &json!("aqueduct drill restore"))
        );
        assert!(!Summary::of(&[]).passed(), "nothing was practised");
    }
}
