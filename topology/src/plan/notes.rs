//! What a plan does to what is stored: offsets, order, duplicates, state, tables.
//!
//! From the two forms alone, so it speaks of what the rules make certain; what only the database knows (whether a
//! removed sink's offset is still there) is said as a condition.

use super::consequence::{ActorPlan, Fate};
use super::form::Form;
use serde::Serialize;

/// Names in a list before the others are counted.
const NAMES_SHOWN_MAX: usize = 5;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The change will be refused, or not do what it seems to.
    Problem,
    /// Where reading goes on.
    Offsets,
    /// The order of records.
    Order,
    /// Records that are written twice.
    Duplicates,
    /// What is kept between records, and what was written before.
    State,
    /// Tables that must change first.
    Migrations,
}

/// One consequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub aspect: Aspect,
    /// Whom it concerns.
    pub actor: String,
    /// For people.
    pub text: String,
}

/// The notes of a plan, by aspect.
pub(super) fn notes(old: &Form, new: &Form, actors: &[ActorPlan]) -> Vec<Note> {
    let stay = new.actors.keys().filter(|name| new.is_sink(name) && old.is_sink(name));
    let neighbours = stay.map(|name| (name.as_str(), new.sources(name))).collect();
    let mut notes = Notes { old, new, neighbours, found: Vec::new() };
    if old.topology != new.topology {
        let text = format!(
            "offsets are kept by topology: `{}` begins as a new one, and those of `{}` stay where they are",
            new.topology, old.topology
        );
        notes.add(Aspect::Problem, &new.topology, text);
    }
    for actor in actors {
        notes.sink(actor);
        notes.source(actor);
        notes.reworked(actor);
    }
    let mut found = notes.found;
    found.sort_by_key(|note| note.aspect);
    found
}

struct Notes<'a> {
    old: &'a Form,
    new: &'a Form,
    /// The sinks that are in both, each with its sources.
    neighbours: Vec<(&'a str, Vec<&'a str>)>,
    found: Vec<Note>,
}

