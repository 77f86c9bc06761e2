//! The direction of dependencies between our crates, as `engine/docs/ARCHITECTURE.md` draws it.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// Each crate and the crates of ours it may depend on, tests and benches apart.
const ALLOWED: &[(&str, &[&str])] = &[
    ("aqueduct-topology", &[]),
    ("aqueduct-engine", &["aqueduct-topology"]),
    ("aqueduct-actors", &["aqueduct-engine", "aqueduct-topology"]),
    ("aqueduct-config", &[]),
    ("aqueduct-stack", &[]),
    (
        "aqueduct",
        &["aqueduct-actors", "aqueduct-config", "aqueduct-engine", "aqueduct-stack", "aqueduct-topology"],
    ),
    ("aqueduct-bench", &["aqueduct-actors", "aqueduct-engine", "aqueduct-stack", "aqueduct-topology"]),
];

/// Drivers and parsers that a pure crate must not reach, however indirectly it may wish to.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("aqueduct-topology", &["tokio", "rdkafka", "tokio-postgres", "bb8-redis", "actix", "axum"]),
    ("aqueduct-engine", &["rdkafka", "tokio-postgres", "bb8", "bb8-redis", "saphyr-parser"]),
];

/// Crates of ours and what each depends on directly.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(super::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let normal = |package: &cargo_metadata::Package| {
        let kept = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        kept.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

#[test]
fn crates_depend_only_downwards() {
    let actual = dependencies();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let ours: BTreeSet<&str> = actual.keys().map(String::as_str).collect();
    assert_eq!(ours, known, "a crate came or went: say here what it may depend on");
    for (name, allowed) in ALLOWED {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let used: BTreeSet<&str> =
            actual[*name].iter().map(String::as_str).filter(|used| known.contains(used)).collect();
        let extra: Vec<_> = used.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} must not depend on {extra:?}");
    }
}

#[test]
fn pure_crates_reach_no_driver() {
    let actual = dependencies();
    for (name, forbidden) in FORBIDDEN {
        let used: Vec<_> =
            forbidden.iter().filter(|crate_name| actual[*name].contains(**crate_name)).collect();
        assert!(used.is_empty(), "{name} must not depend on {used:?}");
    }
}

#[test]
fn within_the_engine_only_assembly_knows_the_topology() {
    let allowed =
        ["application", "assemble", "graph", "lifecycle/reload"].map(|file| format!("engine/src/{file}.rs"));
    for file in super::files(&[".rs"]) {
        let name = super::shown(&file);
        // Scenarios are tests: whole applications of scripted actors.
        let product = name.starts_with("engine/src/") && !name.starts_with("engine/src/scenarios/");
        if product && !allowed.contains(&name) {
            let text = std::fs::read_to_string(&file).expect("readable source");
            assert!(!text.contains("aqueduct_topology"), "{name} imports the topology; only {allowed:?} may");
        }
    }
}

#[test]
fn kinds_never_import_each_other() {
    let kinds = [
        "dead_letter",
        "kafka_sink",
        "kafka_source",
        "normalizer",
        "redis_cache",
        "replay_source",
        "timescale_writer",
    ];
    let mut read = 0;
    for file in super::files(&[".rs"]) {
        let name = super::shown(&file);
        let Some(kind) = kinds.iter().find(|kind| name.starts_with(&format!("actors/src/{kind}/"))) else {
            continue;
        };
        read += 1;
        let text = std::fs::read_to_string(&file).expect("readable source");
        for other in kinds.iter().filter(|other| *other != kind) {
            assert!(!text.contains(&format!("crate::{other}")), "{name} imports the kind {other}");
        }
    }
    assert!(read >= kinds.len(), "a kind lost its folder: only {read} files found");
}
