//! From a difference to what happens to each actor.

use super::diff::{Change, Diff, Part, Verdict};
use super::notes::{self, Note};
use super::supervision::{self, SupervisorPlan};
use super::{Form, Keys};
use serde::Serialize;

/// What happens to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is started.
    Added,
    /// It finishes what it has and is stopped.
    Removed,
    /// Its own entry changed, so it restarts.
    Changed,
    /// Only words about it changed: nothing restarts.
    Adjusted,
    /// Its entry is the same, but something it was built with is not, so it restarts.
    Restarted,
    /// It works on.
    Untouched,
}

/// One actor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActorPlan {
    /// Its name.
    pub name: String,
    /// Its kind; the new one, where it has one.
    pub kind: String,
    /// What happens to it.
    pub fate: Fate,
    /// By key; of an actor that comes or goes, all its keys.
    pub changes: Vec<Change>,
    /// Why it restarts although its own entry is the same.
    pub because: Vec<String>,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Actors that are started.
    pub added: usize,
    /// Actors that are stopped for good.
    pub removed: usize,
    /// Actors whose entry changed.
    pub changed: usize,
    /// Actors that restart for another's sake.
    pub restarted: usize,
    /// Actors that work on.
    pub untouched: usize,
}

/// What a change of the file does to the running system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Whether there is anything to do.
    pub changes: bool,
    /// The topology's name now and then, if it changes: then nothing below is a change of the running system, it is
    /// another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<(String, String)>,
    /// How many of each.
    pub summary: Summary,
    /// Every actor, by name.
    pub actors: Vec<ActorPlan>,
    /// Supervisors that differ.
    pub supervisors: Vec<SupervisorPlan>,
    /// Connections that differ.
    pub connections: Vec<Part>,
    /// Offsets, order, duplicates, state, migrations, problems.
    pub notes: Vec<Note>,
}

/// Keys that say how an actor is watched or described: whoever watches takes the new word, the actor works on.
const WORDS: &[&str] = &["adopts", "description", "restart", "shutdown"];

impl Plan {
    /// The plan that leads from `old` to `new`.
    pub fn between(old: &Form, new: &Form) -> Self {
        let diff = Diff::between(old, new);
        let mut names: Vec<&String> = old.actors.keys().chain(new.actors.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let actors: Vec<_> = names.into_iter().map(|name| actor(name, &diff, old, new)).collect();
        let supervisors = diff.supervisors.iter().map(|part| supervision::plan(part, old, new)).collect();
        Self {
            changes: !diff.is_empty(),
            renamed: diff.topology.clone(),
            summary: summary(&actors),
            notes: notes::notes(old, new, &actors),
            actors,
            supervisors,
            connections: diff.connections,
        }
    }

    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<&ActorPlan> {
        self.actors.iter().find(|actor| actor.name == name)
    }
}

impl ActorPlan {
    /// Whether it goes down and comes up again.
    pub fn restarts(&self) -> bool {
        matches!(self.fate, Fate::Changed | Fate::Restarted)
    }
}

fn summary(actors: &[ActorPlan]) -> Summary {
    let count = |fates: &[Fate]| actors.iter().filter(|actor| fates.contains(&actor.fate)).count();
    Summary {
        added: count(&[Fate::Added]),
        removed: count(&[Fate::Removed]),
        changed: count(&[Fate::Changed, Fate::Adjusted]),
        restarted: count(&[Fate::Restarted]),
        untouched: count(&[Fate::Untouched]),
    }
}

fn actor(name: &str, diff: &Diff, old: &Form, new: &Form) -> ActorPlan {
    let part = diff.actors.iter().find(|part| part.name == name);
    let own = |change: &&Change| !change.key.starts_with("resolved.");
    let changes: Vec<Change> = part.iter().flat_map(|part| &part.changes).filter(own).cloned().collect();
    let words_only = changes.iter().all(|change| WORDS.contains(&change.key.as_str()));
    let mut because = Vec::new();
    let fate = match part.map(|part| part.verdict) {
        Some(Verdict::Added) => Fate::Added,
        Some(Verdict::Removed) => Fate::Removed,
        _ => {
            because = reasons(name, part, diff, old, new);
            match (changes.is_empty(), words_only, because.is_empty()) {
                (false, false, _) => Fate::Changed,
                (_, _, false) => Fate::Restarted,
                (false, true, true) => Fate::Adjusted,
                _ => Fate::Untouched,
            }
        }
    };
    let kind = if fate == Fate::Removed { old.word(name, "kind") } else { new.word(name, "kind") };
    ActorPlan { name: name.to_owned(), kind: kind.to_owned(), fate, changes, because }
}

/// Why an actor that is in both files restarts, its own entry apart.
fn reasons(name: &str, part: Option<&Part>, diff: &Diff, old: &Form, new: &Form) -> Vec<String> {
    let mut reasons = Vec::new();
    let resolved = part.into_iter().flat_map(|part| &part.changes);
    for change in resolved {
        reasons.extend(match change.key.as_str() {
            "resolved.columns" => Some("the columns of its input change".to_owned()),
            "resolved.sinks" => {
                Some("its sinks change, and a partition is claimed for all of them".to_owned())
            }
            "resolved.offsets_in" => Some("offsets are kept elsewhere".to_owned()),
            "resolved.decides" => Some("it gains or loses its say in the fate of records".to_owned()),
            _ => None,
        });
    }
    for connection in &diff.connections {
        if new.names(name, "resolved.connections").contains(&connection.name.as_str()) {
            reasons.push(format!("the connection `{}` changes", connection.name));
        }
    }
    let (before, after) = (old.readers(name), new.readers(name));
    for reader in after.iter().filter(|reader| !before.contains(reader)) {
        reasons.push(format!("it is linked to `{reader}`"));
    }
    for reader in before.iter().filter(|reader| !after.contains(reader)) {
        reasons.push(format!("its link to `{reader}` goes"));
    }
    for reader in after.iter().filter(|reader| before.contains(reader)) {
        if keys_differ(old, new, reader, &["parallelism", "link.batches", "link.bytes"]) {
            reasons.push(format!("its links to `{reader}` are made anew"));
        }
    }
    let (before, after) = (old.names(name, "from"), new.names(name, "from"));
    for writer in after.iter().filter(|writer| before.contains(writer)) {
        if keys_differ(old, new, writer, &["parallelism"]) {
            reasons.push(format!("its links from `{writer}` are made anew"));
        }
    }
    reasons
}

fn keys_differ(old: &Form, new: &Form, actor: &str, keys: &[&str]) -> bool {
    let value =
        |form: &Form, key: &str| form.actors.get(actor).and_then(|keys: &Keys| keys.get(key)).cloned();
    keys.iter().any(|key| value(old, key) != value(new, key))
}
