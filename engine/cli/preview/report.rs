//! What came out, as tables or as JSON.

use crate::output::{Format, counted, shortened, table};
use anyhow::Result;
use aqueduct_actors::stand_in::{Content, Hash, StandIns};
use aqueduct_engine::{Letter, Outcome};
use aqueduct_topology::model::Topology;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::{BufWriter, Write};

/// Characters of a payload that a table shows.
const PAYLOAD_SHOWN_MAX: usize = 60;

/// Prints everything on standard output.
pub(super) fn print(topology: &Topology, around: &StandIns, outcome: &Outcome, format: Format) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Json => as_json(around, &mut out)?,
        Format::Text => as_tables(topology, around, outcome, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// `{"<sink>": [rows..], "dead_letter": [..]}`. Rows are printed as they were made: no number passes through a double.
fn as_json(around: &StandIns, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{{")?;
    for (sink, content) in around.contents() {
        let rows = match content {
            Content::Rows(rows) => {
                rows.into_iter().map(|row| RawValue::from_string(row.json)).collect::<Result<_, _>>()?
            }
            Content::Hashes(hashes) => {
                let hashes = hashes.iter().map(|(key, hash)| hash_json(key, hash));
                hashes.map(|hash| serde_json::value::to_raw_value(&hash)).collect::<Result<Vec<_>, _>>()?
            }
        };
        write!(out, "{}: ", serde_json::to_string(&sink)?)?;
        list(&rows, out)?;
        writeln!(out, ",")?;
    }
    let letters = around.letters();
    let letters = letters.iter().map(|letter| serde_json::value::to_raw_value(&letter_json(letter)));
    write!(out, "\"dead_letter\": ")?;
    list(&letters.collect::<Result<Vec<_>, _>>()?, out)?;
    writeln!(out, "\n}}")?;
    Ok(())
}

/// One element a line.
fn list(elements: &[Box<RawValue>], out: &mut impl Write) -> Result<()> {
    write!(out, "[")?;
    for (index, element) in elements.iter().enumerate() {
        write!(out, "{}\n  {element}", if index == 0 { "" } else { "," })?;
    }
    write!(out, "{}]", if elements.is_empty() { "" } else { "\n" })?;
    Ok(())
}

fn hash_json(key: &str, hash: &Hash) -> Value {
    if hash.tombstone {
        return json!({ "key": key, "deleted": true });
    }
    let fields: Map<String, Value> =
        hash.fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({ "key": key, "value": fields })
}

fn letter_json(letter: &Letter) -> Value {
    let text =
        |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    json!({
        "actor": &*letter.actor,
        "topic": &*letter.key.topic,
        "partition": letter.key.partition,
        "offset": letter.offset,
        "row": letter.row,
        "class": letter.class.as_str(),
        "reason": &*letter.reason,
        "detail": letter.detail,
        "key": text(&letter.record_key),
        "payload": text(&letter.payload),
        "record_time": letter.record_time_ms.and_then(time),
    })
}

/// RFC 3339 in UTC with six digits, as everywhere in JSON.
fn time(time_ms: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(time_ms).ok()?;
    Some(format!("{time:.6}"))
}

fn as_tables(topology: &Topology, around: &StandIns, outcome: &Outcome, out: &mut impl Write) -> Result<()> {
    for (sink, content) in around.contents() {
        let kind = topology.actor(&sink).map_or("", |actor| actor.kind.name());
        let (noun, rows) = match content {
            Content::Rows(rows) => {
                ("row", rows.iter().map(|row| cells(&row.json)).collect::<Result<Vec<_>>>()?)
            }
            Content::Hashes(hashes) => {
                let cells = |(key, hash): (&String, &Hash)| {
                    let deleted = hash.tombstone.then(|| ("(deleted)".to_owned(), "yes".to_owned()));
                    std::iter::once(("key".to_owned(), key.clone()))
                        .chain(hash.fields.iter().cloned())
                        .chain(deleted)
                        .collect()
                };
                ("key", hashes.iter().map(cells).collect())
            }
        };
        writeln!(out, "{sink} ({kind}): {}", counted(rows.len(), noun))?;
        table(&rows, out)?;
        writeln!(out)?;
    }
    let letters = around.letters();
    writeln!(out, "dead_letter: {}", counted(letters.len(), "letter"))?;
    table(&letters.iter().map(letter_cells).collect::<Vec<_>>(), out)?;
    let sum =
        |pick: fn(&aqueduct_engine::ledger::LedgerRow) -> u64| outcome.ledger.iter().map(pick).sum::<u64>();
    writeln!(
        out,
        "\n{}: {} written, {} dead-lettered, {} filtered",
        counted(sum(|row| row.read) as usize, "record"),
        sum(|row| row.written),
        sum(|row| row.dead_lettered),
        sum(|row| row.filtered)
    )?;
    Ok(())
}

/// A row's columns and values; texts without their quotes, everything else as its JSON.
fn cells(row: &str) -> Result<Vec<(String, String)>> {
    let row: Map<String, Value> = serde_json::from_str(row)?;
    let cell = |(name, value): (String, Value)| match value {
        Value::Null => (name, String::new()),
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    };
    Ok(row.into_iter().map(cell).collect())
}

fn letter_cells(letter: &Letter) -> Vec<(String, String)> {
    let payload = letter.payload.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let shown = shortened(&payload, PAYLOAD_SHOWN_MAX);
    [
        ("actor", letter.actor.to_string()),
        ("partition", letter.key.partition.to_string()),
        ("offset", letter.offset.to_string()),
        ("reason", letter.reason.to_string()),
        ("detail", letter.detail.clone()),
        ("payload", shown),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
