//! What manifests are rendered and held to: `kubectl`, the schemas of Kubernetes and of Compose, `hadolint`, `cargo-shear`.

use crate::harness::tools;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const PIP: [(&str, &str); 1] = [("requirements.txt", include_str!("requirements.txt"))];
/// A linter of Compose files, of which the schema alone is wanted.
const COMPOSE: &str = "dclint@3.1.0";
/// .. and what npm must find its archive to be.
const DIGEST: &str =
    "sha512-afTGdzRFUXK4yCpIiEW/LOR+9TOMEDhNldDp56VCWzn7JDmD451PcUi640GGlMHgbHKJ10rDBm4PtpcBbjqlXw==";

fn packages() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| tools::installed("deploy-python", &PIP, tools::pip))
}

/// One of the programs.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(packages().join("bin").join(name));
    command.current_dir(super::root());
    command
}

/// The schema of Compose files.
pub fn compose_schema() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let pin = [("pin", DIGEST)];
    let folder = INSTALLED.get_or_init(|| {
        tools::installed("deploy-compose", &pin, |folder| tools::npm_archive(folder, COMPOSE, DIGEST))
    });
    folder.join("package/schemas/compose.schema.json")
}

/// What `documents.py` says.
pub fn documents(arguments: &[&str]) -> Output {
    let script = super::root().join("tests/deploy/documents.py");
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).env("PYTHONPATH", packages()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().expect("python3 starts")
}

/// The documents of a YAML file, found to be as `arguments` ask.
pub fn read(arguments: &[&str]) -> Vec<Value> {
    let output = documents(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What a program prints, if it succeeds.
pub fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("text")
}
