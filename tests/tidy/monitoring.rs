//! Rules, runbooks and dashboards speak of what there is: metrics that a node has, commands that the product has, and each
//! alert of its runbook and back.

use crate::harness::rules::{Alert, alerts};
use aqueduct_config::monitoring;
use aqueduct_engine::telemetry::names;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

/// What Prometheus' clients call the figures of a process.
const OF_THE_PROCESS: &str = "process_";

/// Names of ours in a text: of metrics, with `_`, and of figures that rules record, with `:`.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_end_matches(':'));
    words.filter(|word| word.starts_with("aqueduct_") || word.starts_with("aqueduct:")).collect()
}

/// The metric that a series of a histogram belongs to.
fn metric(series: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series)
}

fn recorded() -> BTreeSet<&'static str> {
    let lines = monitoring::rules().into_iter().flat_map(|file| file.text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("- record: ")).collect()
}

#[test]
fn rules_and_dashboards_name_metrics_that_there_are() {
    let known: BTreeSet<&str> = names::ALL.iter().map(|metric| metric.name).chain(recorded()).collect();
    let mut unknown = Vec::new();
    for file in monitoring::all() {
        // Runbooks name tables too.
        if file.folder == "runbooks" {
            continue;
        }
        let of_file = named(file.text).into_iter().filter(|name| !known.contains(metric(name)));
        unknown.extend(of_file.map(|name| format!("{}/{}: {name}", file.folder, file.name)));
    }
    assert!(unknown.is_empty(), "no such metrics:\n{}", unknown.join("\n"));
    let used: String = monitoring::all().iter().map(|file| file.text).collect();
    assert!(used.contains(OF_THE_PROCESS) && !recorded().is_empty());
}

#[test]
fn names_are_found_in_expressions() {
    let text = "rate(aqueduct_a_bucket{x=\"1\"}[5m]) / aqueduct:b:sum and job=\"aqueduct\"";
    assert_eq!(named(text).into_iter().map(metric).collect::<Vec<_>>(), ["aqueduct:b:sum", "aqueduct_a"]);
}

#[test]
fn every_alert_says_all_that_whoever_is_woken_needs() {
    let all = alerts();
    let mut seen = BTreeSet::new();
    for alert in &all {
        let Alert { name, hold, within, severity, team, summary, file, .. } = alert;
        assert!(seen.insert(name), "{name} is there twice");
        assert!(name.starts_with("Aqueduct"), "{name}");
        assert!(["page", "ticket", "info"].contains(&severity.as_str()), "{name}: severity {severity}");
        assert!(["streaming", "data", "risk"].contains(&team.as_str()), "{name}: team {team}");
        assert!(summary.len() > 15, "{name}: summary `{summary}`");
        assert!(*within >= *hold + Duration::from_secs(30), "{name} holds {hold:?} and states {within:?}");
        let runbook = format!("{}{file}.md#{}", monitoring::RUNBOOKS_HERE, name.to_lowercase());
        assert_eq!(alert.runbook, runbook, "{name}");
    }
    assert!(all.len() > 35, "only {} alerts were read", all.len());
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let mut sections: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in monitoring::all().into_iter().filter(|file| file.folder == "runbooks") {
        let name = file.name.strip_suffix(".md").expect("a page");
        for section in file.text.split("\n## ").skip(1) {
            let (heading, text) = section.split_once('\n').expect("a text");
            sections.insert((name.to_owned(), heading.to_owned()), text.to_owned());
        }
    }
    let wanted: BTreeSet<_> = alerts().into_iter().map(|alert| (alert.file, alert.name)).collect();
    assert_eq!(sections.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    for ((_, alert), text) in &sections {
        for part in ["**Means.**", "**Confirm.**", "**Do.**", "**Do not.**"] {
            assert!(text.contains(part), "{alert} lacks {part}");
        }
    }
}

#[test]
fn every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() {
    for alert in alerts() {
        let file = format!("{}.yaml", alert.file);
        let tests = monitoring::all()
            .into_iter()
            .find(|tests| tests.folder == "alerts/tests" && tests.name == file)
            .unwrap_or_else(|| panic!("no tests/{file}"));
        for what in ["fires", "stays silent"] {
            let named = format!("- name: {} {what}\n", alert.name);
            assert!(tests.text.contains(&named), "{file} has no test `{} {what}`", alert.name);
        }
    }
}

/// What stands in code and begins with the product's name: the words that follow.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let pieces: Vec<&str> = if fenced {
            vec![line.trim_start_matches("$ ")]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        for piece in pieces.into_iter().filter_map(|piece| piece.strip_prefix("aqueduct ")) {
            found.push(piece.split_whitespace().map(str::to_owned).collect());
        }
    }
    found
}

#[test]
fn commands_that_pages_name_exist() {
    let page = std::fs::read_to_string(super::root().join("engine/docs/monitoring.md")).expect("the page");
    let runbooks = monitoring::all().into_iter().filter(|file| file.folder == "runbooks");
    let pages: Vec<(String, String)> = runbooks
        .map(|file| (file.name.to_owned(), file.text.to_owned()))
        .chain([("monitoring.md".to_owned(), page)])
        .collect();
    let mut asked = 0;
    let mut helps: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    for (page, text) in &pages {
        for words in commands(text) {
            let is_plain = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase());
            let command: Vec<String> = words.iter().take(2).take_while(is_plain).cloned().collect();
            let help = helps.entry(command.clone()).or_insert_with(|| help(&command));
            let help =
                help.as_ref().unwrap_or_else(|| panic!("{page}: no command `aqueduct {}`", words.join(" ")));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let name = flag.split('=').next().expect("a name");
                assert!(help.contains(name), "{page}: `aqueduct {}` has no {name}", words.join(" "));
            }
            asked += 1;
        }
    }
    assert!(asked > 20, "only {asked} commands were found");
}

/// What the binary says of a command; `None` if it has none of that name.
fn help(command: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(command)
        .arg("--help")
        .output()
        .expect("the binary starts");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn dashboards_can_be_loaded_side_by_side() {
    let mut uids = BTreeSet::new();
    for file in monitoring::dashboards() {
        let dashboard: Value =
            serde_json::from_str(file.text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
        let uid = dashboard["uid"].as_str().expect("a uid");
        assert_eq!(file.name, format!("{uid}.json"));
        assert!(uids.insert(uid.to_owned()), "{uid} is there twice");
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), panels.len(), "{uid}: ids are unique");
        for panel in panels {
            let title = panel["title"].as_str().filter(|title| !title.is_empty()).expect("a title");
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{uid}, {title}: whose data is asked in Grafana"
            );
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{uid}, {title}: no unit");
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{uid}, {title}");
        }
    }
    assert!(uids.len() >= 5);
}
