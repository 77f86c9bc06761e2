//! The notes against what is live. Pure.

use super::{Catalog, Key, Notes, Thing};
use crate::timescale::migrate::file::{ENGINE, MigrationSet};
use serde::Serialize;
use std::fmt;

/// A difference between what migrations made and what is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// `engine` or `topology/<name>`.
    pub set: String,
    /// What kind of thing.
    pub thing: Thing,
    /// Its name, with its schema and table.
    pub object: String,
    /// The migration that made it; none where it was applied before anybody noted, or where none made it.
    pub file: Option<String>,
    /// As that made it; none = no migration made it.
    pub expected: Option<String>,
    /// As it is; none = it is gone.
    pub found: Option<String>,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.thing, self.object)?;
        if let Some(file) = &self.file {
            write!(formatter, " ({file})")?;
        }
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(formatter, ": expected `{expected}`, found `{found}`")?,
            (Some(expected), None) => write!(formatter, ": gone, expected `{expected}`")?,
            (None, Some(found)) => write!(formatter, ": no migration made it, found `{found}`")?,
            (None, None) => {}
        }
        write!(formatter, "\n  {}", self.help)
    }
}

/// Every difference that is a matter of `set`, by kind and name.
pub(super) fn drift(set: &MigrationSet, notes: &Notes, live: &Catalog) -> Vec<Drift> {
    let engine = set.name == ENGINE;
    // Of a table that is gone, its parts need not be said.
    let is_apart = |table: Option<&String>| table.is_none_or(|table| live.contains_key(&Key::table(table)));
    let mut found: Vec<(Key, Drift)> = notes
        .of(&set.name)
        .filter(|(key, note)| live.get(key).map(|shape| &shape.definition) != Some(&note.definition))
        .filter(|(_, note)| is_apart(note.table.as_ref()))
        .map(|(key, note)| {
            let now = live.get(key).map(|shape| shape.definition.clone());
            (key.clone(), told(set, key, note.file.clone(), Some(note.definition.clone()), now))
        })
        .collect();
    let is_own_table =
        |table: &String| notes.0.get(&Key::table(table)).is_some_and(|note| note.set == set.name);
    let is_judged = |role: &str| role == "PUBLIC" || notes.grantees(&set.name).any(|known| known == role);
    for (key, shape) in
        live.iter().filter(|(key, shape)| shape.concerns(engine) && !notes.0.contains_key(key))
    {
        let is_own = engine || shape.table.as_ref().is_some_and(is_own_table);
        if is_own && notes.know(&set.name) && key.grantee().is_none_or(is_judged) {
            found.push((key.clone(), told(set, key, None, None, Some(shape.definition.clone()))));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.into_iter().map(|(_, drift)| drift).collect()
}

fn told(
    set: &MigrationSet,
    key: &Key,
    file: Option<String>,
    expected: Option<String>,
    found: Option<String>,
) -> Drift {
    let help = if set.name == ENGINE {
        let back = match (&expected, key.thing) {
            (Some(_), Thing::Grant) => {
                "run SELECT aqueduct.grant_roles() and SELECT aqueduct.grant_export() as its owner"
            }
            (Some(_), _) => "bring it back to what is expected",
            (None, Thing::Grant) => "revoke it",
            (None, _) => "drop it, or move it to another schema",
        };
        format!("schema aqueduct is the engine's own: {back}")
    } else {
        let name = key.object.rsplit_once('.').map_or(key.object.as_str(), |(_, name)| name);
        format!("take it back, or make it official by a new migration in {} that names `{name}`", set.place)
    };
    Drift { set: set.name.clone(), thing: key.thing, object: key.object.clone(), file, expected, found, help }
}
