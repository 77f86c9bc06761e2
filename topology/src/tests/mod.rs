//! Whole files in, findings or topologies out.

mod accidents;
mod catalog;
mod drawing;
mod explain;
mod expressions;
mod foreign;
pub(crate) mod library;
mod render;
mod robust;
mod schema;
mod ui;

use crate::diagnostic::to_text;
use crate::model::Topology;
use crate::{Diagnostic, Source, load};

/// An environment with every part.
fn env(name: &str) -> Option<String> {
    match name {
        "KAFKA_BOOTSTRAP" => Some("127.0.0.1:19092".to_owned()),
        "TIMESCALE_URL" => Some("postgres://aqueduct:hidden@127.0.0.1:15432/aqueduct".to_owned()),
        "SCHEMA_REGISTRY_URL" => Some("http://reader:hidden@127.0.0.1:18081".to_owned()),
        "REDIS_URL" => Some("redis://:hidden@127.0.0.1:16379/0".to_owned()),
        file if file.ends_with("_FILE") => Some(format!("/run/secrets/{file}")),
        _ => None,
    }
}

fn read(text: &str) -> (Option<Topology>, Vec<Diagnostic>) {
    load(&Source::new("topology.yaml", text), &env)
}

/// A topology that must load, though perhaps with warnings.
fn accepted(text: &str) -> Topology {
    let (topology, diagnostics) = read(text);
    let shown = to_text(&Source::new("topology.yaml", text), &diagnostics, false);
    topology.unwrap_or_else(|| panic!("{shown}"))
}

/// A topology that must load without a word.
fn clean(text: &str) -> Topology {
    let (topology, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{}", to_text(&Source::new("topology.yaml", text), &diagnostics, false));
    topology.expect("a topology without findings")
}
