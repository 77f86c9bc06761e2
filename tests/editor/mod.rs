//! The schema in an editor: what a real YAML language server makes of it.
//!
//! The server is the one most editors carry (`package.json` pins it, `package-lock.json` the digest of every file of it). It
//! is installed once, below the build tree, and sees nothing but a file with the modeline of the README and the schema
//! that `aqueduct schema` prints beside it. Needs Node.js and npm; without them these tests fail and say so.

mod install;
mod server;

use aqueduct_topology::catalog::KINDS;
use serde_json::Value;
use server::Server;
use std::process::Command;

const MODELINE: &str = "# yaml-language-server: $schema=topology.schema.json\n";

/// A server that has read `text`, which has a mark `|`, and says what is asked at the mark.
fn editing(text: &str) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = Command::new(env!("CARGO_BIN_EXE_aqueduct")).arg("schema").output().expect("it starts");
    assert!(schema.status.success(), "{schema:?}");
    std::fs::write(folder.path().join("topology.schema.json"), schema.stdout).expect("written");
    Server::start(&install::server(), folder, &format!("{MODELINE}{text}"))
}

/// What of the catalog an author may write.
fn kinds() -> Vec<(&'static str, &'static str)> {
    KINDS.iter().filter(|kind| kind.built).map(|kind| (kind.name, kind.doc)).collect()
}

#[test]
fn completion_after_kind_lists_every_kind_with_what_it_does() {
    let mut server = editing("topology: t\nactors:\n  a:\n    kind: |\n");
    let offered = server.ask("completion");
    let offered = offered["items"].as_array().expect("a list");
    let mut found: Vec<(&str, &str)> = offered
        .iter()
        .map(|item| {
            let text = item["documentation"].as_str().or_else(|| item["documentation"]["value"].as_str());
            (item["label"].as_str().expect("a label"), text.unwrap_or_default())
        })
        .collect();
    let mut expected = kinds();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(expected.len() >= 7, "the catalog itself: {expected:?}");
}

#[test]
fn completion_of_a_key_offers_those_of_the_kind_only() {
    let mut server = editing("topology: t\nactors:\n  a:\n    kind: kafka_source\n    |\n");
    let offered = server.ask("completion");
    let labels: Vec<&str> = offered["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["label"].as_str())
        .collect();
    for key in ["topic", "start", "membership", "restart"] {
        assert!(labels.contains(&key), "{key} is not among {labels:?}");
    }
    for key in ["table", "order_by", "fields", "kind"] {
        assert!(!labels.contains(&key), "{key} is among {labels:?}");
    }
}

#[test]
fn hover_shows_the_catalogs_text() {
    let mut server = editing("topology: t\nactors:\n  a:\n    ki|nd: kafka_source\n    topic: md.raw\n");
    let shown = text(&server.ask("hover"));
    for (kind, doc) in kinds() {
        assert!(shown.contains(kind) && shown.contains(doc), "{kind}: {doc} is not in: {shown}");
    }
    let mut server = editing("topology: t\nactors:\n  a:\n    kind: kafka_source\n    member|ship: static\n");
    let shown = text(&server.ask("hover"));
    assert!(shown.contains("How a member is known to its group."), "{shown}");
}

#[test]
fn a_misspelt_key_is_marked_where_it_stands_and_a_sound_file_is_not() {
    let server = editing("topology: t\nactors:\n  a: { kind: kafka_source, topic: md.raw, |tpoic: x }\n");
    let found = server.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0]["message"].as_str().expect("a message").contains("tpoic"), "{found:?}");
    assert_eq!(found[0]["range"]["start"], server.mark(), "{found:?}");
    for example in aqueduct_config::topologies::all() {
        let found = editing(&format!("{}|", example.text)).findings();
        assert!(found.is_empty(), "{}: {found:?}", example.name);
    }
}

fn text(hover: &Value) -> String {
    hover["contents"]["value"].as_str().unwrap_or_default().to_owned()
}
