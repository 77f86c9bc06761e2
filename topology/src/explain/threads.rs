//! Which actors share a thread.

use crate::model::Topology;
use crate::placement::{self, Placed};
use serde::Serialize;

/// An arbiter: a thread that runs actors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadNote {
    /// Its number, from 1.
    pub arbiter: usize,
    /// The clones on it, with the load of each in per cent of a core: declared, or usual for its kind.
    pub actors: Vec<ActorLoad>,
}

/// A clone of an actor and what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActorLoad {
    /// Its name; clones after the first have a number.
    pub actor: String,
    /// Per cent of a core.
    pub load: u32,
}

pub(super) fn threads(topology: &Topology, arbiters_max: usize) -> Vec<ThreadNote> {
    let mut notes: Vec<ThreadNote> = Vec::new();
    for Placed { name, load, arbiter } in placement::of(topology, arbiters_max) {
        let note = ActorLoad { actor: name, load };
        match notes.iter_mut().find(|thread| thread.arbiter == arbiter + 1) {
            Some(thread) => thread.actors.push(note),
            None => notes.push(ThreadNote { arbiter: arbiter + 1, actors: vec![note] }),
        }
    }
    notes.sort_by_key(|thread| thread.arbiter);
    notes
}
