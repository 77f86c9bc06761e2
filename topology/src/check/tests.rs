//! Examples: what they name exists, and can be what they take it for.

use super::Graph;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, DEAD_LETTER, File};
use crate::model::{ExpectedRow, FaultKind, Kind, Send, Table, Test, TestRecord};
use crate::syntax::shortened;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>, file: &File) {
    for test in &file.tests {
        check_one(&Judge { cx, graph }, test);
    }
}

struct Judge<'a, 'c> {
    cx: &'a Context<'c>,
    graph: &'a Graph<'a>,
}

fn check_one(judge: &Judge<'_, '_>, test: &Test) {
    test.sends.iter().for_each(|send| judge.sent(send));
    test.tables.iter().for_each(|(writer, table)| judge.table(writer, table));
    for fault in &test.faults {
        let (what, fits): (&str, fn(&Kind) -> bool) = match fault.kind {
            FaultKind::Crash | FaultKind::Panic => ("any actor may crash", |_| true),
            FaultKind::RedisDown => {
                ("Redis is away from a cache", |kind| matches!(kind, Kind::RedisCache(_)))
            }
            FaultKind::SinkTimeout | FaultKind::DiskFull => {
                ("a sink fails", |kind| kind.is_sink() || matches!(kind, Kind::DeadLetter(_)))
            }
            FaultKind::Revoke | FaultKind::Takeover => {
                ("partitions are taken from a source", Kind::is_source)
            }
        };
        judge.fits(&fault.actor, what, fits);
    }
    for (sink, expected) in &test.expect.sinks {
        judge.fits(sink, "rows are expected of a sink", Kind::is_sink);
        let is_cache = matches!(judge.kind(&sink.value), Some(Kind::RedisCache(_)));
        if let Some(rows) = expected.rows.as_ref() {
            if is_cache {
                judge.unfit(
                    rows.span,
                    "a cache has keys, not rows",
                    "write `keys: { \"<key>\": { field: value } }`",
                );
            }
            rows.value.iter().for_each(|row| judge.fields(sink, row));
        }
        for (key, expected) in &expected.keys {
            if !is_cache && judge.kind(&sink.value).is_some() {
                judge.unfit(key.span, "only a cache has keys", "write `rows: [{ field: value }]`");
            }
            expected.iter().for_each(|row| judge.fields(sink, row));
        }
    }
    for expected in &test.expect.offsets {
        judge.fits(&expected.sink, "offsets are those of a sink", Kind::is_sink);
        if let Some(source) = &expected.source {
            judge.fits(source, "offsets are counted by a source", Kind::is_source);
        }
    }
    let states = test.expect.states.iter().map(|(actor, _)| actor);
    for actor in test.expect.restarts.iter().map(|(actor, _)| actor).chain(states) {
        judge.fits(actor, "an actor is named", |_| true);
    }
    let letters = test.expect.dead_letter.iter().flat_map(|letters| &letters.value);
    for actor in letters.filter_map(|letter| letter.parts.get("actor")) {
        judge.fits(actor, "an actor rejects", |_| true);
    }
}

impl<'a> Judge<'a, '_> {
    fn kind(&self, name: &str) -> Option<&'a Kind> {
        Some(&self.graph.get(name)?.actor.as_ref()?.kind)
    }

    /// Whether there is such an actor, of a kind that `fits`.
    fn fits(&self, name: &Spanned<String>, what: &str, fits: fn(&Kind) -> bool) {
        if self.graph.get(&name.value).is_none() {
            if name.value != DEAD_LETTER {
                self.unknown(name);
            }
        } else if self.kind(&name.value).is_some_and(|kind| !fits(kind)) {
            let kind = self.kind(&name.value).map_or("", Kind::name);
            let names: Vec<&str> =
                self.graph.names().filter(|name| self.kind(name).is_some_and(fits)).collect();
            let help = format!("those that fit: {}", names.join(", "));
            self.unfit(name.span, &format!("{what}; `{}` is a {kind}", name.value), &help);
        }
    }

    /// Records go to who reads messages, rows to who reads rows.
    fn sent(&self, send: &Send) {
        if !send.are_rows {
            let reads = |kind: &Kind| kind.is_source() || matches!(kind, Kind::Normalizer(_));
            self.fits(&send.to, "records are sent to a source or a normalizer", reads);
            return;
        }
        self.fits(&send.to, "rows are sent to a sink", Kind::is_sink);
        let Some(columns) = self.columns(&send.to.value) else { return };
        for record in &send.records {
            let TestRecord::Record(record) = record else { continue };
            let row = record.value.value.as_deref().unwrap_or_default();
            let Ok(row) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(row) else {
                continue;
            };
            for name in row.keys().filter(|name| !columns.contains(&name.as_str())) {
                let name = Spanned::new(name.clone(), record.span);
                self.no_field(&send.to.value, &name, &columns);
            }
        }
    }

    fn table(&self, writer: &Spanned<String>, table: &Table) {
        self.fits(writer, "a table is that of a writer", |kind| matches!(kind, Kind::TimescaleWriter(_)));
        let Some(columns) = self.columns(&writer.value) else { return };
        let typed = table.columns.iter().map(|(name, _)| name);
        for name in typed.chain(&table.not_null).chain(&table.unique) {
            if !columns.contains(&name.value.as_str()) {
                self.no_field(&writer.value, name, &columns);
            }
        }
    }

    /// The columns that reach a sink.
    fn columns(&self, sink: &str) -> Option<Vec<&'a str>> {
        let (_, normalizer) = self.graph.rows_of(self.graph.get(sink)?)?;
        Some(normalizer.columns.iter().map(|column| column.name.as_str()).collect())
    }

    fn no_field(&self, sink: &str, field: &Spanned<String>, fields: &[&str]) {
        let near = nearest(&field.value, fields.iter().copied());
        let help = near.map_or_else(
            || format!("its fields are {}", fields.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("`{sink}` has no field `{}`", shortened(&field.value));
        self.cx.report(Diagnostic::error(Code::UnknownField, field.span, message).help(help));
    }

    fn unknown(&self, name: &Spanned<String>) {
        let near = nearest(&name.value, self.graph.names());
        let help = near.map_or_else(
            || "a test names actors of this file".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("no actor is named `{}`", shortened(&name.value));
        self.cx.report(Diagnostic::error(Code::UnknownInTest, name.span, message).help(help));
    }

    fn unfit(&self, span: crate::Span, message: &str, help: &str) {
        self.cx.report(Diagnostic::error(Code::UnfitInTest, span, message).help(help));
    }

    /// The fields of an expected row are columns that reach the sink.
    fn fields(&self, sink: &Spanned<String>, row: &ExpectedRow) {
        let Some(columns) = self.columns(&sink.value) else { return };
        let values: Vec<&str> = match self.kind(&sink.value) {
            Some(Kind::RedisCache(cache)) => cache.value.iter().map(|field| field.value.as_str()).collect(),
            _ => columns,
        };
        for (field, _) in row.fields.iter().filter(|(field, _)| !values.contains(&field.value.as_str())) {
            self.no_field(&sink.value, field, &values);
        }
    }
}
