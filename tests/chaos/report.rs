//! A line for each scenario, as a table for people and as JSON; and what the nodes of a broken one had to say.

use super::oracle::Findings;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines of each log that are shown with a failure; all of it is in the folder.
const LOG_LINES_SHOWN: usize = 30;
/// A promise to recover in time is about a machine with something to spare; where tests run, it may be busy.
const SLACK: u32 = 3;

/// How one run of one scenario ended.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub scenario: &'static str,
    pub seed: u64,
    pub faults: u32,
    pub recoveries: Vec<Duration>,
    /// What was promised of them.
    pub recovers_within: Option<Duration>,
    pub findings: Option<Findings>,
    pub peak_memory_mib: u64,
    pub took: Duration,
    pub notes: Vec<String>,
    /// What it panicked with.
    pub failure: Option<String>,
}

impl Line {
    pub fn is_clean(&self) -> bool {
        self.failure.is_none()
            && self.findings.as_ref().is_none_or(Findings::is_clean)
            && self.late_recovery().is_none()
    }

    /// The longest recovery, where that breaks the promise.
    fn late_recovery(&self) -> Option<String> {
        let (promised, longest) = (self.recovers_within?, *self.recoveries.iter().max()?);
        let late = longest > promised * SLACK;
        late.then(|| format!("recovered after {longest:.1?}, {SLACK} times {promised:?} are allowed"))
    }

    pub fn verdict(&self) -> &'static str {
        if self.is_clean() { "held" } else { "BROKEN" }
    }

    fn wrong(&self) -> String {
        let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} records {what}"));
        let (lost, doubled) =
            self.findings.as_ref().map_or((0, 0), |findings| (findings.lost, findings.doubled));
        let findings = self.findings.as_ref().map(|findings| findings.wrong.join("; "));
        [
            self.failure.clone(),
            counted(lost, "lost"),
            counted(doubled, "doubled"),
            findings,
            self.late_recovery(),
        ]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
    }

    fn row(&self) -> String {
        let findings = self.findings.clone().unwrap_or_default();
        let Findings { records, lost, doubled, dead_lettered, .. } = findings;
        let promise = self.recovers_within.map(|promised| format!(" (promised: {} s)", promised.as_secs()));
        let promise = promise.unwrap_or_default();
        format!(
            "| {} | {} | {records} | {lost} | {doubled} | {dead_lettered} | {} | {} | {} |",
            self.scenario,
            self.faults,
            distribution(&self.recoveries) + &promise,
            self.peak_memory_mib,
            self.verdict()
        )
    }
}

/// `median / 90 % / longest`, seconds; one figure where there is one.
fn distribution(durations: &[Duration]) -> String {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let at = |part: f64| {
        // The smallest that so many are not above.
        let rank = (part * sorted.len() as f64).ceil() as usize;
        format!("{:.1}", sorted[rank.clamp(1, sorted.len()) - 1].as_secs_f64())
    };
    match sorted.len() {
        0 => String::new(),
        1 => format!("{} s", at(1.0)),
        _ => format!("{} / {} / {} s", at(0.5), at(0.9), at(1.0)),
    }
}

