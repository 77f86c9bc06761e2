//! `aqueduct audit config`: what is said here beside what a node runs.

use super::plan::{FILE, Folder, Node, code, text};
use serde_json::Value;
use std::process::Output;

/// What every node here is started with, so that it asks for no fixed port.
const LISTEN: (&str, &str) = ("AQUEDUCT_ADMIN_LISTEN", "127.0.0.1:0");

fn audit(folder: &Folder, node: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = folder.aqueduct();
    command.args(["audit", "config", "--node", node]).args(arguments);
    command.env(LISTEN.0, LISTEN.1).envs(environment.iter().copied());
    command.output().expect("the binary starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {output:?}"))
}

fn line<'a>(report: &'a Value, setting: &str) -> &'a Value {
    let lines = report["settings"].as_array().expect("lines");
    lines.iter().find(|line| line["setting"] == setting).unwrap_or_else(|| panic!("no {setting}: {report}"))
}

#[test]
fn what_was_started_as_it_is_said_has_not_drifted() {
    let folder = Folder::new();
    folder.write("engine.yaml", "node: a1\nlog:\n  filter: info\narbiters: 2\n");
    let file = folder.write("t.yaml", FILE);
    let node = Node::start_with(&folder, &file, &[], &[]);
    let same = audit(&folder, &node.url, &["t.yaml"], &[]);
    assert_eq!(code(&same), 0, "{same:?}");
    let shown = text(&same.stdout);
    assert!(shown.ends_with("\nno drift\n") && shown.contains("no changes: "), "{shown}");
    assert!(shown.contains("arbiters") && shown.contains("engine.yaml:4"), "{shown}");
    // Said elsewhere, to the same end.
    folder.write("engine.yaml", "node: a1\n");
    let elsewhere = audit(&folder, &node.url, &[], &[("AQUEDUCT_ARBITERS", "2")]);
    assert_eq!(code(&elsewhere), 0, "{elsewhere:?}");
}

#[test]
fn every_drift_is_named_with_both_values_and_who_said_them() {
    let folder = Folder::new();
    folder.write("engine.yaml", "arbiters: 3\nmemory_budget: 4GiB\ndrain_deadline: 20s\n");
    let file = folder.write("t.yaml", FILE);
    let secret = ("AQUEDUCT_ADMIN_TOKEN", "hunter2-secret");
    let environment = [secret, ("AQUEDUCT_DRAIN_DEADLINE", "25s")];
    let node = Node::start_with(&folder, &file, &["--arbiters", "2"], &environment);
    folder.write("engine.yaml", "arbiters: 3\nmemory_budget: 8GiB\nwatchdog: { stuck_after: 30s }\n");
    folder.write("t.yaml", &FILE.replace("price > 0", "price >= 0"));
    let drifted = audit(&folder, &node.url, &["t.yaml", "--format", "json"], &[]);
    assert_eq!(code(&drifted), 1, "{drifted:?}");
    let report = json(&drifted);
    assert_eq!(report["drift"], true);
    let sides = |setting: &str| {
        let line = line(&report, setting);
        let side = |side: &str| {
            let word = |what: &str| line[side][what].as_str().expect("a text").to_owned();
            (word("value"), word("place"))
        };
        (line["drift"].as_bool().expect("a verdict"), side("here"), side("running"))
    };
    let said = |value: &str, place: &str| (value.to_owned(), place.to_owned());
    assert_eq!(sides("arbiters"), (true, said("3", "engine.yaml:1"), said("2", "--arbiters")));
    assert_eq!(sides("memory_budget"), (true, said("8GiB", "engine.yaml:2"), said("4GiB", "engine.yaml:2")));
    let variable = said("25s", "AQUEDUCT_DRAIN_DEADLINE");
    assert_eq!(sides("drain_deadline"), (true, said("30s", "default"), variable));
    let stuck = (false, said("30s", "engine.yaml:3"), said("30s", "default"));
    assert_eq!(sides("watchdog.stuck_after"), stuck);
    assert_eq!(report["admin_token"]["drift"], true, "the node has a token, and nobody here says one");
    assert_eq!(report["topology"]["changes"], true);
    let shown = audit(&folder, &node.url, &["t.yaml"], &[secret]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("~ actor trades (normalizer) restarts"), "{shown}");
    assert!(shown.contains("drift: 3 settings and the topology"), "{shown}");
    let whole = shown + &report.to_string();
    assert!(!whole.contains("hunter2"), "the token was shown: {whole}");
}

#[test]
fn a_node_that_is_away_ends_with_69_and_a_refused_file_with_78_before_anybody_is_asked() {
    let folder = Folder::new();
    folder.write("t.yaml", FILE);
    let away = "http://127.0.0.1:1";
    assert_eq!(code(&audit(&folder, away, &[], &[])), 69);
    assert_eq!(code(&audit(&folder, away, &["t.yaml"], &[])), 69);
    folder.write("broken.yaml", &FILE.replace("from: ticks", "from: tick"));
    assert_eq!(code(&audit(&folder, away, &["broken.yaml"], &[])), 78);
    assert_eq!(code(&audit(&folder, away, &["none.yaml"], &[])), 78);
    folder.write("engine.yaml", "arbitres: 2\n");
    let refused = audit(&folder, away, &[], &[]);
    assert_eq!(code(&refused), 78, "{refused:?}");
    let said = text(&refused.stderr);
    assert!(said.contains("engine.yaml:1:1") && said.contains("did you mean `arbiters`"), "{said}");
}
