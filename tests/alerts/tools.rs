//! What the tools of Prometheus and Alertmanager say of our files, as `aqueduct new --monitoring` writes them.

use aqueduct_stack::prometheus::Tools;
use aqueduct_stack::{Lifetime, Options, progress};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub fn tools() -> Tools {
    let options = Options::from_env("tools", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Tools::provision(&options, &*progress::on_stderr()).unwrap_or_else(|error| panic!("{error}"))
}

/// What the command writes, in a folder that is deleted with the first of the two.
fn written(arguments: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().expect("a temporary folder");
    let folder = above.path().join("monitoring");
    let output = new(&folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (above, folder)
}

fn new(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    command.args(["new", "--monitoring"]).arg(folder).args(arguments).output().expect("the binary starts")
}

/// Runs a tool to its end, which must be a good one; gives what it printed.
fn good(program: &Path, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().expect("the tool starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}:\n{text}", program.display());
    text
}

#[test]
fn each_alert_fires_in_time_and_is_silent_on_a_near_miss() {
    let (_above, folder) = written(&[]);
    let tests = aqueduct_config::monitoring::all().into_iter().filter(|file| file.folder == "alerts/tests");
    let files: Vec<String> = tests.map(|file| format!("alerts/tests/{}", file.name)).collect();
    let mut arguments = vec!["test", "rules"];
    arguments.extend(files.iter().map(String::as_str));
    good(&tools().promtool, &arguments, &folder);
}

#[test]
fn the_configuration_of_prometheus_and_its_rules_are_accepted() {
    let (_above, folder) = written(&["--runbooks", "https://wiki.example/aqueduct"]);
    let said = good(&tools().promtool, &["check", "config", "alerts/prometheus.yaml"], &folder);
    assert!(
        said.contains(&format!("{} rule files found", aqueduct_config::monitoring::rules().len())),
        "{said}"
    );
    let text = std::fs::read_to_string(folder.join("alerts/lag.rules.yaml")).expect("it is there");
    assert!(text.contains("runbook_url: https://wiki.example/aqueduct/lag.md#aqueductlagold"), "{text}");
    let again = new(&folder, &[]);
    assert_eq!(again.status.code(), Some(1), "what is there is left alone");
}

#[test]
fn every_alert_finds_whoever_must_know() {
    let (_above, folder) = written(&[]);
    let amtool = tools().amtool;
    good(&amtool, &["check-config", "alerts/alertmanager.yaml"], &folder);
    let routes = [
        ("team=streaming severity=page", "streaming-pager"),
        ("team=streaming severity=ticket", "streaming-tickets"),
        ("team=data severity=page", "data-pager"),
        ("team=data severity=ticket", "data-tickets"),
        ("team=risk severity=page", "risk-pager"),
        ("team=risk severity=ticket", "risk-tickets"),
        ("team=streaming severity=info", "nobody"),
    ];
    for (labels, receiver) in routes {
        let mut arguments = vec!["config", "routes", "test", "--config.file=alerts/alertmanager.yaml"];
        arguments.push(Box::leak(format!("--verify.receivers={receiver}").into_boxed_str()));
        arguments.extend(labels.split(' '));
        good(&amtool, &arguments, &folder);
    }
    for alert in crate::harness::rules::alerts() {
        let labels = format!("team={} severity={}", alert.team, alert.severity);
        let known = routes.iter().any(|(known, _)| *known == labels) || alert.severity == "info";
        assert!(known, "{}: nobody is named for {labels}", alert.name);
    }
}

/// What `promtool check metrics` says of a page.
pub fn complaints(page: &str) -> String {
    let mut child = Command::new(tools().promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    child.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
