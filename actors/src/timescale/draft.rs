//! The migration that a topology's writers need, for review.
//!
//! Invariant: the text holds no value from a message and no unquoted name; whatever varies is an [`Identifier`], a
//! [`TableName`], a column type of our own, or a quoted literal made of them. Deliberately absent: reading the database.
//! What the files in the folder do not create is what is missing.

use super::migrate::file::{Concern, concerns_table};
use super::migrate::{Error, MigrationSet};
use super::retention::{compress, interval};
use super::types::sql_type;
use super::{Identifier, TableName};
use aqueduct_topology::model::{
    Actor, Column, FieldType, Kind, OnConflict, Rollup, TablePolicy, TimescaleWriter, Topology,
};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// What a chunk spans unless the file says otherwise.
const CHUNK_INTERVAL: Duration = Duration::from_secs(86_400);
/// Longest part of a file name made of tables' names.
const WORD_BYTES_MAX: usize = 80;

/// A file to be looked at, changed where needed, and applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// `0001_market_trades.sql`.
    pub file_name: String,
    /// What it says.
    pub sql: String,
}

/// The migration that the writers of `topology` need beyond the files of `existing`; `None` = they need nothing.
pub fn draft(topology: &Topology, existing: &MigrationSet) -> Result<Option<Draft>, Error> {
    let mut parts = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let mut schemas = HashSet::new();
    for need in needs(topology)? {
        if !seen.insert(need.table.clone()) {
            continue;
        }
        match mentioned(existing, &need.table)? {
            None => {
                words.push(word(&need.table.plain()));
                parts.push(new_table(&need, schemas.insert(need.table.schema.clone())));
            }
            Some(names) => {
                let absent = need.columns.iter().filter(|(name, _)| !names.contains(name.as_str()));
                let absent: Vec<_> = absent.collect();
                if !absent.is_empty() {
                    words.push(word(&need.table.plain()) + "_columns");
                    parts.push(new_columns(&need, &absent));
                }
            }
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let all = words.join("_");
    let word = if all.len() <= WORD_BYTES_MAX { all } else { word(&topology.name.value) };
    let file_name = format!("{:04}_{word}.sql", existing.highest() + 1);
    let head = format!(
        "-- Drafted by `aqueduct migrate new` for topology `{}`: read it, change what should be\n-- otherwise, then apply it with `aqueduct migrate up FILE`. Once applied, it must not change.\n",
        topology.name.value
    );
    Ok(Some(Draft { file_name, sql: head + "\n" + &parts.join("\n") }))
}

/// What one writer writes to.
struct Need<'a> {
    actor: &'a str,
    table: TableName,
    columns: Vec<(Identifier, Column)>,
    event_time: Option<Identifier>,
    unique: Vec<Identifier>,
    policy: TablePolicy,
    /// What a node does there.
    privileges: &'static str,
    /// What its unique key is for.
    unique_is: &'static str,
}

/// Of a writer's `unique`.
const BUSINESS_KEY: &str = "\
-- The business key (`unique`): a row that is there already is not written again. TimescaleDB wants the time among
-- its columns.
";
/// .. with `on_conflict: replace`.
const REPLACED_KEY: &str = "\
-- The business key (`unique`): a row takes the place of the one that is there. TimescaleDB wants the time among its
-- columns.
";
/// Of a roll-up.
const BUCKET_AND_KEY: &str = "\
-- The bucket and its key: a bucket that is made again replaces the one before.
";

fn needs(topology: &Topology) -> Result<Vec<Need<'_>>, Error> {
    let writers = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => Some((actor, writer)),
        _ => None,
    });
    let written = writers.map(|(actor, writer)| need(topology, actor, writer));
    let rolled_up = topology.rollups().filter_map(|(actor, rollup)| need_of_rollup(topology, actor, rollup));
    written.chain(rolled_up).collect()
}

