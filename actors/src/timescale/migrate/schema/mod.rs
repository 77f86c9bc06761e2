//! What migrations made against what is live.
//!
//! Every file that is applied leaves a note of each thing it changed ([`Notes`]), in its own transaction; `verify` holds
//! the notes against the catalog ([`drift`]). The server describes both, in the same words, so they are compared as texts.
//!
//! Invariant: a note changes only by a file. What somebody alters by hand stays a difference, however often `up` runs,
//! until a file undoes it or names it. Deliberately absent: chunks and partitions, which come and go by themselves, and
//! rows.

mod catalog;
mod drift;
mod notes;
mod store;

pub use drift::Drift;

use super::file::{MigrationFile, MigrationSet};
use super::verify::{Record, versions};
use crate::timescale::connect::Connection;
use aqueduct_engine::Error;
use drift::drift;
use notes::{Note, Notes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The engine's own schema: no set but the engine's has a say there.
const OWN: &str = "aqueduct";

/// The kinds of things that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// A table or view.
    Table,
    /// A column of a table.
    Column,
    /// How a table is divided into chunks.
    Hypertable,
    /// A key, check or reference.
    Constraint,
    /// An index that belongs to no constraint.
    Index,
    /// A trigger.
    Trigger,
    /// A function or procedure.
    Function,
    /// A type that is a list of words.
    Type,
    /// What a role of ours, or everybody, may do.
    Grant,
}

impl Thing {
    const ALL: [Thing; 9] = [
        Thing::Table,
        Thing::Column,
        Thing::Hypertable,
        Thing::Constraint,
        Thing::Index,
        Thing::Trigger,
        Thing::Function,
        Thing::Type,
        Thing::Grant,
    ];

    fn word(self) -> &'static str {
        match self {
            Thing::Table => "table",
            Thing::Column => "column",
            Thing::Hypertable => "hypertable",
            Thing::Constraint => "constraint",
            Thing::Index => "index",
            Thing::Trigger => "trigger",
            Thing::Function => "function",
            Thing::Type => "type",
            Thing::Grant => "grant",
        }
    }

    /// `None` = of a newer version, which this one cannot compare.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|thing| thing.word() == word)
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Which thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    thing: Thing,
    /// `schema.table`, `schema.table.column`, `schema.index`; of a trigger or constraint as of a column.
    object: String,
}

impl Key {
    fn table(name: &str) -> Self {
        Self { thing: Thing::Table, object: name.into() }
    }

    /// Whom a grant is to.
    fn grantee(&self) -> Option<&str> {
        let is_grant = self.thing == Thing::Grant;
        is_grant.then(|| self.object.rsplit_once(" to ").map_or("", |(_, role)| role))
    }
}

/// How the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    schema: String,
    /// The table it is a part of; of a table itself, none.
    table: Option<String>,
    /// The last part of its name, as the server keeps it.
    name: String,
    definition: String,
}

impl Shape {
    /// Whether the engine's files (or, if not `engine`, a topology's) have a say here.
    fn concerns(&self, engine: bool) -> bool {
        (self.schema == OWN) == engine
    }
}

/// All of it.
type Catalog = BTreeMap<Key, Shape>;

/// What a migrator knows of the schema while it is at work.
pub(super) struct Snapshot {
    live: Catalog,
    stored: Notes,
    notes: Notes,
}

impl Snapshot {
    /// As it is before the first file of this run. Sets that nobody has noted yet begin here.
    pub(super) async fn begin(
        connection: &Connection,
        sets: &[MigrationSet],
        records: &[Record],
    ) -> Result<Self, Error> {
        let live = catalog::read(connection).await?;
        let stored = store::load(connection).await?.unwrap_or_default();
        let mut notes = stored.clone();
        for set in sets {
            notes.begin(set, &versions(set, records), &live);
        }
        let stored = store::save(connection, &stored, &notes).await?;
        Ok(Self { live, stored, notes })
    }

    /// Notes what `file` made, in the transaction in which it did.
    pub(super) async fn note(
        &mut self,
        connection: &Connection,
        set: &MigrationSet,
        file: &MigrationFile,
    ) -> Result<(), Error> {
        let after = catalog::read(connection).await?;
        self.notes.settle(set, file, &self.live, &after);
        self.stored = store::save(connection, &self.stored, &self.notes).await?;
        self.live = after;
        Ok(())
    }
}

/// What is live against what migrations made.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// How many things were compared.
    pub(super) things: usize,
    /// The differences.
    pub(super) drift: Vec<Drift>,
    /// Sets that cannot be compared: nobody has noted what their files made.
    pub(super) not_noted: Vec<String>,
}

/// Compares, for every set of which anything was applied. Changes nothing.
pub(super) async fn compare(
    connection: &Connection,
    sets: &[MigrationSet],
    records: &[Record],
) -> Result<Compared, Error> {
    let live = catalog::read(connection).await?;
    let notes = store::load(connection).await?.unwrap_or_default();
    let mut compared = Compared::default();
    for set in sets {
        let mut begun = notes.clone();
        begun.begin(set, &versions(set, records), &live);
        if begun != notes {
            compared.not_noted.push(set.name.clone());
            continue;
        }
        compared.things += notes.of(&set.name).count();
        compared.drift.extend(drift(set, &notes, &live));
    }
    Ok(compared)
}
