//! What is handed to Kubernetes, systemd, Docker and dpkg (`config/deploy`), without any of them at work: rendered, held to
//! their schemas and linters, and to what the binary itself knows.
//!
//! The tools are prebuilt and pinned by digest; they are installed once, below the build tree. Needs Python with pip, Node.js
//! with npm and, for the unit, systemd-analyze; a machine without the last says so and checks the unit's words alone.

mod compose;
mod debian;
mod image;
mod kubernetes;
mod rendered;
mod systemd;
pub mod tools;

use aqueduct_topology::Source;
use aqueduct_topology::settings::{ALL, Layer, Machine, NodeSettings, load_settings, resolve};
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> PathBuf {
    let path = root().join("config/deploy").join(name);
    assert!(path.exists(), "config/deploy/{name} is gone");
    path
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).expect("a text")
}

/// Variables of the servers' addresses.
const ADDRESSES: [&str; 3] = ["KAFKA_BOOTSTRAP", "TIMESCALE_URL", "REDIS_URL"];

/// Whether the binary knows a variable.
fn is_known(variable: &str) -> bool {
    let others = ["AQUEDUCT_CONFIG", "AQUEDUCT_ADMIN_TOKEN", "AQUEDUCT_NODE_URL"];
    ALL.iter().any(|setting| setting.variable == variable)
        || others.contains(&variable)
        || ADDRESSES.contains(&variable)
}

/// The settings that a text of `engine.yaml` leads to.
fn settings(text: &str) -> NodeSettings {
    let (layer, diagnostics) = load_settings(&Source::new("engine.yaml", text), &|_| None);
    let layer = layer.unwrap_or_else(|| panic!("the settings are refused: {diagnostics:?}"));
    let machine = Machine { name: "machine".to_owned(), cores: 2 };
    resolve(&Layer::default(), &Layer::default(), &layer, &machine)
}
