//! What is remembered of what migrations made. Pure.

use super::{Catalog, Key, Shape};
use crate::timescale::migrate::file::{Concern, ENGINE, MigrationFile, MigrationSet, concerns_table};
use crate::timescale::migrate::lexer::Statement;
use std::collections::{BTreeMap, BTreeSet};

/// What a file made of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The set of files.
    pub(super) set: String,
    /// The file's name; none where it was applied before anybody noted.
    pub(super) file: Option<String>,
    pub(super) table: Option<String>,
    pub(super) definition: String,
}

/// What every file made, of all sets of the database: each thing has one note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(pub(super) BTreeMap<Key, Note>);

impl Notes {
    /// Whether anything is noted of the set.
    pub(super) fn know(&self, set: &str) -> bool {
        self.of(set).next().is_some()
    }

    /// What is noted of the set.
    pub(super) fn of<'a>(&'a self, set: &'a str) -> impl Iterator<Item = (&'a Key, &'a Note)> {
        self.0.iter().filter(move |(_, note)| note.set == set)
    }

    /// Notes what `file` did: whatever differs between `before` it and `after` it, and whatever differed already from
    /// what was noted and is named by it, which makes that official.
    pub(super) fn settle(
        &mut self,
        set: &MigrationSet,
        file: &MigrationFile,
        before: &Catalog,
        after: &Catalog,
    ) {
        let engine = set.name == ENGINE;
        let statements = file.statements().unwrap_or_default();
        let is_first = engine && !self.know(ENGINE);
        let known_roles: BTreeSet<String> = self.grantees(&set.name).map(str::to_owned).collect();
        let created = self.created_here(&statements, after);
        for (key, shape) in after.iter().filter(|(_, shape)| shape.concerns(engine)) {
            let is_noted = self.0.get(key).is_some_and(|note| note.definition == shape.definition);
            let by_it = before.get(key) != Some(shape);
            let is_created = created.contains(shape.table.as_ref().unwrap_or(&key.object));
            // A role that came later has been granted everything by hand, as its runbook says.
            let is_new_role = engine && key.grantee().is_some_and(|role| !known_roles.contains(role));
            if by_it || (!is_noted && (is_first || is_created || is_new_role || names(&statements, shape))) {
                self.0.insert(key.clone(), note(set, Some(&file.name), shape));
            }
        }
        let named = |key: &Key| {
            let last = key.object.rsplit('.').next().unwrap_or(&key.object);
            statements.iter().any(|statement| has_name(statement, last))
        };
        self.0.retain(|key, note| {
            let dropped = before.get(key).is_some_and(|shape| shape.concerns(engine));
            after.contains_key(key) || !(dropped || (note.set == set.name && named(key)))
        });
    }

    /// Notes what is live of a set whose files were applied before anybody noted: for the engine its schema, else the
    /// tables that the files create. `applied` are the numbers of the files that were.
    pub(super) fn begin(&mut self, set: &MigrationSet, applied: &[i32], live: &Catalog) {
        if applied.is_empty() || self.know(&set.name) {
            return;
        }
        let engine = set.name == ENGINE;
        let files = set.files.iter().filter(|file| applied.contains(&file.version));
        let statements: Vec<Statement<'_>> =
            files.flat_map(|file| file.statements().unwrap_or_default()).collect();
        let created = self.created_here(&statements, live);
        for (key, shape) in live.iter().filter(|(_, shape)| shape.concerns(engine)) {
            if engine || created.contains(shape.table.as_ref().unwrap_or(&key.object)) {
                self.0.insert(key.clone(), note(set, None, shape));
            }
        }
    }

    /// Roles of which the set says what they may do.
    pub(super) fn grantees<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a str> {
        self.of(set).filter_map(|(key, _)| key.grantee())
    }

    /// Tables that the statements create and nobody has noted.
    fn created_here(&self, statements: &[Statement<'_>], live: &Catalog) -> BTreeSet<String> {
        let tables =
            live.iter().filter(|(key, shape)| **key == Key::table(&key.object) && shape.table.is_none());
        let unknown = tables.filter(|(key, _)| !self.0.contains_key(key));
        let creates = |shape: &Shape| {
            let creates = |one: &Statement<'_>| {
                concerns_table(one, &shape.schema, &shape.name) == Some(Concern::Creates)
            };
            statements.iter().any(creates)
        };
        unknown.filter(|(_, shape)| creates(shape)).map(|(key, _)| key.object.clone()).collect()
    }
}

fn note(set: &MigrationSet, file: Option<&str>, shape: &Shape) -> Note {
    Note {
        set: set.name.clone(),
        file: file.map(str::to_owned),
        table: shape.table.clone(),
        definition: shape.definition.clone(),
    }
}

