//! `aqueduct audit config [FILE]`: settings and topology as they would be read now, beside what a node runs.
//!
//! What is here is read first: a file that is refused ends the audit before anybody is asked. Run it where the node was
//! started, in the same environment; elsewhere the environment's difference is what it reports. A secret is compared by
//! whether there is one. With a manifest, what it would tell a node takes the place of what holds here.

use super::manifest;
use crate::exit::Exit;
use crate::http::Node;
use crate::output::{Format, counted};
use crate::settings::{Config, Here};
use crate::{file, identity, plan};
use anyhow::{Context, Result, bail};
use aqueduct_topology::plan::Plan;
use aqueduct_topology::settings::{ALL, Setting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Who said what a manifest leaves to whoever carries it out.
pub(super) const ELSEWHERE: &str = "elsewhere";

/// Settings whose default is the machine's: two machines that both say nothing have not drifted apart.
const OF_THE_MACHINE: [&str; 2] = ["node", "arbiters"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file that the node should run; without it only the settings are compared.
    file: Option<PathBuf>,
    /// The deployment manifest that starts the node, in place of this machine's settings: a Compose file, or what
    /// `kubectl kustomize` renders.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    node: Node,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A setting on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) value: Option<String>,
    pub(super) origin: String,
    pub(super) place: String,
}

/// The admin token on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) set: bool,
    pub(super) place: Option<String>,
}

/// What `/api/settings` says; a newer node may say more.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) file: Option<String>,
    pub(super) settings: BTreeMap<String, Side>,
    pub(super) admin_token: Token,
}

#[derive(Debug, Serialize)]
struct Line {
    setting: &'static str,
    here: Side,
    /// None where the node knows no such setting.
    running: Option<Side>,
    drift: bool,
}

#[derive(Debug, Serialize)]
struct Tokens {
    here: Token,
    running: Token,
    drift: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    drift: bool,
    node: String,
    /// The settings file read here.
    file: Option<String>,
    /// The one the node read.
    running_file: Option<String>,
    settings: Vec<Line>,
    admin_token: Tokens,
    topology: Option<Plan>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let here: Shown = match &arguments.manifest {
        Some(manifest) => manifest::read(manifest)?,
        None => serde_json::from_value(Here::read(&arguments.config, Default::default())?.shown())?,
    };
    let topology = match &arguments.file {
        Some(file) => Some(identity::of(&file::read(file)?.accepted()?)),
        None => None,
    };
    let running = ask(&arguments.node)?;
    let topology = match topology {
        Some(form) => Some(Plan::between(&plan::running(&arguments.node)?, &form)),
        None => None,
    };
    let report = compare(&arguments.node.url, here, running, topology);
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => write!(out, "{}", text(&report))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(if report.drift { Exit::Failed } else { Exit::Ok })
}

fn ask(node: &Node) -> Result<Shown> {
    let answer = node.get("/api/settings")?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .context("the node's settings cannot be read; it runs another version of Aqueduct"),
        401 | 403 => {
            bail!("the node shows its settings to nobody without its token; set AQUEDUCT_ADMIN_TOKEN")
        }
        404 => bail!("the node at {} does not tell its settings; it runs an older version", node.url),
        status => {
            bail!(
                "the node at {} answered {status}: {}",
                node.url,
                String::from_utf8_lossy(&answer.body).trim()
            )
        }
    }
}

fn compare(node: &str, here: Shown, running: Shown, topology: Option<Plan>) -> Report {
    let settings: Vec<Line> = ALL
        .iter()
        .map(|setting| line(setting, here.settings[setting.key].clone(), running.settings.get(setting.key)))
        .collect();
    let drift = here.admin_token.set != running.admin_token.set;
    let admin_token = Tokens { here: here.admin_token, running: running.admin_token, drift };
    let drifted = settings.iter().any(|line| line.drift)
        || admin_token.drift
        || topology.as_ref().is_some_and(|plan| plan.changes);
    Report {
        drift: drifted,
        node: node.to_owned(),
        file: here.file,
        running_file: running.file,
        settings,
        admin_token,
        topology,
    }
}

