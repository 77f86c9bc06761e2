//! The report: what was measured, as data, as a page and as charts. It is written anew after each part, so that whatever
//! happens to a later one, the earlier ones are there.

mod chart;
mod flame;
mod goals;
mod page;
mod section;

use crate::parts::Outcome;
use crate::parts::drain::Comparison;
use crate::parts::kill::Killed;
use crate::parts::nodes::Shared;
use crate::parts::outage::Outage;
use crate::parts::scale::Series;
use crate::parts::steady::Steady;
use crate::profile::Folded;
use crate::programs::Program;
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

pub use section::{check as check_pages, insert as insert_into};

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By what, where and when.
    pub made: Made,
    /// Closed loop.
    pub drains: Vec<Comparison>,
    /// Open loop: who, ticks a second, what came of it.
    pub steady: Vec<(Program, u64, Outcome<Steady>)>,
    /// `kill -9`.
    pub kills: Vec<(Program, Outcome<Killed>)>,
    /// The database is stopped for long.
    pub outage: Option<Outcome<Outage>>,
    /// What a row costs as things grow.
    pub scale: Vec<Series>,
    /// Several nodes.
    pub nodes: Vec<(usize, Outcome<Shared>)>,
    /// Where the engine's time went, if that was asked for.
    #[serde(skip)]
    pub profile: Option<Outcome<Folded>>,
    /// Parts that failed as a whole, and why.
    pub failures: Vec<(String, String)>,
    /// How long all of it took, so far.
    pub seconds: f64,
}

/// By what, where and when a report was made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// The command, as one would type it.
    pub command: String,
    /// `aqueduct --version`.
    pub version: String,
    /// RFC 3339, in UTC.
    pub at: String,
    /// Cores.
    pub cores: usize,
    /// The processor, as it calls itself.
    pub processor: String,
}

impl Made {
    /// Now, on this machine, of this engine.
    pub fn now(binary: &Path, command: String) -> Result<Self> {
        let version =
            std::process::Command::new(binary).arg("--version").output().context("ask the engine")?;
        let at = jiff::Timestamp::try_from(std::time::SystemTime::now())?;
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            command,
            version: String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned(),
            at: format!("{at:.0}"),
            cores: std::thread::available_parallelism()?.get(),
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
        })
    }
}

impl Report {
    /// Nothing measured yet.
    pub fn new(made: Made) -> Self {
        Self {
            made,
            drains: Vec::new(),
            steady: Vec::new(),
            kills: Vec::new(),
            outage: None,
            scale: Vec::new(),
            nodes: Vec::new(),
            profile: None,
            failures: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Writes `report.md`, `report.json` and the charts into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let put = |name: &str, text: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        put("report.json", &serde_json::to_vec_pretty(self)?)?;
        let charts = page::charts(self);
        for chart in &charts {
            put(&chart.file, chart.svg.as_bytes())?;
        }
        if let Some(folded) = self.profile.as_ref().and_then(Outcome::figures) {
            put(page::FLAME, flame::svg(folded).as_bytes())?;
            let lines: Vec<String> =
                folded.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect();
            put("profile.folded", lines.concat().as_bytes())?;
        }
        put("report.md", page::whole(self, &charts).as_bytes())
    }

    /// The section of a page that somebody else writes the rest of.
    pub fn section(&self) -> String {
        page::short(self)
    }
}
