//! Gates: that they judge fields there are, of types that their rules can judge, and are heard in time.

use super::columns::{has, may_lack, twice, unknown_field};
use super::row::field_span;
use super::{Graph, gate, normalizer};
use crate::catalog::Port;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, Draft, PRICE};
use crate::model::{
    Case, Coding, EventTime, Field, FieldSource, FieldType, GATE_AT, GATE_FIELDS, GateRules, Kind, MatchMode,
    Normalizer, Pointer, QualityGate,
};
use crate::{Span, Spanned};
use std::time::Duration;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    for draft in graph.drafts {
        let Some(gate) = gate(draft) else { continue };
        if let Some((input, rows)) = graph.rows_of(draft) {
            let judge = Judge { cx, input, rows };
            judge.key(gate);
            judge.rules(&gate.rules);
            gate.overrides.iter().for_each(|one| judge.rules(&one.rules));
            overrides(cx, gate);
        }
        beat(cx, graph, draft, gate);
    }
    only_gates(cx, graph);
}

/// The rows of a gate, as if a normalizer gave them.
pub(super) fn verdicts(gate: &QualityGate, judged: &Normalizer) -> Normalizer {
    let columns = gate.columns(&judged.columns);
    let field = |name: &str, kind| Field {
        name: Spanned::new(name.to_owned(), Span::default()),
        kind,
        source: FieldSource::Path(Pointer::default()),
        optional: false,
        default: None,
        map: Vec::new(),
        unit: None,
        zone: None,
        scale: None,
        max_bytes: None,
    };
    let case = Case {
        name: Spanned::default(),
        when: None,
        explode: None,
        select: Vec::new(),
        require: Vec::new(),
        fields: columns.iter().map(|column| field(&column.name, column.kind)).collect(),
    };
    let at = Spanned::new(GATE_AT.to_owned(), Span::default());
    Normalizer {
        coding: Coding::Json,
        columns,
        cases: vec![case],
        match_mode: MatchMode::First,
        event_time: Some(EventTime { field: at, past_max: None, future_max: Duration::from_secs(86_400) }),
    }
}

/// Looks at the rows of one gate.
struct Judge<'a> {
    cx: &'a Context<'a>,
    input: &'a Draft,
    rows: &'a Normalizer,
}

impl Judge<'_> {
    fn key(&self, gate: &QualityGate) {
        twice(self.cx, &gate.by, "`by`");
        for name in &gate.by {
            if GATE_FIELDS.iter().any(|(field, _)| *field == name.value) {
                let message = format!("a verdict has a field `{}` of its own", name.value);
                let finding = Diagnostic::error(Code::UnfitRule, name.span, message);
                self.cx.report(
                    finding.help(format!(
                        "give the row's field another name, `{}_name` for example",
                        name.value
                    )),
                );
                continue;
            }
            let fits = |kind| matches!(kind, FieldType::Text | FieldType::Int64 | FieldType::Bool);
            self.field(name, "a key is", "text, int64 or bool", fits);
            may_lack(self.cx, self.rows, name, "a row without its key is not judged");
        }
    }

    fn rules(&self, rules: &GateRules) {
        for (word, rule) in [("gap", &rules.gap), ("repeat", &rules.repeat)] {
            if let Some(rule) = rule {
                self.field(&rule.field, &format!("`{word}` follows"), "an int64", |kind| {
                    kind == FieldType::Int64
                });
            }
        }
        if let Some(band) = &rules.price_band {
            self.band(&band.field);
        }
        if let Some(crossed) = &rules.crossed {
            self.field(&crossed.bid, "`crossed` compares", "numbers", is_number);
            self.field(&crossed.ask, "`crossed` compares", "numbers", is_number);
        }
        if let Some(frozen) = &rules.frozen {
            let fits = |kind| kind != FieldType::Json;
            self.field(&frozen.field, "`frozen` compares", "anything but json", fits);
        }
        for (name, _) in &rules.nulls {
            self.nulls(name);
        }
        if let (Some((word, span)), None) = (rules.needs_event_time(), &self.rows.event_time) {
            let message = format!(
                "`{word}` judges the event time, and the rows of `{}` have none",
                self.input.name.value
            );
            let finding = Diagnostic::error(Code::RuleWithoutField, span, message)
                .also(self.input.name.span, "the input");
            self.cx
                .report(finding.help("give the normalizer a field of type `timestamp`, or remove the rule"));
        }
    }

    fn band(&self, name: &Spanned<String>) {
        if name.value == PRICE && !has(self.rows, PRICE) {
            let message = format!(
                "`price_band` judges `price`, and the rows of `{}` have no such field",
                self.input.name.value
            );
            let finding = Diagnostic::error(Code::RuleWithoutField, name.span, message)
                .also(self.input.name.span, "the input");
            return self.cx.report(finding.help("name the field: `price_band: { field: .., within: 5% }`"));
        }
        self.field(name, "`price_band` compares", "numbers", is_number);
    }

    fn nulls(&self, name: &Spanned<String>) {
        let Some(column) = self.rows.columns.iter().find(|column| column.name == name.value) else {
            return unknown_field(self.cx, self.input, self.rows, name);
        };
        if !column.nullable {
            let message =
                format!("`{}` is never null: a row without it goes to the dead letter", column.name);
            let finding = Diagnostic::error(Code::UnfitRule, name.span, message);
            self.cx.report(
                self.at_field(finding, &column.name)
                    .help("make the field `optional: true`, or remove the rule"),
            );
        }
    }

    /// That the rows have the field, of a type that fits.
    fn field(&self, name: &Spanned<String>, does: &str, wanted: &str, fits: impl Fn(FieldType) -> bool) {
        let Some(column) = self.rows.columns.iter().find(|column| column.name == name.value) else {
            return unknown_field(self.cx, self.input, self.rows, name);
        };
        let doubtful = field_span(self.rows, &column.name).is_some_and(|span| self.cx.is_doubtful(span));
        if fits(column.kind) || doubtful {
            return;
        }
        let message = format!("`{}` is {}, and {does} {wanted}", column.name, column.kind);
        let finding = Diagnostic::error(Code::UnfitRule, name.span, message);
        self.cx.report(
            self.at_field(finding, &column.name).help("name another field, or give this one another type"),
        );
    }

    fn at_field(&self, finding: Diagnostic, name: &str) -> Diagnostic {
        match field_span(self.rows, name) {
            Some(span) => finding.also(span, "the field"),
            None => finding,
        }
    }
}

