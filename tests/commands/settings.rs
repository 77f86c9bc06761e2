//! A node's settings: the file that `new --engine` writes, and what is refused wherever it is said.

use super::plan::{FILE, Folder, code, text};
use serde_json::Value;

#[test]
fn the_file_that_is_written_is_accepted_and_never_overwritten() {
    let folder = Folder::new();
    let new = || folder.aqueduct().args(["new", "--engine"]).output().expect("the binary starts");
    assert_eq!(code(&new()), 0);
    let written = std::fs::read_to_string(folder.0.path().join("engine.yaml")).expect("it is there");
    assert_eq!(written, aqueduct_config::ENGINE);
    let refused = new();
    assert_eq!(code(&refused), 1, "{refused:?}");
    folder.write("t.yaml", FILE);
    let check = folder.aqueduct().args(["check", "t.yaml"]).output().expect("the binary starts");
    assert_eq!(code(&check), 0, "{check:?}");
}

#[test]
fn what_the_file_refuses_is_refused_in_the_environment_and_on_the_command_line() {
    let folder = Folder::new();
    folder.write("t.yaml", FILE);
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = folder.aqueduct();
        command.args(["run", "t.yaml"]).args(arguments).envs(environment.iter().copied());
        command.output().expect("the binary starts")
    };
    let variable = run(&[], &[("AQUEDUCT_DRAIN_DEADLINE", "30")]);
    assert_eq!(code(&variable), 78, "{variable:?}");
    let said = text(&variable.stderr);
    assert!(said.contains("AQUEDUCT_DRAIN_DEADLINE") && said.contains("give it a unit"), "{said}");
    let flag = run(&["--log-format", "jsn"], &[]);
    assert_eq!(code(&flag), 64, "{flag:?}");
    assert!(text(&flag.stderr).contains("did you mean `json`"), "{flag:?}");
    let empty = folder.write("token", " \n");
    let token = run(&["--admin-token-file", empty.to_str().expect("a plain path")], &[]);
    assert_eq!(code(&token), 78, "{token:?}");
}

#[test]
fn the_budget_of_file_and_environment_is_held_by_check_in_that_order() {
    let folder = Folder::new();
    folder.write("t.yaml", FILE);
    folder.write("engine.yaml", "memory_budget: 1MiB\n");
    let check = |environment: &[(&str, &str)]| {
        let mut command = folder.aqueduct();
        command.args(["check", "t.yaml"]).envs(environment.iter().copied());
        command.output().expect("the binary starts")
    };
    let over = check(&[]);
    assert_eq!(code(&over), 1, "{over:?}");
    assert!(text(&over.stderr).contains("T038"), "{over:?}");
    assert_eq!(code(&check(&[("AQUEDUCT_MEMORY_BUDGET", "8GiB")])), 0);
}

#[test]
fn the_schema_of_the_settings_is_closed() {
    let folder = Folder::new();
    let output = folder.aqueduct().args(["schema", "--of", "engine"]).output().expect("the binary starts");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["admin"]["properties"]["listen"]["default"], "127.0.0.1:9464");
}
