//! A line for each scenario, as a table for people and as JSON.

use super::oracle::Findings;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How one run of one scenario ended.
#[derive(Clone, Debug)]
pub struct Line {
    pub scenario: &'static str,
    pub seed: u64,
    pub faults: u32,
    pub recoveries: Vec<Duration>,
    pub findings: Option<Findings>,
    pub peak_memory_mib: u64,
    pub took: Duration,
    pub notes: Vec<String>,
    /// What it panicked with.
    pub failure: Option<String>,
}

impl Line {
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.findings.as_ref().is_none_or(Findings::is_clean)
    }

    /// The median and the longest time to recover.
    fn recovery(&self) -> String {
        let mut sorted = self.recoveries.clone();
        sorted.sort();
        let seconds = |duration: &Duration| format!("{:.1} s", duration.as_secs_f64());
        match (sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(median), Some(longest)) if sorted.len() > 1 => {
                format!("{} (at most {})", seconds(median), seconds(longest))
            }
            (Some(only), _) => seconds(only),
            _ => String::new(),
        }
    }

    fn wrong(&self) -> String {
        let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} records {what}"));
        let (lost, doubled) =
            self.findings.as_ref().map_or((0, 0), |findings| (findings.lost, findings.doubled));
        let findings = self.findings.as_ref().map(|findings| findings.wrong.join("; "));
        [self.failure.clone(), counted(lost, "lost"), counted(doubled, "doubled"), findings]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
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

    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| scenario | faults | records | lost | doubled | dead-lettered | recovery, median | peak MiB | verdict |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let findings = line.findings.clone().unwrap_or_default();
            let Findings { records, lost, doubled, dead_lettered, .. } = findings;
            let verdict = if line.is_clean() { "held" } else { "BROKEN" };
            writeln!(
                text,
                "| {} | {} | {records} | {lost} | {doubled} | {dead_lettered} | {} | {} | {verdict} |",
                line.scenario,
                line.faults,
                line.recovery(),
                line.peak_memory_mib
            )
            .expect("text grows");
        }
        text
    }

    /// What did not hold, and how to see it again.
    pub fn failures(&self) -> String {
        let broken = self.lines.iter().filter(|line| !line.is_clean());
        let said = broken.map(|line| {
            format!(
                "{}: {}\n  again: AQUEDUCT_CHAOS_SEED={} AQUEDUCT_CHAOS_ONLY={} cargo test --release chaos::",
                line.scenario,
                line.wrong(),
                self.seed,
                line.scenario
            )
        });
        said.collect::<Vec<_>>().join("\n")
    }

    /// To the terminal itself: the test runner hides what a passing test prints.
    pub fn print(&self) {
        let mut out = std::io::stdout().lock();
        let seconds = self.took.as_secs();
        // Whoever reads it may be gone.
        let _ =
            writeln!(out, "\nchaos, seed {}, {seconds} s\n{}{}", self.seed, self.markdown(), self.failures());
    }

    /// `target/chaos/report.md` and `report.json`.
    pub fn save(&self) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/chaos");
        std::fs::create_dir_all(&folder).expect("a folder for the report");
        std::fs::write(folder.join("report.md"), self.markdown()).expect("write the report");
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