/// Overrides that nobody can tell apart, and such that never count.
fn overrides(cx: &Context<'_>, gate: &QualityGate) {
    for (index, one) in gate.overrides.iter().enumerate() {
        let before = &gate.overrides[..index];
        if let Some(first) = before.iter().find(|first| first.name == one.name) {
            let message = format!("two overrides are named `{}`", one.name.value);
            let finding =
                Diagnostic::error(Code::SameCase, one.name.span, message).also(first.name.span, "the first");
            cx.report(finding.help("the name is what a key shows: give each its own"));
        }
        if let Some(first) = before.iter().find(|first| first.when.text == one.when.text) {
            let message = format!(
                "the override `{}` never applies: `{}` comes first and takes every key it would take",
                one.name.value, first.name.value
            );
            let finding = Diagnostic::warning(Code::UnreachableCase, one.name.span, message);
            cx.report(
                finding
                    .also(first.name.span, "the earlier override")
                    .help("put the narrower `when` first, or join the two"),
            );
        }
    }
}

fn readers<'a>(graph: &Graph<'a>, name: &str) -> impl Iterator<Item = &'a Draft> {
    graph.drafts.iter().filter(move |draft| draft.from.iter().any(|from| from.value == name))
}

fn is_number(kind: FieldType) -> bool {
    matches!(kind, FieldType::Int64 | FieldType::Float64 | FieldType::Decimal { .. })
}

/// A cache whose keys expire before the next verdict is written: a reader would find none between two of them.
fn beat(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft, gate: &QualityGate) {
    for reader in readers(graph, &draft.name.value) {
        let Some(Kind::RedisCache(cache)) = reader.actor.as_ref().map(|actor| &actor.kind) else { continue };
        let Some(ttl) = cache.ttl.filter(|ttl| *ttl <= gate.every.value) else { continue };
        let message = format!(
            "a key would halt between two verdicts: `{}` forgets after {ttl:?}, and one is given every {:?}",
            reader.name.value, gate.every.value
        );
        let finding =
            Diagnostic::warning(Code::SlowBeat, gate.every.span, message).also(reader.name.span, "the cache");
        cx.report(finding.help("make `every` a third of the `ttl` or less"));
    }
}

/// A gate keeps no offsets of what it reads, so where a source reads on nobody would know.
fn only_gates(cx: &Context<'_>, graph: &Graph<'_>) {
    let is = |draft: &Draft, port: Port| draft.entry.is_some_and(|entry| entry.port == port);
    for source in graph.drafts.iter().filter(|draft| is(draft, Port::Source)) {
        let rows = readers(graph, &source.name.value).filter(|reader| normalizer(reader).is_some());
        let ends: Vec<&Draft> = rows.flat_map(|rows| readers(graph, &rows.name.value)).collect();
        let Some(gate) = ends.iter().find(|end| is(end, Port::Gate)) else { continue };
        if ends.iter().any(|end| is(end, Port::Sink)) {
            continue;
        }
        let message = format!(
            "nobody but gates reads `{}`: where it goes on after a restart is kept nowhere",
            source.name.value
        );
        let finding =
            Diagnostic::error(Code::OnlyGates, source.name.span, message).also(gate.name.span, "a gate");
        cx.report(
            finding.help("let a sink read the same rows: a timescale_writer, a redis_cache or a kafka_sink"),
        );
    }
}
