//! Examples: what they name exists, and can be what they take it for.

use super::Graph;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, DEAD_LETTER, File};
use crate::model::{ExpectedRow, FaultKind, Kind, Test};
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
    for send in &test.sends {
        judge.fits(&send.to, "records are sent to a source", Kind::is_source);
    }
    for fault in &test.faults {
        let (what, fits): (&str, fn(&Kind) -> bool) = match fault.kind {
            FaultKind::Crash | FaultKind::Panic => ("any actor may crash", |_| true),
            FaultKind::RedisDown => {
                ("Redis is away from a cache", |kind| matches!(kind, Kind::RedisCache(_)))
            }
            FaultKind::SinkTimeout | FaultKind::DiskFull => ("a sink fails", Kind::is_sink),
            FaultKind::Revoke => ("partitions are taken from a source", Kind::is_source),
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
    for (sink, _, _) in &test.expect.offsets {
        judge.fits(sink, "offsets are those of a sink", Kind::is_sink);
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
        let Some(draft) = self.graph.get(&sink.value) else { return };
        let Some((_, normalizer)) = self.graph.rows_of(draft) else { return };
        let values: Vec<&str> = match self.kind(&sink.value) {
            Some(Kind::RedisCache(cache)) => cache.value.iter().map(|field| field.value.as_str()).collect(),
            _ => normalizer.columns.iter().map(|column| column.name.as_str()).collect(),
        };
        for (field, _) in row.fields.iter().filter(|(field, _)| !values.contains(&field.value.as_str())) {
            let near = nearest(&field.value, values.iter().copied());
            let help = near.map_or_else(
                || format!("its fields are {}", values.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("`{}` has no field `{}`", sink.value, shortened(&field.value));
            self.cx.report(Diagnostic::error(Code::UnknownField, field.span, message).help(help));
        }
    }
}
