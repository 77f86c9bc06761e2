//! From a difference to what happens to each actor.

use super::Form;
use super::diff::{Change, Diff, Part, Verdict};
use super::form::Readers;
use super::notes::{self, Note};
use super::supervision::{self, SupervisorPlan};
use serde::Serialize;
use std::collections::BTreeSet;

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
        let turn = Turn { old, new, diff: &diff, readers: (old.readers(), new.readers()) };
        let actors: Vec<_> = names.into_iter().map(|name| turn.actor(name)).collect();
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

/// From one form to the other, and who reads from whom in both.
struct Turn<'a> {
    old: &'a Form,
    new: &'a Form,
    diff: &'a Diff,
    readers: (Readers<'a>, Readers<'a>),
}

impl Turn<'_> {
    fn actor(&self, name: &str) -> ActorPlan {
        let parts = &self.diff.actors;
        let part =
            parts.binary_search_by(|part| part.name.as_str().cmp(name)).ok().map(|place| &parts[place]);
        let own = |change: &&Change| !change.key.starts_with("resolved.");
        let changes: Vec<Change> = part.iter().flat_map(|part| &part.changes).filter(own).cloned().collect();
        let words_only = changes.iter().all(|change| WORDS.contains(&change.key.as_str()));
        let mut because = Vec::new();
        let fate = match part.map(|part| part.verdict) {
            Some(Verdict::Added) => Fate::Added,
            Some(Verdict::Removed) => Fate::Removed,
            _ => {
                because.extend(part.into_iter().flat_map(|part| &part.changes).filter_map(resolved));
                because.extend(self.connections(name));
                because.extend(self.rewired(name));
                match (changes.is_empty(), words_only, because.is_empty()) {
                    (false, false, _) => Fate::Changed,
                    (_, _, false) => Fate::Restarted,
                    (false, true, true) => Fate::Adjusted,
                    _ => Fate::Untouched,
                }
            }
        };
        let kind = if fate == Fate::Removed { self.old } else { self.new }.word(name, "kind");
        ActorPlan { name: name.to_owned(), kind: kind.to_owned(), fate, changes, because }
    }

    fn connections(&self, name: &str) -> impl Iterator<Item = String> {
        let uses = self.new.names(name, "resolved.connections");
        let changed = self.diff.connections.iter().filter(move |part| uses.contains(&part.name.as_str()));
        changed.map(|part| format!("the connection `{}` changes", part.name))
    }

    /// What happens to the links of an actor that is in both files. Its own `from` is a key of its own.
    fn rewired(&self, name: &str) -> Vec<String> {
        let of = |readers: &Readers<'_>| -> BTreeSet<String> {
            readers.get(name).into_iter().flatten().map(|reader| (*reader).to_owned()).collect()
        };
        let (before, after) = (of(&self.readers.0), of(&self.readers.1));
        let mut reasons = Vec::new();
        reasons.extend(after.difference(&before).map(|reader| format!("it is linked to `{reader}`")));
        reasons.extend(before.difference(&after).map(|reader| format!("its link to `{reader}` goes")));
        for reader in after.intersection(&before) {
            if self.differ(reader, &["parallelism", "link.batches", "link.bytes"]) {
                reasons.push(format!("its links to `{reader}` are made anew"));
            }
            if self.old.behind(reader, &self.readers.0) != self.new.behind(reader, &self.readers.1) {
                reasons.push(format!("what its link to `{reader}` may pass over changes"));
            }
        }
        let (before, after) = (self.old.names(name, "from"), self.new.names(name, "from"));
        for writer in after.iter().filter(|writer| before.contains(writer)) {
            if self.differ(writer, &["parallelism"]) {
                reasons.push(format!("its links from `{writer}` are made anew"));
            }
        }
        reasons
    }

    fn differ(&self, actor: &str, keys: &[&str]) -> bool {
        let value = |form: &Form, key: &str| form.actors.get(actor).and_then(|keys| keys.get(key)).cloned();
        keys.iter().any(|key| value(self.old, key) != value(self.new, key))
    }
}

/// Why a change of what follows from the rest of the file restarts.
fn resolved(change: &Change) -> Option<String> {
    let reason = match change.key.as_str() {
        "resolved.columns" => "the columns of its input change",
        "resolved.sinks" => "its sinks change, and a partition is claimed for all of them",
        "resolved.offsets_in" => "offsets are kept elsewhere",
        "resolved.place" => "its place among the sources, and so its name in the group, changes",
        "resolved.say" => "its say in the fate of records changes",
        "resolved.connections" => "it is built with other connections",
        _ => return None,
    };
    Some(reason.to_owned())
}
