//! The Debian package: what its description names is there.

use super::{root, tools};
use cargo_metadata::MetadataCommand;
use serde_json::Value;
use std::process::Command;

fn description() -> Value {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.expect("cargo metadata runs");
    let package = metadata.packages.iter().find(|package| *package.name == "aqueduct").expect("the package");
    package.metadata["deb"].clone()
}

/// Source, place in the system, mode.
fn assets(description: &Value) -> Vec<[String; 3]> {
    let assets = serde_json::from_value(description["assets"].clone()).expect("assets of three");
    assert!(!Vec::is_empty(&assets));
    assets
}

#[test]
fn every_file_of_the_package_is_there_or_made_by_the_script_that_makes_it() {
    let description = description();
    let script = std::fs::read_to_string(root().join("config/deploy/debian/build.sh")).expect("the script");
    let assets = assets(&description);
    for [source, place, mode] in &assets {
        match source.strip_prefix("target/") {
            Some(made) => {
                let folder = made.rsplit_once('/').map_or(made, |(folder, _)| folder);
                let named = folder == "release" || script.contains(&format!("target/{folder}"));
                assert!(named, "nobody makes {source}");
            }
            None => assert!(root().join(source).is_file(), "{source} is not there"),
        }
        assert!(!place.starts_with('/') && (mode == "644" || mode == "755"), "{source} {place} {mode}");
    }
    for kept in description["conf-files"].as_array().expect("a list") {
        let kept = kept.as_str().expect("a path").trim_start_matches('/');
        assert!(assets.iter().any(|[_, place, _]| place == kept), "{kept} is kept, and not in the package");
    }
    assert!(root().join(description["license-file"][0].as_str().expect("a file")).is_file());
    let scripts = root().join(description["maintainer-scripts"].as_str().expect("a folder"));
    assert!(scripts.join("postinst").is_file());
}

#[test]
fn the_unit_runs_the_binary_where_the_package_puts_it() {
    let assets = assets(&description());
    let place = |of: &str| {
        let found = assets.iter().find(|[source, ..]| source.ends_with(of));
        let [_, place, _] = found.unwrap_or_else(|| panic!("no {of}"));
        place.clone()
    };
    assert_eq!(place("release/aqueduct"), "usr/bin/");
    assert_eq!(place("aqueduct@.service"), "usr/lib/systemd/system/");
}

#[test]
fn the_binary_makes_the_pages_and_completions_that_the_script_asks_it_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let aqueduct = || Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    tools::printed(aqueduct().arg("man").arg(folder.path()));
    assert!(folder.path().join("aqueduct.1").is_file());
    for shell in ["bash", "zsh", "fish"] {
        assert!(tools::printed(aqueduct().args(["completions", shell])).contains("aqueduct"), "{shell}");
    }
}
