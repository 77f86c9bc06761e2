//! The actors of a lane, made of those of the topology. Pure.

use aqueduct_topology::model::{
    Actor, Kind, ReplayFormat, ReplaySource, Restart, Strategy, Supervisor, TimeUnit, Topology,
};
use aqueduct_topology::{Span, Spanned};

/// A name that no file has.
pub(crate) fn named(name: &str) -> Spanned<String> {
    Spanned::new(name.to_owned(), Span::default())
}

/// The same actor, once, reading from these.
pub(crate) fn plain(actor: &Actor, from: Vec<Spanned<String>>) -> Actor {
    let parallelism = Spanned::new(1, Span::default());
    Actor { from, adopts: None, restart: Restart::Permanent, parallelism, ..actor.clone() }
}

/// The same under another name.
pub(crate) fn renamed(actor: &Actor, name: &str, from: Vec<Spanned<String>>) -> Actor {
    Actor { name: named(name), id: named(name), ..plain(actor, from) }
}

/// A source that stands in the place of `actor` and gives records of `topic`; what it reads is said where it is made.
pub(crate) fn source(actor: &Actor, name: &str, topic: &str) -> Actor {
    let kind = Kind::ReplaySource(ReplaySource {
        file: Spanned::new("-".into(), Span::default()),
        format: ReplayFormat::Envelope,
        topic: topic.to_owned(),
        time: None,
        time_unit: TimeUnit::Millis,
        key: None,
        speed: None,
        partitions: 1,
        repeat: Some(1),
    });
    Actor { kind, ..renamed(actor, name, Vec::new()) }
}

/// Where its letters go.
pub(crate) fn letters(topology: &Topology) -> Option<Actor> {
    let letters = topology.actors.iter().find(|actor| matches!(actor.kind, Kind::DeadLetter(_)))?;
    Some(plain(letters, Vec::new()))
}

/// `topology` with these actors alone, under one supervisor.
pub(crate) fn part(topology: &Topology, actors: Vec<Actor>) -> Topology {
    let children = actors.iter().map(|actor| actor.name.clone()).collect();
    let root = topology.supervisors.first().expect("invariant: a topology has a root");
    Topology {
        name: topology.name.clone(),
        connections: topology.connections.clone(),
        supervisors: vec![Supervisor { children, strategy: Strategy::OneForOne, ..root.clone() }],
        actors,
    }
}
