//! Rows of a table as records: JSON objects by column, which is what Spark, psql and most tools can write.
//!
//! They come through a normalizer like any record, one that takes each column from the member of its name; it is read from
//! a topology as an author would write it, so that types mean what they mean everywhere.

use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Column, FieldType, Kind, Normalizer};
use aqueduct_topology::{Source, load, to_text};
use std::fmt::Write;

/// The normalizer that takes `columns` from the members of a JSON object; times are RFC 3339.
pub fn normalizer_of_rows(columns: &[Column]) -> Result<Normalizer, Error> {
    let text = text(columns);
    let source = Source::new("rows.yaml", text.as_str());
    let (topology, diagnostics) = load(&source, &|_| None);
    let normalizer = topology.as_ref().and_then(|topology| topology.actor("rows"));
    match normalizer.map(|actor| &actor.kind) {
        Some(Kind::Normalizer(normalizer)) => Ok(normalizer.clone()),
        _ => {
            let why = to_text(&source, &diagnostics, false);
            Err(Error::new(Class::Config, format!("rows of this table cannot be read from JSON: {why}")))
        }
    }
}

fn text(columns: &[Column]) -> String {
    let mut text = String::from(
        "topology: rows\nconnections: { kafka: { bootstrap: \"k:1\" }, timescale: { url: \"postgres://u@h/d\" } }\nactors:\n  \
         source: { kind: kafka_source, topic: rows }\n  rows:\n    kind: normalizer\n    from: source\n    fields:\n",
    );
    for Column { name, kind, nullable } in columns {
        let pointer = ["/", &name.replace('~', "~0").replace('/', "~1")].concat();
        let (name, pointer) = (quoted(name), quoted(&pointer));
        let unit = if *kind == FieldType::Timestamp { ", unit: iso" } else { "" };
        let optional = if *nullable { ", optional: true" } else { "" };
        let kind = quoted(&kind.to_string());
        writeln!(text, "      {name}: {{ type: {kind}, path: {pointer}{unit}{optional} }}")
            .expect("invariant: writing to a string succeeds");
    }
    text.push_str("  table: { kind: timescale_writer, from: rows, table: t.rows }\n");
    text
}

/// As YAML reads it in double quotes: JSON's strings are among them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_taken_from_the_member_of_its_name() {
        let types = ["text", "int64", "float64", "decimal(18,8)", "bool", "timestamp", "json"];
        let kinds = [
            FieldType::Text,
            FieldType::Int64,
            FieldType::Float64,
            FieldType::Decimal { precision: 18, scale: 8 },
            FieldType::Bool,
            FieldType::Timestamp,
            FieldType::Json,
        ];
        let columns: Vec<Column> = kinds
            .into_iter()
            .zip(types)
            .map(|(kind, name)| Column { name: format!("c_{}", name.len()), kind, nullable: name == "text" })
            .collect();
        let distinct: Vec<Column> = columns
            .into_iter()
            .enumerate()
            .map(|(index, column)| Column { name: format!("{}_{index}", column.name), ..column })
            .collect();
        let normalizer = normalizer_of_rows(&distinct).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(normalizer.columns, distinct);
    }
}
