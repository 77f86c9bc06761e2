//! What differs between two forms, key by key.

use super::{Form, Keys};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to a part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Only the new file has it.
    Added,
    /// Only the old one has it.
    Removed,
    /// Both have it, with different keys.
    Changed,
}

/// One key. At least one of the two values is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Which.
    pub key: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// An actor, supervisor or connection that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// By key.
    pub changes: Vec<Change>,
}

/// The difference of two forms; parts that are equal are not in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// The topology's name, if it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<(String, String)>,
    /// By part.
    pub connections: Vec<Part>,
    /// By name.
    pub supervisors: Vec<Part>,
    /// By name.
    pub actors: Vec<Part>,
}

impl Diff {
    /// What turns `old` into `new`.
    pub fn between(old: &Form, new: &Form) -> Self {
        let renamed = old.topology != new.topology;
        Self {
            topology: renamed.then(|| (old.topology.clone(), new.topology.clone())),
            connections: parts(&old.connections, &new.connections),
            supervisors: parts(&old.supervisors, &new.supervisors),
            actors: parts(&old.actors, &new.actors),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The way back.
    pub fn flip(&self) -> Self {
        let flip = |parts: &Vec<Part>| parts.iter().map(Part::flip).collect();
        Self {
            topology: self.topology.clone().map(|(from, to)| (to, from)),
            connections: flip(&self.connections),
            supervisors: flip(&self.supervisors),
            actors: flip(&self.actors),
        }
    }

    /// `form` with this done to it.
    pub fn apply(&self, form: &Form) -> Form {
        let mut form = form.clone();
        if let Some((_, to)) = &self.topology {
            form.topology.clone_from(to);
        }
        apply(&self.connections, &mut form.connections);
        apply(&self.supervisors, &mut form.supervisors);
        apply(&self.actors, &mut form.actors);
        form
    }
}

impl Part {
    fn flip(&self) -> Self {
        let change = |Change { key, from, to }: &Change| Change {
            key: key.clone(),
            from: to.clone(),
            to: from.clone(),
        };
        Self {
            name: self.name.clone(),
            verdict: match self.verdict {
                Verdict::Added => Verdict::Removed,
                Verdict::Removed => Verdict::Added,
                Verdict::Changed => Verdict::Changed,
            },
            changes: self.changes.iter().map(change).collect(),
        }
    }
}

fn parts(old: &BTreeMap<String, Keys>, new: &BTreeMap<String, Keys>) -> Vec<Part> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let none = Keys::new();
    let part = |name: &String| {
        let verdict = match (old.get(name), new.get(name)) {
            (None, _) => Verdict::Added,
            (_, None) => Verdict::Removed,
            (Some(old), Some(new)) if old == new => return None,
            _ => Verdict::Changed,
        };
        let changes = changes(old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
        Some(Part { name: name.clone(), verdict, changes })
    };
    names.into_iter().filter_map(part).collect()
}

fn changes(old: &Keys, new: &Keys) -> Vec<Change> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let change =
        |key: &String| Change { key: key.clone(), from: old.get(key).cloned(), to: new.get(key).cloned() };
    differing.map(change).collect()
}

fn apply(parts: &[Part], to: &mut BTreeMap<String, Keys>) {
    for part in parts {
        if part.verdict == Verdict::Removed {
            to.remove(&part.name);
            continue;
        }
        let keys = to.entry(part.name.clone()).or_default();
        for change in &part.changes {
            match &change.to {
                Some(value) => keys.insert(change.key.clone(), value.clone()),
                None => keys.remove(&change.key),
            };
        }
    }
}