/// Its bucket and key are unique, so that a bucket that is made again replaces the one before.
fn need_of_rollup<'a>(
    topology: &'a Topology,
    actor: &'a Actor,
    rollup: &'a Rollup,
) -> Option<Result<Need<'a>, Error>> {
    let time = event_time(topology, topology.actor(&rollup.of.value)?)?;
    let columns = rollup.row(&topology.input_columns(&rollup.of.value), time);
    let need = || {
        let keys = std::iter::once(time).chain(rollup.by.iter().map(|field| field.value.as_str()));
        let columns = columns.into_iter().map(|column| Ok((Identifier::new(&column.name)?, column)));
        Ok(Need {
            actor: &actor.name.value,
            table: TableName::parse(&rollup.into.value)?,
            columns: columns.collect::<Result<_, aqueduct_engine::Error>>()?,
            event_time: Some(Identifier::new(time)?),
            unique: keys.map(Identifier::new).collect::<Result<_, _>>()?,
            policy: TablePolicy::default(),
            privileges: "SELECT, INSERT, UPDATE",
            unique_is: BUCKET_AND_KEY,
        })
    };
    Some(need())
}

fn need<'a>(topology: &Topology, actor: &'a Actor, writer: &'a TimescaleWriter) -> Result<Need<'a>, Error> {
    let columns = topology.input_columns(&actor.name.value);
    let columns = columns.into_iter().map(|column| Ok((Identifier::new(&column.name)?, column)));
    let unique = writer.unique.iter().map(|name| Identifier::new(&name.value));
    let replaces = writer.on_conflict == OnConflict::Replace;
    let event_time = event_time(topology, actor).map(Identifier::new).transpose()?;
    Ok(Need {
        actor: &actor.name.value,
        table: TableName::parse(&writer.table.value)?,
        columns: columns.collect::<Result<_, aqueduct_engine::Error>>()?,
        event_time,
        unique: unique.collect::<Result<_, _>>()?,
        policy: writer.policy.clone(),
        privileges: if replaces { "SELECT, INSERT, UPDATE" } else { "SELECT, INSERT" },
        unique_is: if replaces { REPLACED_KEY } else { BUSINESS_KEY },
    })
}

/// The event time of the rows that arrive at a writer.
fn event_time<'a>(topology: &'a Topology, writer: &'a Actor) -> Option<&'a str> {
    topology.input_event_time(writer)
}

/// Every name in the statements that create or change the table; `None` = no file creates it.
fn mentioned(existing: &MigrationSet, table: &TableName) -> Result<Option<HashSet<String>>, Error> {
    let mut names = HashSet::new();
    let mut created = false;
    for file in &existing.files {
        let path = existing.path(&file.name);
        let statements = file.statements().map_err(|error| Error::unterminated(&path, &error))?;
        for statement in &statements {
            if let Some(concern) = concerns_table(statement, table.schema.as_str(), table.table.as_str()) {
                created |= concern == Concern::Creates;
                names.extend(statement.tokens.iter().filter_map(super::migrate::lexer::Token::name));
            }
        }
    }
    Ok(created.then_some(names))
}

fn new_table(need: &Need<'_>, schema_is_new: bool) -> String {
    let mut sql = String::new();
    let table = &need.table;
    if schema_is_new && table.schema.as_str() != "public" {
        push(&mut sql, format_args!("CREATE SCHEMA IF NOT EXISTS {};\n\n", table.schema));
    }
    push(
        &mut sql,
        format_args!(
            "-- The rows of actor `{}`: its fields, in their order. A field that is neither optional nor filled by a\n-- default is NOT NULL. No `IF NOT EXISTS`: a table of that name that is there already should be noticed.\n",
            need.actor
        ),
    );
    push(&mut sql, format_args!("CREATE TABLE {table} (\n{}\n);\n\n", column_lines(need)));
    sql.push_str(&match &need.event_time {
        Some(time) => hypertable(table, time, &need.policy),
        None => "-- The rows have no event time, so this stays a plain table. For a hypertable give the normalizer a timestamp\n-- field (`event_time: <field>`).\n".into(),
    });
    sql.push('\n');
    if !need.unique.is_empty() {
        sql.push_str(&unique_index(need));
        sql.push('\n');
    }
    sql.push_str(&suggested_index(need));
    sql.push_str(&grants(table, need.privileges));
    sql
}

