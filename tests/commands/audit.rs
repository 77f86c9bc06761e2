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

/// A node's service as Compose has it, and rendered manifests as a cluster would get them, which say the same.
const COMPOSE: &str = "services:\n  node:\n    image: aqueduct:1\n    command: [run, t.yaml]\n    environment:\n      \
    AQUEDUCT_NODE: a1\n      AQUEDUCT_ARBITERS: \"2\"\n      AQUEDUCT_ADMIN_LISTEN: 127.0.0.1:0\n      \
    AQUEDUCT_ADMIN_TOKEN: ${TOKEN:?say it}\n";
const RENDERED: &str = "kind: ConfigMap\nmetadata: { name: s }\ndata:\n  engine.yaml: |\n    arbiters: 2\n    \
    admin: { listen: \"127.0.0.1:0\", token_file: /run/token }\n---\nkind: StatefulSet\nspec:\n  template:\n    spec:\n      \
    containers:\n        - image: aqueduct:1\n          args: [run, t.yaml]\n          env:\n            \
    - { name: AQUEDUCT_NODE, valueFrom: { fieldRef: { fieldPath: metadata.name } } }\n      volumes:\n        \
    - { name: c, configMap: { name: s } }\n";

#[test]
fn a_manifest_is_held_against_the_node_that_it_started() {
    let folder = Folder::new();
    let file = folder.write("t.yaml", FILE);
    let secret = ("AQUEDUCT_ADMIN_TOKEN", "hunter2-secret");
    let node = Node::start_with(&folder, &file, &["--node", "a1", "--arbiters", "2"], &[secret]);
    folder.write("compose.yaml", COMPOSE);
    folder.write("rendered.yaml", RENDERED);
    for manifest in ["compose.yaml", "rendered.yaml"] {
        let arguments = ["--manifest", manifest, "--format", "json"];
        let same = audit(&folder, &node.url, &arguments, &[secret]);
        let report = json(&same);
        // The node listens on a port that it chose, whatever the manifest says.
        assert_eq!(report["admin_token"]["drift"], false, "{report}");
        for setting in ["node", "arbiters", "log.filter", "drain_deadline"] {
            assert_eq!(line(&report, setting)["drift"], false, "{manifest}: {setting}: {report}");
        }
        folder.write(
            manifest,
            &std::fs::read_to_string(folder.0.path().join(manifest)).unwrap().replace('2', "3"),
        );
        let drifted = audit(&folder, &node.url, &arguments, &[secret]);
        assert_eq!(code(&drifted), 1, "{drifted:?}");
        let report = json(&drifted);
        let arbiters = line(&report, "arbiters");
        assert_eq!(
            (&arbiters["drift"], &arbiters["here"]["value"]),
            (&true.into(), &"3".into()),
            "{arbiters}"
        );
        assert!(arbiters["here"]["place"].as_str().expect("a place").contains(manifest), "{arbiters}");
    }
    let elsewhere = line(
        &json(&audit(&folder, &node.url, &["--manifest", "rendered.yaml", "--format", "json"], &[])),
        "node",
    )
    .clone();
    assert_eq!(elsewhere["here"]["origin"], "elsewhere", "{elsewhere}");
    assert_eq!(elsewhere["running"]["value"], "a1", "{elsewhere}");
}

#[test]
fn a_manifest_that_starts_no_node_or_says_what_no_node_takes_is_refused() {
    let folder = Folder::new();
    let away = "http://127.0.0.1:1";
    let cases = [
        ("services: { db: { image: postgres } }\n".to_owned(), "starts no node"),
        ("a: [\n".to_owned(), "T001"),
        (COMPOSE.replace("\"2\"", "\"0\""), "compose.yaml:7: AQUEDUCT_ARBITERS"),
    ];
    for (text, why) in cases {
        folder.write("compose.yaml", &text);
        let refused = audit(&folder, away, &["--manifest", "compose.yaml"], &[]);
        assert_eq!(code(&refused), 78, "{why}: {refused:?}");
        assert!(super::plan::text(&refused.stderr).contains(why), "{why}: {refused:?}");
    }
}
