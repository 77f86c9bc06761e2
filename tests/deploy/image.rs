//! The Dockerfile and what is sent to whoever builds it.

use super::{file, root, text, tools};

/// Words of the instructions of one name, comments left out.
fn instructions(name: &str) -> Vec<String> {
    let joined = text("docker/Dockerfile").replace("\\\n", " ");
    let of_name = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').map(|rest| rest.trim().to_owned());
    joined.lines().filter_map(of_name).collect()
}

#[test]
fn hadolint_has_nothing_to_say() {
    let dockerfile = file("docker/Dockerfile");
    tools::printed(tools::program("hadolint").arg("--failure-threshold=style").arg(dockerfile));
}

#[test]
fn the_image_is_built_by_the_toolchain_of_the_workspace_and_runs_as_nobody() {
    let stages = instructions("FROM");
    assert!(stages.len() >= 2, "what builds stays behind: {stages:?}");
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let toolchain = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let toolchain = toolchain.expect("a version").trim_matches('"');
    assert!(
        stages[0].starts_with(&format!("rust:{toolchain}-")),
        "{stages:?}, but rust-version is {toolchain}"
    );
    assert!(stages.iter().all(|stage| stage.contains(':') && !stage.contains(":latest")), "{stages:?}");
    let user = instructions("USER").join(" ");
    assert!(
        user.starts_with(|digit: char| ('1'..='9').contains(&digit)),
        "{user}: a number that is not root's"
    );
    let entry: Vec<String> =
        serde_json::from_str(&instructions("ENTRYPOINT")[0]).expect("the form without a shell");
    assert_eq!(entry, ["/usr/bin/aqueduct"], "as the manifests say arguments alone");
    assert!(instructions("HEALTHCHECK")[0].contains("CMD [\"/usr/bin/aqueduct\","), "there is no shell");
}

#[test]
fn what_the_build_reads_is_sent_and_what_was_built_is_not() {
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).expect("a list");
    let ignored: Vec<&str> =
        ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(ignored.contains(&"**/target") && ignored.contains(&".git"), "{ignored:?}");
    let members = ["topology", "engine", "actors", "config", "config/stack", "bench", "tests", "Cargo.lock"];
    for member in members {
        assert!(root().join(member).exists(), "{member}");
        assert!(!ignored.contains(&member), "cargo needs {member}");
    }
}
