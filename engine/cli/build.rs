//! Puts the commit into `aqueduct --version`; without git the version says so instead of failing the build.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=engine/cli/build.rs");
    // Where HEAD really is (a worktree's `.git` is a file), and its log, which every commit grows.
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=AQUEDUCT_COMMIT={commit}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
