//! `tests`: each example in its typed form. Whether its actors exist is judged by the checks.

use super::{Context, Keys, time};
use crate::Spanned;
use crate::catalog::{EXPECT, FAULT, LEDGER, LETTER, Place, RECORD, ROW, SEND, SINK_EXPECT, TABLE, TEST};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    Expect, ExpectedLetter, ExpectedOffset, ExpectedRow, Fault, FaultKind, Record, Send, SinkExpect, Table,
    Test, TestRecord,
};
use crate::syntax::{Core, Entry, Mapping, Node, Value};

const FAULTS: [(&str, FaultKind); 7] = [
    ("crash", FaultKind::Crash),
    ("panic", FaultKind::Panic),
    ("redis_down", FaultKind::RedisDown),
    ("sink_timeout", FaultKind::SinkTimeout),
    ("disk_full", FaultKind::DiskFull),
    ("revoke", FaultKind::Revoke),
    ("takeover", FaultKind::Takeover),
];

pub(super) fn lower(cx: &Context<'_>, node: &Node) -> Vec<Test> {
    cx.list(node).into_iter().filter_map(|node| test(cx, node)).collect()
}

fn test(cx: &Context<'_>, node: &Node) -> Option<Test> {
    let keys = Keys::open(cx, node, Place::Test, "a test", &[TEST])?;
    let all = |name: &'static str| keys.get(name).map_or_else(Vec::new, |node| cx.list(node));
    let test = Test {
        name: keys.get("name").and_then(|node| cx.nonempty(node)).unwrap_or_default(),
        sends: all("send").into_iter().filter_map(|node| send(cx, node)).collect(),
        tables: keys.get("tables").map_or_else(Vec::new, |node| tables(cx, node)),
        faults: all("faults").into_iter().filter_map(|node| fault(cx, node)).collect(),
        lasts: keys.get("lasts").and_then(|node| cx.lasting(node)),
        expect: keys.get("expect").map(|node| expect(cx, node)).unwrap_or_default(),
    };
    keys.close();
    Some(test)
}

fn send(cx: &Context<'_>, node: &Node) -> Option<Send> {
    let keys = Keys::open(cx, node, Place::Test, "`send`", &[SEND])?;
    let at = keys.get("at").and_then(|node| cx.duration(node)).unwrap_or_default();
    let to = keys.get("to").and_then(|node| cx.nonempty(node)).unwrap_or_default();
    let (records, rows) = (keys.get("records"), keys.get("rows"));
    keys.close();
    let (records, are_rows) = match (records, rows) {
        (Some(records), None) => {
            (cx.list(records).into_iter().filter_map(|node| record(cx, node)).collect(), false)
        }
        (None, Some(rows)) => {
            (cx.list(rows).into_iter().filter_map(|node| row_sent(cx, node)).collect(), true)
        }
        _ => {
            let message = "`send` has `records`, or `rows`";
            let finding = Diagnostic::error(Code::UnfitInTest, node.span, message)
                .help("records go to a source or a normalizer, rows to a sink");
            cx.report(finding);
            return None;
        }
    };
    (!to.value.is_empty()).then_some(Send { at, to, records, are_rows })
}

fn tables(cx: &Context<'_>, node: &Node) -> Vec<(Spanned<String>, Table)> {
    let table = |entry: &Entry| {
        let keys = Keys::open(cx, &entry.value, Place::Test, "a table", &[TABLE])?;
        let members = |name: &'static str| keys.get(name).map_or(&[][..], |node| entries(cx, node));
        let names = |name: &'static str| {
            let nodes = keys.get(name).map_or_else(Vec::new, |node| cx.list(node));
            nodes.into_iter().filter_map(|node| cx.nonempty(node)).collect()
        };
        let table = Table {
            columns: members("columns")
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), cx.field_type(&entry.value)?)))
                .collect(),
            not_null: names("not_null"),
            unique: names("unique"),
            check: members("check")
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), cx.expr(&entry.value)?)))
                .collect(),
        };
        keys.close();
        Some((entry.key.clone(), table))
    };
    entries(cx, node).iter().filter_map(table).collect()
}