fn line(setting: &'static Setting, here: Side, running: Option<&Side>) -> Line {
    let is_elsewhere = here.origin == ELSEWHERE;
    let drift = running.is_none_or(|running| {
        let silent = here.origin == "default" && running.origin == "default";
        !is_elsewhere && running.value != here.value && !(silent && OF_THE_MACHINE.contains(&setting.key))
    });
    Line { setting: setting.key, here, running: running.cloned(), drift }
}

fn text(report: &Report) -> String {
    let file = |file: &Option<String>| file.as_deref().unwrap_or("no settings file").to_owned();
    let mut rows = vec![["", "setting", "here", "said by", "running", "said by"].map(str::to_owned)];
    let mark = |drift: bool| if drift { "!" } else { "" }.to_owned();
    let none = || "none".to_owned();
    for line in &report.settings {
        let (value, place) = match &line.running {
            Some(side) => (side.value.clone().unwrap_or_else(none), side.place.clone()),
            None => ("unknown".to_owned(), String::new()),
        };
        let here = match &*line.here.origin {
            ELSEWHERE => ELSEWHERE.to_owned(),
            _ => line.here.value.clone().unwrap_or_else(none),
        };
        rows.push([mark(line.drift), line.setting.to_owned(), here, line.here.place.clone(), value, place]);
    }
    let token = |token: &Token| match &token.place {
        Some(place) if token.set => ("set".to_owned(), place.clone()),
        _ => (none(), String::new()),
    };
    let (here, running) = (token(&report.admin_token.here), token(&report.admin_token.running));
    let drift = mark(report.admin_token.drift);
    rows.push([drift, "admin token".to_owned(), here.0, here.1, running.0, running.1]);
    let mut text = format!(
        "settings: {} here, {} on the node at {}\n",
        file(&report.file),
        file(&report.running_file),
        report.node
    );
    table(&rows, &mut text);
    if let Some(plan) = &report.topology {
        let _ = write!(text, "\ntopology: what the file would change on the node\n{plan}");
    }
    let _ = writeln!(text, "\n{}", verdict(report));
    text
}

fn verdict(report: &Report) -> String {
    let differ = report.settings.iter().filter(|line| line.drift).count();
    let differ = differ + usize::from(report.admin_token.drift);
    let topology = report.topology.as_ref().is_some_and(|plan| plan.changes);
    let settings = (differ > 0).then(|| counted(differ, "setting"));
    let drifted: Vec<String> =
        settings.into_iter().chain(topology.then(|| "the topology".to_owned())).collect();
    match drifted.is_empty() {
        true => "no drift".to_owned(),
        false => format!("drift: {}; a restart would take over what is here", drifted.join(" and ")),
    }
}

fn table(rows: &[[String; 6]], text: &mut String) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(value: Option<&str>, origin: &str) -> Side {
        Side { value: value.map(str::to_owned), origin: origin.to_owned(), place: origin.to_owned() }
    }

    fn drifts(key: &str, here: Side, running: Option<&Side>) -> bool {
        let setting = ALL.iter().find(|setting| setting.key == key).expect("a setting");
        line(setting, here, running).drift
    }

    #[test]
    fn what_counts_is_the_value_and_not_who_said_it() {
        let four = side(Some("4"), "file");
        assert!(!drifts("arbiters", four.clone(), Some(&side(Some("4"), "flag"))));
        assert!(drifts("arbiters", four.clone(), Some(&side(Some("8"), "flag"))));
        assert!(drifts("arbiters", four, Some(&side(Some("2"), "default"))));
        assert!(drifts("memory_budget", side(None, "default"), Some(&side(Some("1GiB"), "file"))));
        assert!(
            drifts("drain_deadline", side(Some("30s"), "default"), None),
            "the node knows no such setting"
        );
    }

    #[test]
    fn two_machines_that_say_nothing_have_not_drifted_but_two_versions_have() {
        let default = |value: &str| side(Some(value), "default");
        assert!(!drifts("node", default("laptop"), Some(&default("server"))));
        assert!(!drifts("arbiters", default("8"), Some(&default("2"))));
        assert!(drifts("drain_deadline", default("30s"), Some(&default("60s"))));
    }
}
