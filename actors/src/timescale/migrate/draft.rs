//! The migration a topology's writers need, for somebody to review.

use crate::timescale::identifier::{Identifier, TableName};
use crate::timescale::types::sql_type;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Actor, Column, FieldType, Kind, Normalizer, TimescaleWriter, Topology};
use std::collections::BTreeSet;
use std::fmt::Write;

/// SQL that creates every table the topology writes to: schema, columns as inferred, hypertable on the event time.
/// It may be run again.
pub fn draft(topology: &Topology) -> Result<String, Error> {
    let mut sql = String::from("-- ");
    push(
        &mut sql,
        &[
            &"The tables of topology `",
            &topology.name.value.replace('\n', " "),
            &"`. Review before applying: types are those of the\n",
        ],
    );
    sql.push_str("-- fields, the chunk interval and the indexes depend on your rate and your queries.\n");
    let mut schemas = BTreeSet::new();
    let mut tables = BTreeSet::new();
    for actor in &topology.actors {
        let Kind::TimescaleWriter(writer) = &actor.kind else { continue };
        let table = TableName::parse(&writer.table)?;
        if !tables.insert(table.clone()) {
            continue;
        }
        if table.schema.as_str() != "public" && schemas.insert(table.schema.clone()) {
            push(&mut sql, &[&"\nCREATE SCHEMA IF NOT EXISTS ", &table.schema, &";\n"]);
        }
        let normalizer = normalizer_of(topology, actor)?;
        push_table(&mut sql, &table, normalizer, writer)?;
    }
    if tables.is_empty() {
        let message =
            format!("topology `{}` has no timescale_writer: no table is needed", topology.name.value);
        return Err(Error::new(Class::Config, message));
    }
    push_grants(&mut sql, &schemas, &tables);
    Ok(sql)
}

fn normalizer_of<'a>(topology: &'a Topology, writer: &Actor) -> Result<&'a Normalizer, Error> {
    let input = writer.from.first().and_then(|from| topology.actor(from));
    match input.map(|input| &input.kind) {
        Some(Kind::Normalizer(normalizer)) => Ok(normalizer),
        _ => Err(Error::new(
            Class::Config,
            format!("actor `{}` needs rows: let it read from a normalizer", writer.name.value),
        )),
    }
}

fn push_table(
    sql: &mut String,
    table: &TableName,
    normalizer: &Normalizer,
    writer: &TimescaleWriter,
) -> Result<(), Error> {
    let columns = &normalizer.columns;
    let names: Vec<String> = columns
        .iter()
        .map(|column| Ok(Identifier::new(&column.name)?.to_string()))
        .collect::<Result<_, Error>>()?;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    push(sql, &[&"\nCREATE TABLE IF NOT EXISTS ", table, &" (\n"]);
    for (index, (column, name)) in columns.iter().zip(&names).enumerate() {
        let comma = if index + 1 == columns.len() && writer.unique.is_empty() { "" } else { "," };
        let null = if column.nullable { "" } else { " NOT NULL" };
        push(sql, &[&"    ", &format_args!("{name:width$} "), &sql_type(column.kind), &null, &comma, &"\n"]);
    }
    if !writer.unique.is_empty() {
        let unique: Vec<String> = writer
            .unique
            .iter()
            .map(|name| Ok(Identifier::new(name)?.to_string()))
            .collect::<Result<_, Error>>()?;
        push(sql, &[&"    UNIQUE (", &unique.join(", "), &")\n"]);
    }
    sql.push_str(");\n");
    push_hypertable(sql, table, event_time(normalizer), columns)
}

/// The field the file names, else the first timestamp.
fn event_time(normalizer: &Normalizer) -> Option<&str> {
    let named = normalizer.event_time.as_ref().map(|event_time| event_time.field.value.as_str());
    let first = || normalizer.columns.iter().find(|column| column.kind == FieldType::Timestamp);
    named.or_else(|| first().map(|column| column.name.as_str()))
}

fn push_hypertable(
    sql: &mut String,
    table: &TableName,
    time: Option<&str>,
    columns: &[Column],
) -> Result<(), Error> {
    let Some(time) = time else {
        sql.push_str("-- It has no timestamp, so it stays a plain table: no chunks, no retention by time.\n");
        return Ok(());
    };
    let column = Identifier::new(time)?;
    push(
        sql,
        &[
            &"\n-- A chunk should fit in a quarter of the memory: a day suits up to some hundred million rows a day.\n",
            &"SELECT create_hypertable(",
            &literal(&table.to_string()),
            &", by_range(",
            &literal(time),
            &", INTERVAL '1 day'),\n                         if_not_exists => TRUE, create_default_indexes => TRUE);\n",
        ],
    );
    if let Some(text) = columns.iter().find(|column| column.kind == FieldType::Text) {
        push(
            sql,
            &[
                &"-- For queries of one ",
                &text.name.replace('\n', " "),
                &" over time, at about a quarter of the write rate:\n-- CREATE INDEX ON ",
                &table.to_string().replace('\n', " "),
                &" (",
                &Identifier::new(&text.name)?.to_string().replace('\n', " "),
                &", ",
                &column,
                &" DESC);\n",
            ],
        );
    }
    Ok(())
}

fn push_grants(sql: &mut String, schemas: &BTreeSet<Identifier>, tables: &BTreeSet<TableName>) {
    sql.push_str("\n-- Needed if the engine connects as another role than the one that migrates; put its name for `engine`.\n");
    let engine_schema = "-- GRANT USAGE ON SCHEMA aqueduct TO engine;\n\
                         -- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA aqueduct TO engine;\n\
                         -- GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aqueduct TO engine;\n";
    sql.push_str(engine_schema);
    for schema in schemas {
        push(sql, &[&"-- GRANT USAGE ON SCHEMA ", &schema.to_string().replace('\n', " "), &" TO engine;\n"]);
    }
    for table in tables {
        push(sql, &[&"-- GRANT SELECT, INSERT ON ", &table.to_string().replace('\n', " "), &" TO engine;\n"]);
    }
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    let mut quoted = String::from("'");
    quoted.push_str(&text.replace('\'', "''"));
    quoted.push('\'');
    quoted
}

fn push(sql: &mut String, parts: &[&dyn std::fmt::Display]) {
    for part in parts {
        write!(sql, "{part}").expect("invariant: writing to a string succeeds");
    }
}
