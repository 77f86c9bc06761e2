//! Commands of the product as people and scripts use them: to their end, by their exit and what they print.

use super::node::Node;
use super::world::World;
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

/// How long a node may take until it has nothing left to do.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// Runs a command that ends with `code`; where it does not, what it said is the report.
pub fn command(world: &World, code: i32, arguments: &[&str]) -> Output {
    let output = world.run(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        errors(&output)
    );
    output
}

/// What a command printed to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command that succeeds answers with `--format json`.
pub fn json(world: &World, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().chain(&["--format", "json"]).copied().collect();
    let output = command(world, 0, &arguments);
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

/// A file as an argument.
pub fn path(file: &Path) -> &str {
    file.to_str().expect("a plain path")
}

/// Runs a node until it has nothing left to do.
pub fn run_to_the_end(world: &World, file: &Path) {
    let node = Node::start(world, file, "run", &["--until-idle", "1s"]);
    assert_eq!(node.exit_code(IDLE_MAX), 0);
}