/// A row for a sink: its columns, or `{ row, key, .. }`.
fn row_sent(cx: &Context<'_>, node: &Node) -> Option<TestRecord> {
    let Some(mapping) = node.mapping() else { return cx.wrong_type(node, "a row: `{ column: value }`") };
    let listed = |entry: &Entry| ROW.iter().any(|key| key.name == entry.key.value);
    let enveloped = mapping.get("row").filter(|entry| entry.value.mapping().is_some());
    let record = match enveloped.filter(|_| mapping.entries.iter().all(listed)) {
        Some(row) => Record { value: Some(json(&row.value).into_bytes()), ..surroundings(cx, mapping) },
        None => Record { value: Some(json(node).into_bytes()), ..Record::default() },
    };
    Some(TestRecord::Record(Spanned::new(record, node.span)))
}

/// One form for a record: see the language page.
fn record(cx: &Context<'_>, node: &Node) -> Option<TestRecord> {
    if let Some(file) = lone(node, "file") {
        return cx.path(&file.value).map(TestRecord::File);
    }
    let record = if is_envelope(node) {
        envelope(cx, node)?
    } else if node.is_null() {
        Record::default()
    } else {
        Record { value: Some(bytes(node)), ..Record::default() }
    };
    Some(TestRecord::Record(Spanned::new(record, node.span)))
}

/// The only entry of a mapping, if that is its key.
fn lone<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    match node.mapping()?.entries.as_slice() {
        [only] if only.key.value == key => Some(only),
        _ => None,
    }
}

fn is_envelope(node: &Node) -> bool {
    let Some(mapping) = node.mapping() else { return false };
    let listed = |entry: &Entry| RECORD.iter().any(|key| key.name == entry.key.value);
    let has = |key: &str| mapping.get(key).is_some();
    (has("value") || has("raw")) && mapping.entries.iter().all(listed)
}

fn envelope(cx: &Context<'_>, node: &Node) -> Option<Record> {
    let mapping = node.mapping()?;
    // `value: null` is a tombstone, not a key without a value.
    let get = |name: &str| mapping.get(name).map(|entry| &entry.value).filter(|node| !node.is_null());
    let value = match (get("raw"), get("value")) {
        (Some(raw), _) => cx.text(raw).map(|text| text.value.into_bytes()),
        (None, value) => value.map(bytes),
    };
    Some(Record { value, ..surroundings(cx, mapping) })
}

/// What an envelope says beside the value.
fn surroundings(cx: &Context<'_>, mapping: &Mapping) -> Record {
    let get = |name: &str| mapping.get(name).map(|entry| &entry.value).filter(|node| !node.is_null());
    let headers = get("headers").and_then(Node::mapping).map_or(&[][..], |headers| &headers.entries);
    let header = |entry: &Entry| Some((entry.key.value.clone(), cx.text(&entry.value)?.value));
    Record {
        value: None,
        key: get("key").and_then(|node| cx.text(node)).map(|key| key.value),
        partition: get("partition").and_then(|node| cx.count(node, 0..=1_000_000)),
        time_us: get("time").and_then(|node| time_us(cx, node)),
        headers: headers.iter().filter_map(header).collect(),
    }
}

fn time_us(cx: &Context<'_>, node: &Node) -> Option<i64> {
    let scalar = node.scalar()?;
    let read = match scalar.core() {
        Core::Int(millis) => millis.checked_mul(1000),
        _ => time::rfc3339_micros(&scalar.text),
    };
    if read.is_none() {
        let message = "a record's time is RFC 3339, or milliseconds since 1970";
        cx.report(
            Diagnostic::error(Code::UnknownWord, node.span, message).help("such as `2026-11-23T10:00:00Z`"),
        );
    }
    read
}

/// What is sent: a text as it stands, everything else as JSON.
fn bytes(node: &Node) -> Vec<u8> {
    match node.scalar().map(|scalar| scalar.core()) {
        Some(Core::Text(text)) => text.as_bytes().to_vec(),
        _ => json(node).into_bytes(),
    }
}