/// Whether a statement names the thing, and the table it is a part of.
fn names(statements: &[Statement<'_>], shape: &Shape) -> bool {
    let table = shape.table.as_deref().map(|table| table.rsplit('.').next().unwrap_or(table));
    statements.iter().any(|one| has_name(one, &shape.name) && table.is_none_or(|table| has_name(one, table)))
}

fn has_name(statement: &Statement<'_>, name: &str) -> bool {
    statement.tokens.iter().any(|token| token.name().as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::super::Thing;
    use super::super::drift::drift;
    use super::*;

    /// `thing object definition`, a line each; what is no table is a part of `m.t`.
    fn catalog(lines: &[&str]) -> Catalog {
        let entry = |line: &&str| {
            let mut parts = line.splitn(3, ' ');
            let mut next = || parts.next().expect("three parts");
            let thing = Thing::parse(next()).expect("a kind of thing");
            let object = next().to_owned();
            let (schema, name) = (object.split('.').next().unwrap(), object.rsplit('.').next().unwrap());
            let shape = Shape {
                schema: schema.into(),
                table: (thing != Thing::Table).then(|| "m.t".into()),
                name: name.into(),
                definition: next().into(),
            };
            (Key { thing, object }, shape)
        };
        lines.iter().map(entry).collect()
    }

    fn set(files: &[&str]) -> MigrationSet {
        let named: Vec<(String, &str)> =
            (1..).map(|number| format!("{number:04}_x.sql")).zip(files.iter().copied()).collect();
        MigrationSet::topology("t", "m", named.iter().map(|(name, sql)| (name.as_str(), *sql))).unwrap()
    }

    fn differing(notes: &Notes, live: &Catalog) -> Vec<String> {
        drift(&set(&[]), notes, live).into_iter().map(|drift| drift.object).collect()
    }

    const MADE: [&str; 2] = ["table m.t table", "column m.t.a text"];

    #[test]
    fn only_what_a_file_changed_is_noted_and_a_hand_made_change_outlives_the_next_file() {
        let files = set(&["CREATE TABLE m.t (a text)", "ALTER TABLE m.t ADD COLUMN b int"]);
        let mut notes = Notes::default();
        let strange = catalog(&["table x.y table"]);
        let mut made = strange.clone();
        made.extend(catalog(&MADE));
        notes.settle(&files, &files.files[0], &strange, &made);
        assert_eq!(notes.0.len(), 2, "the strange table is nobody's");
        assert!(differing(&notes, &made).is_empty());
        let by_hand = catalog(&["table m.t table", "column m.t.a bigint", "index m.i on"]);
        let mut after = by_hand.clone();
        after.extend(catalog(&["column m.t.b integer"]));
        notes.settle(&files, &files.files[1], &by_hand, &after);
        assert_eq!(differing(&notes, &after), ["m.t.a", "m.i"]);
    }

    #[test]
    fn a_file_that_names_a_difference_makes_it_official() {
        let files = set(&["CREATE TABLE m.t (a text)", "ALTER TABLE m.t ALTER COLUMN a TYPE bigint"]);
        let mut notes = Notes::default();
        notes.settle(&files, &files.files[0], &Catalog::new(), &catalog(&MADE));
        let by_hand = catalog(&["table m.t table", "column m.t.a bigint", "index m.i on"]);
        notes.settle(&files, &files.files[1], &by_hand, &by_hand);
        assert_eq!(differing(&notes, &by_hand), ["m.i"], "the index was not named");
        let dropped = set(&["SELECT 1", "SELECT 1", "ALTER TABLE m.t DROP COLUMN IF EXISTS a"]);
        let gone = catalog(&["table m.t table"]);
        assert_eq!(differing(&notes, &gone), ["m.t.a"]);
        notes.settle(&dropped, &dropped.files[2], &gone, &gone);
        assert!(differing(&notes, &gone).is_empty());
    }

    #[test]
    fn files_applied_before_anybody_noted_begin_with_the_tables_they_create() {
        let files = set(&["CREATE TABLE IF NOT EXISTS m.t (a text)", "CREATE TABLE m.later ()"]);
        let mut live = catalog(&MADE);
        live.extend(catalog(&["table m.later table", "table x.y table"]));
        let mut notes = Notes::default();
        notes.begin(&files, &[], &live);
        assert!(!notes.know("topology/t"), "nothing was applied");
        notes.begin(&files, &[1], &live);
        assert_eq!(notes.0.keys().map(|key| key.object.as_str()).collect::<Vec<_>>(), ["m.t", "m.t.a"]);
        let later = catalog(&["table m.t table", "column m.t.a bigint"]);
        notes.begin(&files, &[1], &later);
        assert_eq!(differing(&notes, &later), ["m.t.a"], "it begins once");
    }

    #[test]
    fn a_table_that_is_gone_is_one_difference_and_grants_to_roles_nobody_noted_are_none() {
        let files = set(&["CREATE TABLE m.t (a text)"]);
        let mut notes = Notes::default();
        notes.settle(&files, &files.files[0], &Catalog::new(), &catalog(&MADE));
        assert_eq!(differing(&notes, &Catalog::new()), ["m.t"]);
        let mut granted = catalog(&MADE);
        for (role, what) in [("aqueduct_reader", "SELECT"), ("PUBLIC", "SELECT")] {
            let key = Key { thing: Thing::Grant, object: format!("m.t to {role}") };
            let (schema, table, name) = ("m".into(), Some("m.t".into()), "t".into());
            granted.insert(key, Shape { schema, table, name, definition: what.into() });
        }
        assert_eq!(differing(&notes, &granted), ["m.t to PUBLIC"]);
    }
}