fn column_lines(need: &Need<'_>) -> String {
    let width = |of: &dyn Fn(&(Identifier, Column)) -> usize| need.columns.iter().map(of).max().unwrap_or(0);
    let name_width = width(&|(name, _)| name.to_string().chars().count());
    let type_width = width(&|(_, column)| sql_type(column.kind).len());
    let lines = need.columns.iter().map(|(name, column)| {
        // A hypertable's time is never NULL, and neither is a key.
        let fixed = need.event_time.as_ref() == Some(name) || need.unique.contains(name);
        let null = if column.nullable && !fixed { "" } else { "NOT NULL" };
        let line =
            format!("    {:name_width$} {:type_width$} {null}", name.to_string(), sql_type(column.kind));
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join(",\n")
}

fn hypertable(table: &TableName, time: &Identifier, policy: &TablePolicy) -> String {
    let mut sql = String::from(match &policy.chunk_interval {
        None => {
            "-- A chunk a day: good while the indexes of the newest chunks fit into a quarter of the server's memory; take a\n\
             -- shorter interval for more rows. The index on the time, newest first, comes with it.\n"
        }
        Some(_) => {
            "-- Chunks as `chunk_interval` says. The index on the time, newest first, comes with it.\n"
        }
    });
    let chunk = policy.chunk_interval.as_ref().map_or(CHUNK_INTERVAL, |said| said.value);
    push(
        &mut sql,
        format_args!(
            "SELECT create_hypertable({}, by_range({}, INTERVAL '{}'));\n",
            literal(&table.to_string()),
            literal(time.as_str()),
            interval(chunk)
        ),
    );
    if let Some(after) = &policy.compress_after {
        sql.push('\n');
        sql.push_str(&compress(table, after.value));
    }
    sql
}

fn unique_index(need: &Need<'_>) -> String {
    let mut sql = need.unique_is.to_owned();
    let columns: Vec<String> = need.unique.iter().map(ToString::to_string).collect();
    push(&mut sql, format_args!("CREATE UNIQUE INDEX ON {} ({});\n", need.table, columns.join(", ")));
    sql
}

/// Every index slows every COPY: which ones the readers need, they know.
fn suggested_index(need: &Need<'_>) -> String {
    let is_key = |(name, column): &&(Identifier, Column)| {
        column.kind == FieldType::Text && need.unique.first() != Some(name)
    };
    // `symbol` before a text of few values such as `venue`: the one most rows differ by is the better key.
    let named =
        |(name, _): &&(Identifier, Column)| ["symbol", "device", "key", "id"].contains(&name.as_str());
    let texts = || need.columns.iter().filter(is_key);
    let (Some(time), Some((key, _))) = (&need.event_time, texts().find(named).or_else(|| texts().next()))
    else {
        return String::new();
    };
    let mut sql = format!(
        "-- For queries such as \"the newest of one {}\". Each index slows every write, so it is left to you:\n",
        key.as_str()
    );
    push(&mut sql, format_args!("-- CREATE INDEX ON {} ({key}, {time} DESC);\n\n", need.table));
    sql
}

fn grants(table: &TableName, writes: &str) -> String {
    let mut sql = String::from(
        "-- What the roles of least privilege need, where they are: a node writes as a member of the first, whoever only\n\
         -- looks is one of the second.\n",
    );
    sql.push_str("DO $grants$\nBEGIN\n");
    for (role, privileges) in [("aqueduct_writer", writes), ("aqueduct_reader", "SELECT")] {
        push(
            &mut sql,
            format_args!(
                "    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN\n        GRANT USAGE ON SCHEMA {} TO {role};\n        GRANT {privileges} ON {table} TO {role};\n    END IF;\n",
                table.schema
            ),
        );
    }
    sql.push_str("END\n$grants$;\n");
    sql
}

fn new_columns(need: &Need<'_>, absent: &[&(Identifier, Column)]) -> String {
    let mut sql = String::new();
    push(
        &mut sql,
        format_args!(
            "-- Fields that actor `{}` writes and no migration of this folder gives the table. The rows that are there have no\n-- value for them, so each may be NULL: give it a DEFAULT and NOT NULL where one makes sense.\n",
            need.actor
        ),
    );
    for (name, column) in absent {
        push(
            &mut sql,
            format_args!("ALTER TABLE {} ADD COLUMN {name} {};\n", need.table, sql_type(column.kind)),
        );
    }
    sql
}

fn push(sql: &mut String, text: std::fmt::Arguments<'_>) {
    sql.write_fmt(text).expect("invariant: writing to a string succeeds");
}

/// A text in quotes, for SQL.
fn literal(text: &str) -> String {
    ["'", &text.replace('\'', "''"), "'"].concat()
}

/// A name as part of a file name.
fn word(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests;
