//! How the keys of each gate are judged.

use super::words::duration;
use crate::model::{GateMode, Kind, Topology};
use serde::Serialize;

/// One gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateNote {
    /// The actor.
    pub gate: String,
    /// The fields that make a key.
    pub by: Vec<String>,
    /// Its beat, as a duration.
    pub every: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// The words of its rules.
    pub rules: Vec<&'static str>,
    /// What is otherwise for some keys, in the order they are asked.
    pub overrides: Vec<OverrideNote>,
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverrideNote {
    /// Its name.
    pub name: String,
    /// Of which keys it holds.
    pub when: String,
    /// The words of the rules it has in place of the gate's.
    pub rules: Vec<&'static str>,
}

pub(super) fn gates(topology: &Topology) -> Vec<GateNote> {
    let note = |actor: &crate::model::Actor| {
        let Kind::QualityGate(gate) = &actor.kind else { return None };
        let overrides = gate.overrides.iter().map(|one| OverrideNote {
            name: one.name.value.clone(),
            when: one.when.text.clone(),
            rules: one.rules.words(),
        });
        Some(GateNote {
            gate: actor.name.value.clone(),
            by: gate.by.iter().map(|field| field.value.clone()).collect(),
            every: duration(gate.every.value),
            mode: GateMode::word(gate.mode),
            rules: gate.rules.words(),
            overrides: overrides.collect(),
        })
    };
    topology.actors.iter().filter_map(note).collect()
}
