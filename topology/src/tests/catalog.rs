//! The catalog and lowering say the same.
//!
//! `Keys` asserts that lowering asks for listed keys only, and, whenever a part is read in a test, for all of them.
//! What is left to show is that one file has every part, every key and every kind that is built.

use super::{accepted, clean};
use crate::catalog::{COMMON, FILE, KINDS, Key, Shape};
use crate::model::{Restart, Start};

const EVERYTHING: &str = include_str!("../../tests/library/everything.yaml");

fn assert_written(keys: &[Key], path: &str) {
    for key in keys {
        let written = EVERYTHING.lines().any(|line| {
            let bare = line.split('#').next().unwrap_or_default();
            bare.split([' ', '{', '[']).any(|word| word == format!("{}:", key.name))
        });
        assert!(written, "the file with everything lacks `{path}{}`", key.name);
        assert_shape(key.shape, &format!("{path}{}.", key.name));
    }
}

fn assert_shape(shape: Shape, path: &str) {
    match shape {
        Shape::Part(keys) => assert_written(keys, path),
        Shape::ListOf(shape) | Shape::MapOf(shape) => assert_shape(*shape, path),
        Shape::Either(one, other) => {
            assert_shape(*one, path);
            assert_shape(*other, path);
        }
        _ => {}
    }
}

#[test]
fn lowering_reads_every_key_of_the_catalog() {
    let topology = accepted(EVERYTHING);
    assert_written(FILE, "");
    assert_written(COMMON, "actor.");
    for kind in KINDS.iter().filter(|kind| kind.built) {
        assert!(topology.actors.iter().any(|actor| actor.kind.name() == kind.name), "no {}", kind.name);
        assert_written(kind.keys, &format!("{}.", kind.name));
    }
}

#[test]
fn what_was_written_is_what_is_meant() {
    let topology = accepted(EVERYTHING);
    let names: Vec<&str> =
        topology.supervisors.iter().map(|supervisor| supervisor.name.value.as_str()).collect();
    assert_eq!(names, ["root", "read"]);
    let children: Vec<&str> =
        topology.supervisors[0].children.iter().map(|child| child.value.as_str()).collect();
    assert_eq!(
        children,
        [
            "dead_letter",
            "read",
            "trades",
            "history",
            "cache",
            "copy",
            "gate",
            "verdicts",
            "keeper",
            "bars",
            "files",
            "fills",
            "bare",
            "known",
            "fills_copy",
            "bare_copy",
            "known_copy"
        ]
    );
    assert!((topology.supervisors[1].backoff.jitter - 0.1).abs() < 1e-9);
    let live = topology.actor("live").expect("live");
    assert_eq!((live.restart, live.shutdown.as_secs()), (Restart::Transient, 5));
    let crate::model::Kind::KafkaSource(source) = &live.kind else { panic!("a source") };
    assert_eq!(source.start.value, Start::At(1_767_225_600_000_000));
    let crate::model::Kind::ReplaySource(replay) = &topology.actor("recorded").expect("recorded").kind else {
        panic!("a replay")
    };
    assert_eq!((replay.repeat, replay.speed, replay.partitions), (None, Some(2.5), 4));
    let sources: Vec<&str> =
        topology.sources_of("copy").iter().map(|source| source.name.value.as_str()).collect();
    assert_eq!(sources, ["live", "recorded"]);
    assert_eq!(topology.actor("history").map(|actor| actor.id.value.as_str()), Some("history-2"));
    let nullable: Vec<&str> = topology
        .input_columns("cache")
        .into_iter()
        .filter(|column| column.nullable)
        .map(|column| match column.name.as_str() {
            "side" => "side",
            other => panic!("{other} is nullable"),
        })
        .collect();
    assert_eq!(nullable, ["side"]);
}

#[test]
fn without_any_connection_the_environment_says_where_the_parts_are() {
    use secrecy::ExposeSecret;
    let topology = clean(super::library::MD_TRADES);
    let connections = &topology.connections;
    assert_eq!(
        connections.kafka.as_ref().map(|kafka| kafka.bootstrap.value.as_str()),
        Some("127.0.0.1:19092")
    );
    let url = connections.timescale.as_ref().map(|timescale| timescale.url.expose_secret().to_owned());
    assert_eq!(url.as_deref(), Some("postgres://aqueduct:hidden@127.0.0.1:15432/aqueduct"));
    assert!(connections.redis.is_some());
    let books = clean(super::library::BOOKS);
    assert!(books.connections.timescale.is_none(), "nothing needs a database");
}