impl Notes<'_> {
    fn add(&mut self, aspect: Aspect, actor: &str, text: impl Into<String>) {
        self.found.push(Note { aspect, actor: actor.to_owned(), text: text.into() });
    }

    fn sink(&mut self, actor: &ActorPlan) {
        let name = actor.name.as_str();
        match actor.fate {
            Fate::Removed if self.old.is_sink(name) => self.sink_goes(name),
            Fate::Removed | Fate::Untouched => return,
            Fate::Added if self.new.is_sink(name) => self.sink_comes(name),
            _ if self.new.is_sink(name) => self.sink_stays(actor),
            _ => return,
        }
        if actor.fate != Fate::Removed {
            self.table(actor);
        }
        let again = matches!(actor.fate, Fate::Changed | Fate::Restarted);
        if again && self.new.word(name, "kind") == "kafka_sink" {
            self.add(
                Aspect::Duplicates,
                name,
                "at least once: what was sent and not yet settled may be sent again",
            );
        }
    }

    fn sink_goes(&mut self, name: &str) {
        let id = self.old.word(name, "id");
        if self.id_in(self.new, id).is_some() || self.adopter(id).is_some() {
            return;
        }
        self.add(
            Aspect::Offsets,
            name,
            format!(
                "its offsets stay in the store under `{id}`: a sink of that id would go on where it ended"
            ),
        );
    }

    /// A sink of a new name: the same identity under another name, an adopted one, or a new one.
    fn sink_comes(&mut self, name: &str) {
        let id = self.new.word(name, "id");
        if let Some(before) = self.id_in(self.old, id) {
            let text = format!(
                "keeps the id `{id}` of `{before}`: goes on where that ended, nothing lost or doubled"
            );
            self.add(Aspect::Offsets, name, text);
        } else {
            self.new_identity(name, id);
        }
    }

    fn sink_stays(&mut self, actor: &ActorPlan) {
        let name = actor.name.as_str();
        let (before, id) = (self.old.word(name, "id"), self.new.word(name, "id"));
        if before != id {
            self.new_identity(name, id);
            return;
        }
        if !actor.restarts() {
            return;
        }
        self.add(Aspect::Offsets, name, "goes on at its own offset, nothing lost or doubled");
        let (was, becomes) = (target(self.old, name), target(self.new, name));
        if was != becomes && self.old.word(name, "kind") == self.new.word(name, "kind") {
            let text =
                format!("what was written stays in `{was}`; from the switch on it goes to `{becomes}`");
            self.add(Aspect::State, name, text);
        }
    }

    /// An identity that the old file does not have.
    fn new_identity(&mut self, name: &str, id: &str) {
        let adopts = self.new.word(name, "adopts");
        if !adopts.is_empty() {
            let text = match self.id_in(self.old, adopts) {
                Some(_) => format!("adopts `{adopts}`: goes on at its offset, nothing lost or doubled"),
                None => format!(
                    "adopts `{adopts}`, which is not running: goes on at its offset if the store has one"
                ),
            };
            self.add(Aspect::Offsets, name, text);
            return;
        }
        if let Some(former) = self.former_feeder(name, id) {
            let text = format!(
                "`{}` is recorded as fed by `{former}`: refused until the file says `adopts: {former}` (goes on at its \
                 offset) or the source says `start:`",
                target(self.new, name)
            );
            self.add(Aspect::Problem, name, text);
            return;
        }
        let text = self.where_it_joins(name, id);
        self.add(Aspect::Offsets, name, text);
    }

    fn where_it_joins(&self, name: &str, id: &str) -> String {
        let sources = self.new.sources(name);
        let shares = |(other, above): &&(&str, Vec<&str>)| {
            *other != name && above.iter().any(|source| sources.contains(source))
        };
        let others: Vec<&str> = self.neighbours.iter().filter(shares).map(|(other, _)| *other).collect();
        if !others.is_empty() {
            return format!(
                "`{id}` has no offset: joins at the smallest of {}; what lies before is not written to it",
                several(&others)
            );
        }
        let starts: Vec<String> = sources
            .iter()
            .map(|source| match self.new.word(source, "start") {
                "" => format!("`{source}` from its beginning"),
                start => format!("`{source}` at `start: {start}`"),
            })
            .collect();
        format!("`{id}` has no offset and no neighbour that has one: begins with {}", starts.join(", "))
    }

    /// A sink of the old file that wrote to the same place under another identity, and is gone.
    fn former_feeder(&self, name: &str, id: &str) -> Option<String> {
        let place = (self.new.word(name, "kind"), target(self.new, name));
        let same = |other: &&String| {
            self.old.is_sink(other) && (self.old.word(other, "kind"), target(self.old, other)) == place
        };
        let ids = self.old.actors.keys().filter(same).map(|other| self.old.word(other, "id"));
        ids.filter(|former| *former != id && self.id_in(self.new, former).is_none()).map(str::to_owned).next()
    }

    fn table(&mut self, actor: &ActorPlan) {
        let name = actor.name.as_str();
        if self.new.word(name, "kind") != "timescale_writer" {
            return;
        }
        let table = self.new.word(name, "table").to_owned();
        let known = self.old.word(name, "table") == table && actor.fate != Fate::Added;
        let before = if known { self.old.names(name, "resolved.columns") } else { Vec::new() };
        let after = self.new.names(name, "resolved.columns");
        let missing: Vec<&str> = after.into_iter().filter(|column| !before.contains(column)).collect();
        if known && missing.is_empty() {
            return;
        }
        let what = if known {
            format!("columns new or changed: {}", missing.join(", "))
        } else {
            "the table".into()
        };
        let text = format!("`{table}` must have {what}; `aqueduct migrate new FILE` writes the SQL");
        self.add(Aspect::Migrations, name, text);
    }
}