/// YAML data as JSON. Numbers keep their text where JSON can write it.
fn json(node: &Node) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match &node.value {
        Value::Sequence(nodes) => {
            format!("[{}]", nodes.iter().map(json).collect::<Vec<_>>().join(","))
        }
        Value::Mapping(mapping) => {
            let member = |entry: &Entry| format!("{}:{}", quoted(&entry.key.value), json(&entry.value));
            format!("{{{}}}", mapping.entries.iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Scalar(scalar) => match scalar.core() {
            Core::Null => "null".to_owned(),
            Core::Bool(value) => value.to_string(),
            Core::Int(value) => value.to_string(),
            Core::Float(_) if serde_json::from_str::<serde_json::Number>(&scalar.text).is_ok() => {
                scalar.text.clone()
            }
            Core::Float(value) => serde_json::Number::from_f64(value)
                .map_or_else(|| quoted(&scalar.text), |number| number.to_string()),
            Core::Text(text) => quoted(text),
        },
    }
}

fn fault(cx: &Context<'_>, node: &Node) -> Option<Fault> {
    let keys = Keys::open(cx, node, Place::Test, "a fault", &[FAULT])?;
    let at = keys.get("at").and_then(|node| cx.duration(node)).unwrap_or_default();
    let lasting = keys.get("for").and_then(|node| cx.lasting(node));
    let partition = keys.get("partition").and_then(|node| cx.count(node, 0..=1_000_000));
    let offset = keys.get("offset").and_then(|node| cx.integer(node, 0..=i64::MAX));
    let mut named: Vec<(FaultKind, &Node)> =
        FAULTS.iter().filter_map(|(name, kind)| Some((*kind, keys.get(name)?))).collect();
    keys.close();
    if named.len() != 1 {
        let message = format!("a fault says one thing that goes wrong, not {}", named.len());
        let names = FAULTS.map(|(name, _)| name).join(", ");
        cx.report(
            Diagnostic::error(Code::UnfitInTest, node.span, message).help(format!("write one of {names}")),
        );
        return None;
    }
    let (kind, actor) = named.remove(0);
    let actor = cx.nonempty(actor)?;
    if offset.is_some() && kind != FaultKind::Panic {
        let finding =
            Diagnostic::error(Code::UnfitInTest, node.span, "`offset` says at which record an actor panics")
                .help("write it beside `panic`");
        cx.report(finding);
    }
    if partition.is_some() && offset.is_none() && !matches!(kind, FaultKind::Revoke | FaultKind::Takeover) {
        let finding =
            Diagnostic::error(Code::UnfitInTest, node.span, "`partition` says what is taken from a source")
                .help("write it beside `revoke`, `takeover`, or `panic` with an `offset`");
        cx.report(finding);
    }
    Some(Fault { at, actor, kind, lasting, partition, offset: offset.map(|offset| offset.value) })
}

fn expect(cx: &Context<'_>, node: &Node) -> Expect {
    let Some(mapping) = node.mapping() else {
        return cx.wrong_type(node, "a mapping of what must hold").unwrap_or_default();
    };
    let mut expect = Expect::default();
    for entry in &mapping.entries {
        let node = &entry.value;
        match entry.key.value.as_str() {
            "dead_letter" => expect.dead_letter = Some(letters(cx, node)),
            "offsets" => expect.offsets.extend(offsets(cx, node)),
            "restarts" => expect.restarts.extend(counts(cx, node)),
            "states" => expect.states.extend(
                entries(cx, node)
                    .iter()
                    .filter_map(|entry| Some((entry.key.clone(), cx.text(&entry.value)?))),
            ),
            "ledger" => expect.ledger.extend(ledger(cx, node)),
            "exit" => expect.exit = cx.integer(node, 0..=255),
            _ => expect.sinks.extend(sink(cx, node).map(|sink| (entry.key.clone(), sink))),
        }
    }
    assert!(EXPECT.len() == 6, "invariant: every part of `expect` is read");
    expect
}

fn entries<'n>(cx: &Context<'_>, node: &'n Node) -> &'n [Entry] {
    match node.mapping() {
        Some(mapping) => &mapping.entries,
        None => cx.wrong_type(node, "a mapping").unwrap_or_default(),
    }
}

fn counts(cx: &Context<'_>, node: &Node) -> Vec<(Spanned<String>, Spanned<i64>)> {
    let count = |entry: &Entry| Some((entry.key.clone(), cx.integer(&entry.value, 0..=i64::MAX)?));
    entries(cx, node).iter().filter_map(count).collect()
}

fn offsets(cx: &Context<'_>, node: &Node) -> Vec<ExpectedOffset> {
    let mut offsets = Vec::new();
    for sink in entries(cx, node) {
        for (place, next) in counts(cx, &sink.value) {
            let (source, partition) = match place.value.rsplit_once('/') {
                Some((source, partition)) => (Some(Spanned::new(source.to_owned(), place.span)), partition),
                None => (None, place.value.as_str()),
            };
            match partition.parse() {
                Ok(partition) => {
                    offsets.push(ExpectedOffset { sink: sink.key.clone(), source, partition, next });
                }
                Err(_) => {
                    let message = format!("`{partition}` is no partition");
                    let finding = Diagnostic::error(Code::WrongType, place.span, message)
                        .help("write `<partition>: <next offset>`, or `<source>/<partition>: <next offset>`");
                    cx.report(finding);
                }
            }
        }
    }
    offsets
}

fn ledger(cx: &Context<'_>, node: &Node) -> Vec<(Spanned<String>, Spanned<i64>)> {
    let Some(keys) = Keys::open(cx, node, Place::Test, "`ledger`", &[LEDGER]) else { return Vec::new() };
    for key in LEDGER {
        keys.get(key.name);
    }
    keys.close();
    counts(cx, node)
}

fn sink(cx: &Context<'_>, node: &Node) -> Option<SinkExpect> {
    let keys = Keys::open(cx, node, Place::Test, "what is expected of a sink", &[SINK_EXPECT])?;
    let rows = keys.get("rows").map(|node| {
        let rows = cx.list(node).into_iter().filter_map(|node| row(cx, node)).collect();
        Spanned::new(rows, node.span)
    });
    let hashes = keys.get("keys").map_or(&[][..], |node| entries(cx, node));
    let hash = |entry: &Entry| {
        let expected = if entry.value.is_null() { None } else { Some(row(cx, &entry.value)?) };
        Some((entry.key.clone(), expected))
    };
    let order = keys.get("order").and_then(|node| cx.word(node, "an order of rows")).unwrap_or_default();
    let expect = SinkExpect {
        rows,
        order,
        doubles: keys.get("doubles").and_then(|node| cx.boolean(node)).unwrap_or_default(),
        count: keys.get("count").and_then(|node| cx.integer(node, 0..=i64::MAX)),
        keys: hashes.iter().filter_map(hash).collect(),
    };
    keys.close();
    Some(expect)
}

fn row(cx: &Context<'_>, node: &Node) -> Option<ExpectedRow> {
    let Some(mapping) = node.mapping() else { return cx.wrong_type(node, "a row: `{ field: value }`") };
    let field = |entry: &Entry| (entry.key.clone(), Spanned::new(json(&entry.value), entry.value.span));
    Some(ExpectedRow { fields: mapping.entries.iter().map(field).collect(), span: node.span })
}

fn letters(cx: &Context<'_>, node: &Node) -> Spanned<Vec<ExpectedLetter>> {
    let letter = |node: &Node| {
        let keys = Keys::open(cx, node, Place::Test, "a letter", &[LETTER])?;
        let part = |key: &crate::catalog::Key| Some((key.name, cx.text(keys.get(key.name)?)?));
        let parts = LETTER.iter().filter_map(part).collect();
        keys.close();
        Some(ExpectedLetter { parts, span: node.span })
    };
    Spanned::new(cx.list(node).into_iter().filter_map(letter).collect(), node.span)
}
