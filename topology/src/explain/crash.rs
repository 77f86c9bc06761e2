//! Supervision: the tree, and whom a crash takes along.

use super::words::duration;
use crate::model::{Actor, Restart, Strategy, Supervisor, Topology};
use serde::Serialize;

/// A supervisor and its children, in the order in which they start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SupervisorNote {
    /// Its name.
    pub name: String,
    /// Its strategy, as written.
    pub strategy: &'static str,
    /// More restarts than this within the period escalate.
    pub intensity: u32,
    /// The period, as written.
    pub period: String,
    /// Names of actors and supervisors.
    pub children: Vec<String>,
}

/// What a crash of an actor brings about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crash {
    /// Who crashes.
    pub actor: String,
    /// Its supervisor.
    pub supervisor: String,
    /// `permanent`, `transient` or `temporary`.
    pub restart: &'static str,
    /// Who is started again, itself among them, in start order. Of an actor with clones that is restarted alone, only
    /// the clone that crashed.
    pub restarted: Vec<String>,
    /// Who is stopped by it and not started again.
    pub stopped_for_good: Vec<String>,
    /// What follows when it happens too often, step by step up to the root.
    pub escalations: Vec<Escalation>,
}

/// A supervisor that gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// Which.
    pub supervisor: String,
    /// More restarts than this ..
    pub more_than: u32,
    /// .. within this.
    pub within: String,
    /// Whom its parent then restarts; none = it is the root, and the process ends with exit code 70.
    pub restarted: Option<Vec<String>>,
}

pub(super) fn supervisors(topology: &Topology) -> Vec<SupervisorNote> {
    let note = |one: &Supervisor| SupervisorNote {
        name: one.name.value.clone(),
        strategy: one.strategy.word(),
        intensity: one.intensity,
        period: duration(one.period),
        children: one.children.iter().map(|child| child.value.clone()).collect(),
    };
    topology.supervisors.iter().map(note).collect()
}

pub(super) fn crashes(topology: &Topology) -> Vec<Crash> {
    topology.actors.iter().filter_map(|actor| crash(topology, actor)).collect()
}

fn crash(topology: &Topology, actor: &Actor) -> Option<Crash> {
    let supervisor = parent(topology, &actor.name.value)?;
    let name = actor.name.value.clone();
    let mut crash = Crash {
        actor: name.clone(),
        supervisor: supervisor.name.value.clone(),
        restart: actor.restart.word(),
        restarted: Vec::new(),
        stopped_for_good: vec![name.clone()],
        escalations: Vec::new(),
    };
    if actor.restart != Restart::Temporary {
        let felled = felled(topology, supervisor, &name);
        let temporary =
            |name: &String| topology.actor(name).is_some_and(|one| one.restart == Restart::Temporary);
        (crash.stopped_for_good, crash.restarted) = felled.into_iter().partition(temporary);
        crash.escalations = escalations(topology, supervisor);
    }
    Some(crash)
}

/// The actors that go down when `child` of `supervisor` does, in start order.
fn felled(topology: &Topology, supervisor: &Supervisor, child: &str) -> Vec<String> {
    let children = &supervisor.children;
    let at = children.iter().position(|one| one.value == child).unwrap_or(0);
    let group = match supervisor.strategy {
        Strategy::OneForOne => &children[at..=at],
        Strategy::OneForAll => &children[..],
        Strategy::RestForOne => &children[at..],
    };
    let mut names = Vec::new();
    group.iter().for_each(|one| actors_below(topology, &one.value, &mut names));
    names
}

fn actors_below(topology: &Topology, name: &str, found: &mut Vec<String>) {
    match topology.supervisors.iter().find(|one| one.name.value == name) {
        Some(supervisor) => {
            supervisor.children.iter().for_each(|child| actors_below(topology, &child.value, found))
        }
        None => found.push(name.to_owned()),
    }
}

fn parent<'a>(topology: &'a Topology, child: &str) -> Option<&'a Supervisor> {
    topology.supervisors.iter().find(|one| one.children.iter().any(|name| name.value == child))
}

fn escalations(topology: &Topology, from: &Supervisor) -> Vec<Escalation> {
    let mut found = Vec::new();
    let mut next = Some(from);
    while let Some(supervisor) = next {
        let above = parent(topology, &supervisor.name.value);
        found.push(Escalation {
            supervisor: supervisor.name.value.clone(),
            more_than: supervisor.intensity,
            within: duration(supervisor.period),
            restarted: above.map(|above| felled(topology, above, &supervisor.name.value)),
        });
        next = above;
    }
    found
}