/// All lines of a run.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub lines: Vec<Line>,
    pub took: Duration,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.lines.iter().all(Line::is_clean)
    }

    /// The sum of all lines.
    fn total(&self) -> Line {
        let mut total = Line { scenario: "**all**", ..Line::default() };
        let mut sum = Findings::default();
        for line in &self.lines {
            total.faults += line.faults;
            total.recoveries.extend(&line.recoveries);
            total.peak_memory_mib = total.peak_memory_mib.max(line.peak_memory_mib);
            let findings = line.findings.clone().unwrap_or_default();
            sum.records += findings.records;
            sum.lost += findings.lost;
            sum.doubled += findings.doubled;
            sum.dead_lettered += findings.dead_lettered;
        }
        total.findings = Some(sum);
        let broken = self.lines.iter().filter(|line| !line.is_clean()).count();
        total.failure = (broken > 0).then(|| format!("{broken} scenarios did not hold"));
        total
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| scenario | faults | records | lost | doubled | dead-lettered | recovery: median / 90 % / longest | peak MiB | verdict |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for line in self.lines.iter().chain([&self.total()]) {
            writeln!(text, "{}", line.row()).expect("text grows");
        }
        text
    }

    /// What scenarios had to say about themselves.
    fn notes(&self) -> String {
        let noted = self.lines.iter().filter(|line| !line.notes.is_empty());
        noted.map(|line| format!("- {}: {}\n", line.scenario, line.notes.join("; "))).collect()
    }

    /// What did not hold, how to see it again, and the end of what its nodes logged.
    pub fn failures(&self) -> String {
        let broken = self.lines.iter().filter(|line| !line.is_clean());
        let said = broken.map(|line| {
            format!(
                "{}: {}\n  again: AQUEDUCT_CHAOS_SEED={} AQUEDUCT_CHAOS_ONLY={} cargo test --release --test chaos\n{}",
                line.scenario,
                line.wrong(),
                self.seed,
                line.scenario,
                kept_logs(line.scenario)
            )
        });
        said.collect::<Vec<_>>().join("\n")
    }

    /// To the terminal itself: the test runner hides what a passing test prints.
    pub fn print(&self) {
        let mut out = std::io::stdout().lock();
        let seconds = self.took.as_secs();
        let (table, notes, failures) = (self.markdown(), self.notes(), self.failures());
        // Whoever reads it may be gone.
        let _ = writeln!(out, "\nchaos, seed {}, {seconds} s\n{table}\n{notes}\n{failures}", self.seed);
    }

    /// `target/chaos/report.md` and `report.json`.
    pub fn save(&self) {
        let folder = folder();
        std::fs::create_dir_all(&folder).expect("a folder for the report");
        let seconds = self.took.as_secs();
        let text = format!("Seed {}, {seconds} s.\n\n{}\n{}", self.seed, self.markdown(), self.notes());
        std::fs::write(folder.join("report.md"), text).expect("write the report");
        let line = |line: &Line| {
            let recoveries: Vec<f64> = line.recoveries.iter().map(Duration::as_secs_f64).collect();
            let findings = line.findings.clone().unwrap_or_default();
            json!({
                "scenario": line.scenario, "seed": line.seed, "faults": line.faults, "held": line.is_clean(),
                "records": findings.records, "lost": findings.lost, "doubled": findings.doubled,
                "dead_lettered": findings.dead_lettered, "wrong": line.wrong(), "notes": line.notes,
                "recovery_seconds": recoveries, "peak_memory_mib": line.peak_memory_mib,
                "seconds": line.took.as_secs_f64(),
            })
        };
        let report = json!({
            "seed": self.seed, "seconds": self.took.as_secs_f64(), "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&report).expect("plain data");
        std::fs::write(folder.join("report.json"), text).expect("write the report");
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/chaos")
}

fn logs_of(scenario: &str) -> PathBuf {
    folder().join("logs").join(scenario)
}

/// Those of an earlier run are none of this one.
pub fn forget_logs(scenario: &str) {
    // Most often there are none.
    let _ = std::fs::remove_dir_all(logs_of(scenario));
}

/// Keeps the logs of a scenario's nodes, which are in `from`.
pub fn keep_logs(scenario: &str, from: &Path) {
    let to = logs_of(scenario);
    std::fs::create_dir_all(&to).expect("a folder for the logs");
    for entry in std::fs::read_dir(from).expect("the world's folder").flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "log") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("keep a log");
        }
    }
}

/// The ends of the logs kept of a scenario.
fn kept_logs(scenario: &str) -> String {
    let mut text = String::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(logs_of(scenario))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        let log = std::fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
        writeln!(text, "  {}, its end:\n    {shown}", path.display()).expect("text grows");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn a_distribution_is_read_from_all_of_it() {
        assert_eq!(distribution(&[]), "");
        assert_eq!(distribution(&seconds(&[3])), "3.0 s");
        assert_eq!(distribution(&seconds(&[9, 1, 2])), "2.0 / 9.0 / 9.0 s");
        assert_eq!(distribution(&seconds(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1])), "5.0 / 9.0 / 10.0 s");
    }

    #[test]
    fn one_broken_line_breaks_the_whole() {
        let findings = |lost| Some(Findings { records: 10, lost, ..Findings::default() });
        let held = Line { scenario: "a.held", faults: 2, findings: findings(0), ..Line::default() };
        let lossy = Line { scenario: "a.lossy", findings: findings(1), ..Line::default() };
        let promise = Some(Duration::from_secs(2));
        let recovers = |seconds_taken: u64| Line {
            scenario: "a.recovers",
            recoveries: seconds(&[1, seconds_taken]),
            recovers_within: promise,
            ..Line::default()
        };
        assert!(recovers(6).is_clean());
        assert!(!recovers(7).is_clean() && recovers(7).wrong().contains("recovered after 7.0s"));
        assert!(recovers(7).row().contains("7.0 s (promised: 2 s)"));
        let fell = Line { scenario: "a.fell", failure: Some("it fell".into()), ..Line::default() };
        let report = |lines: Vec<Line>| Report { seed: 7, lines, took: Duration::ZERO };
        assert!(report(vec![held.clone()]).is_clean());
        for broken in [lossy.clone(), fell.clone()] {
            assert!(!report(vec![held.clone(), broken]).is_clean());
        }
        let report = report(vec![held, lossy, fell]);
        let last = report.markdown().lines().last().expect("a line").to_owned();
        assert_eq!(last, "| **all** | 2 | 20 | 1 | 0 | 0 |  | 0 | BROKEN |");
        let failures = report.failures();
        assert!(failures.contains("a.lossy") && failures.contains("it fell"), "{failures}");
    }
}