impl Notes<'_> {
    fn source(&mut self, actor: &ActorPlan) {
        let name = actor.name.as_str();
        match actor.fate {
            Fate::Changed if self.old.is_source(name) && self.new.is_source(name) => {}
            Fate::Removed if self.old.is_source(name) => {
                self.add(
                    Aspect::Offsets,
                    name,
                    "reads what is on its links to the end, then leaves its partitions",
                );
                return;
            }
            Fate::Restarted if self.new.is_source(name) => {
                self.add(
                    Aspect::Offsets,
                    name,
                    "claims its partitions anew, at the smallest offset of its sinks",
                );
                return;
            }
            _ => return,
        }
        let moved = |key: &str| self.old.word(name, key) != self.new.word(name, key);
        let (id, topic, start) = (moved("id"), moved("topic"), moved("start"));
        let begins = match self.new.word(name, "start") {
            "" => "the beginning".to_owned(),
            start => format!("`start: {start}`"),
        };
        if id {
            let text =
                format!("offsets are kept by the source's id: all of its sinks begin at {begins} again");
            self.add(Aspect::Offsets, name, text);
            self.add(
                Aspect::Duplicates,
                name,
                "records that its sinks had written under the old id are written again",
            );
        } else if topic {
            let (was, becomes) = (self.old.word(name, "topic"), self.new.word(name, "topic"));
            let text = format!(
                "`{becomes}` has offsets of its own and begins at {begins}; what of `{was}` was not read stays unread"
            );
            self.add(Aspect::Offsets, name, text);
        } else {
            self.add(
                Aspect::Offsets,
                name,
                "claims its partitions anew, at the smallest offset of its sinks",
            );
        }
        if start && !id && !topic {
            self.add(Aspect::Offsets, name, "`start` means nothing where there is an offset");
        }
    }

    /// What restarted transforms and moved clones do to data.
    fn reworked(&mut self, actor: &ActorPlan) {
        let name = actor.name.as_str();
        if actor.fate == Fate::Changed && self.new.word(name, "kind") == "normalizer" {
            let text = "what was written stays as it is; what it has not settled at the switch is judged by the new rules";
            self.add(Aspect::State, name, text);
        }
        if actor.restarts() && actor.changes.iter().any(|change| change.key == "parallelism") {
            let text =
                "partitions move between clones when what was read of them is settled: their order is kept";
            self.add(Aspect::Order, name, text);
        }
        if actor.fate == Fate::Changed && self.new.word(name, "kind") == "redis_cache" {
            let moved = |key: &str| self.old.word(name, key) != self.new.word(name, key);
            if moved("key") {
                self.add(
                    Aspect::State,
                    name,
                    "keys of the old form stay until their ttl, or until they are deleted",
                );
            }
            if moved("order_by") {
                let text =
                    "values are kept by their old order key: one that is greater than the new ones stays";
                self.add(Aspect::Problem, name, text);
            }
        }
    }

    fn id_in(&self, form: &Form, id: &str) -> Option<String> {
        form.actors.keys().find(|name| form.is_sink(name) && form.word(name, "id") == id).cloned()
    }

    fn adopter(&self, id: &str) -> Option<String> {
        self.new.actors.keys().find(|name| self.new.word(name, "adopts") == id).cloned()
    }
}

/// The first few names, and how many more.
fn several(names: &[&str]) -> String {
    match names.split_at_checked(NAMES_SHOWN_MAX) {
        Some((shown, rest)) if !rest.is_empty() => format!("{} and {} more", shown.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

/// What a sink writes to.
fn target<'a>(form: &'a Form, name: &str) -> &'a str {
    match form.word(name, "kind") {
        "timescale_writer" => form.word(name, "table"),
        "kafka_sink" => form.word(name, "topic"),
        "redis_cache" => form.word(name, "key"),
        _ => "",
    }
}
