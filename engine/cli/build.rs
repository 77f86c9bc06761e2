//! Puts the commit into `aqueduct --version`: what `AQUEDUCT_COMMIT` says (an image is built without `.git`), else what git
//! does; without either the version says so instead of failing the build.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=engine/cli/build.rs");
    // Where HEAD really is (a worktree's `.git` is a file), and its log, which every commit grows.
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-env-changed=AQUEDUCT_COMMIT");
    let said = std::env::var_os("AQUEDUCT_COMMIT").and_then(|commit| commit.into_string().ok());
    let commit =
        said.filter(|commit| !commit.is_empty()).or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=AQUEDUCT_COMMIT={commit}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
