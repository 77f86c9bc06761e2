//! Fields: what the row says of one, and what a case says over it.

use super::{Context, Keys, accepts};
use crate::catalog::{CASE_FIELD, FIELD, Place};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::model::{Column, Expr, Field, FieldSource, FieldType, Literal, TimeUnit};
use crate::syntax::{Node, Value, shortened};
use crate::{Span, Spanned};

/// What one place says of a field; `None` = nothing, so the place beneath holds.
#[derive(Clone, Default)]
pub(super) struct FieldDraft {
    source: Option<FieldSource>,
    default: Option<Literal>,
    map: Option<Vec<(String, Spanned<String>)>>,
    unit: Option<Spanned<TimeUnit>>,
    zone: Option<Spanned<String>>,
    scale: Option<Spanned<u32>>,
    max_bytes: Option<Spanned<usize>>,
    /// A source was written, though perhaps a wrong one.
    has_source: bool,
}

/// A field of the row.
pub(super) struct RowField {
    pub(super) name: Spanned<String>,
    /// The type; the neutral `json` where the one written is wrong.
    pub(super) kind: FieldType,
    /// Whether the type is the one written.
    pub(super) typed: bool,
    pub(super) optional: bool,
    pub(super) draft: FieldDraft,
}

impl RowField {
    pub(super) fn column(&self) -> Column {
        let nullable = self.optional && self.draft.default.is_none();
        Column { name: self.name.value.clone(), kind: self.kind, nullable }
    }
}

/// `fields` of the row.
pub(super) fn lower_row(cx: &Context<'_>, node: &Node) -> Vec<RowField> {
    let Some(mapping) = node.mapping() else {
        return cx.wrong_type(node, "a mapping of fields").unwrap_or_default();
    };
    if mapping.entries.is_empty() {
        cx.report(Diagnostic::error(Code::MissingKey, node.span, "a row has at least one field"));
    }
    mapping
        .entries
        .iter()
        .filter(|entry| cx.check_column(&entry.key))
        .map(|entry| row_field(cx, &entry.key, &entry.value))
        .collect()
}

fn row_field(cx: &Context<'_>, name: &Spanned<String>, node: &Node) -> RowField {
    let absent = |draft| {
        cx.doubt(name.span);
        RowField { name: name.clone(), kind: FieldType::Json, typed: false, optional: false, draft }
    };
    if let Value::Scalar(scalar) = &node.value {
        let written = if scalar.interpolated { "" } else { scalar.text.as_str() };
        let finding = Diagnostic::error(
            Code::MissingKey,
            node.span,
            format!("the row does not say the type of `{}`", name.value),
        )
        .help(format!(
            "write `{}: {{ type: text, path: {} }}` with its type",
            name.value,
            shortened(written)
        ));
        cx.report(finding);
        return absent(FieldDraft { has_source: true, ..FieldDraft::default() });
    }
    let Some(keys) = Keys::open(cx, node, Place::Field, "a field", &[FIELD]) else {
        return absent(FieldDraft { has_source: true, ..FieldDraft::default() });
    };
    let kind = keys.get("type").and_then(|node| cx.field_type(node));
    let optional = keys.get("optional").and_then(|node| cx.boolean(node)).unwrap_or(false);
    let draft = draft(cx, &keys);
    keys.close();
    if kind.is_none() {
        cx.doubt(name.span);
    }
    RowField {
        name: name.clone(),
        kind: kind.unwrap_or(FieldType::Json),
        typed: kind.is_some(),
        optional,
        draft,
    }
}

/// `fields` of a case: drafts by the names of the row.
pub(super) fn lower_case(cx: &Context<'_>, node: &Node, row: &[RowField]) -> Vec<(String, FieldDraft)> {
    let Some(mapping) = node.mapping() else {
        return cx.wrong_type(node, "a mapping of fields").unwrap_or_default();
    };
    let mut drafts = Vec::new();
    for entry in &mapping.entries {
        let name = &entry.key;
        if row.iter().any(|field| field.name.value == name.value) {
            drafts.push((name.value.clone(), case_field(cx, &entry.value)));
            continue;
        }
        let names = row.iter().map(|field| field.name.value.as_str());
        let near = nearest(&name.value, names).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| {
            "every field of a case is first said in the row, `fields` of the normalizer".to_owned()
        });
        let message = format!("the row has no field `{}`", shortened(&name.value));
        cx.report(Diagnostic::error(Code::UnknownCaseField, name.span, message).help(help));
    }
    drafts
}

fn case_field(cx: &Context<'_>, node: &Node) -> FieldDraft {
    if node.scalar().is_some() {
        let source = cx.pointer(node).map(FieldSource::Path);
        return FieldDraft { source, has_source: true, ..FieldDraft::default() };
    }
    if let Some(mapping) = node.mapping() {
        for name in ["type", "optional"] {
            let Some(entry) = mapping.get(name) else { continue };
            let finding = Diagnostic::error(
                Code::TypeInCase,
                entry.key.span,
                format!("`{name}` is said once, in the row"),
            )
            .help("leave it out here: every case gives the same row");
            cx.report(finding);
            return FieldDraft { has_source: true, ..FieldDraft::default() };
        }
    }
    let Some(keys) = Keys::open(cx, node, Place::Field, "a case's field", &[CASE_FIELD]) else {
        return FieldDraft { has_source: true, ..FieldDraft::default() };
    };
    let draft = draft(cx, &keys);
    keys.close();
    draft
}

/// The keys that row and case share.
fn draft(cx: &Context<'_>, keys: &Keys<'_>) -> FieldDraft {
    let (path, expr) = (keys.get("path"), keys.get("expr"));
    if let (Some(path), Some(expr)) = (path, expr) {
        let finding =
            Diagnostic::error(Code::TwoSources, expr.span, "a field has a `path` or an `expr`, not both")
                .also(path.span, "the path")
                .help("keep one; an expression reaches the same place as `msg.a.b` or `item.b`");
        cx.report(finding);
    }
    let source = path
        .and_then(|node| cx.pointer(node).map(FieldSource::Path))
        .or_else(|| expr.and_then(|node| cx.expr(node).map(FieldSource::Expr)));
    FieldDraft {
        source,
        has_source: path.is_some() || expr.is_some(),
        default: keys
            .get("default")
            .and_then(|node| cx.text(node))
            .map(|text| Literal { text: text.value, span: text.span }),
        map: keys.get("map").and_then(|node| lower_map(cx, node)),
        unit: keys
            .get("unit")
            .and_then(|node| cx.word(node, "a unit of time").map(|unit| Spanned::new(unit, node.span))),
        zone: keys.get("zone").and_then(|node| cx.zone(node)),
        scale: keys
            .get("scale")
            .and_then(|node| cx.count(node, 0..=38).map(|scale| Spanned::new(scale, node.span))),
        max_bytes: keys.get("max_bytes").and_then(|node| {
            cx.count(node, 1..=1 << 30).map(|bytes| Spanned::new(bytes as usize, node.span))
        }),
    }
}

fn lower_map(cx: &Context<'_>, node: &Node) -> Option<Vec<(String, Spanned<String>)>> {
    let Some(mapping) = node.mapping() else { return cx.wrong_type(node, "a mapping of texts") };
    let pairs =
        mapping.entries.iter().filter_map(|entry| Some((entry.key.value.clone(), cx.text(&entry.value)?)));
    Some(pairs.collect())
}

/// The row's field with a case's draft over it.
pub(super) fn merge(
    cx: &Context<'_>,
    row: &RowField,
    case: Option<&FieldDraft>,
    place: Span,
    case_name: &str,
) -> Field {
    let base = &row.draft;
    let empty = FieldDraft::default();
    let over = case.unwrap_or(&empty);
    let draft = FieldDraft {
        source: if over.has_source { over.source.clone() } else { base.source.clone() },
        has_source: over.has_source || base.has_source,
        default: over.default.clone().or_else(|| base.default.clone()),
        map: over.map.clone().or_else(|| base.map.clone()),
        unit: over.unit.or(base.unit),
        zone: over.zone.clone().or_else(|| base.zone.clone()),
        scale: over.scale.or(base.scale),
        max_bytes: over.max_bytes.or(base.max_bytes),
    };
    if row.typed {
        refuse_unfit(cx, row, &draft);
    }
    if !draft.has_source && !row.optional && draft.default.is_none() {
        cx.report(without_source(row, place, case_name));
    }
    let mapped = draft.map.unwrap_or_default();
    let field = Field {
        name: row.name.clone(),
        kind: row.kind,
        // A field that a case does not have is null there.
        source: draft
            .source
            .unwrap_or_else(|| FieldSource::Expr(Expr { text: "null".to_owned(), span: row.name.span })),
        optional: row.optional,
        default: draft.default,
        map: mapped.iter().map(|(from, to)| (from.clone(), to.value.clone())).collect(),
        unit: draft.unit.map(|unit| unit.value),
        zone: draft.zone,
        scale: draft.scale.map(|scale| scale.value),
        max_bytes: draft.max_bytes.map(|bytes| bytes.value),
    };
    for (_, to) in mapped.iter().filter(|(_, to)| row.typed && !accepts(&field, &to.value)) {
        let message = format!("`map` makes a value of `{}` that is no {}", row.name.value, row.kind);
        let finding =
            Diagnostic::error(Code::UnfitDefault, to.span, message).also(row.name.span, "the field");
        cx.report(finding.help("the right side of `map` is written as a message would write the value"));
    }
    field
}

fn without_source(row: &RowField, place: Span, case_name: &str) -> Diagnostic {
    let name = &row.name.value;
    if case_name.is_empty() {
        return Diagnostic::error(Code::WithoutSource, row.name.span, format!("`{name}` is found nowhere"))
            .help("give it a `path` or an `expr`, or make it `optional: true`");
    }
    Diagnostic::error(
        Code::WithoutSource,
        place,
        format!("the case `{case_name}` does not say where `{name}` is"),
    )
    .also(row.name.span, "required by the row")
    .help(format!("add `{name}` to the case's `fields`, or make it `optional: true` in the row"))
}

fn refuse_unfit(cx: &Context<'_>, row: &RowField, draft: &FieldDraft) {
    let kind = row.kind;
    let divisible = matches!(kind, FieldType::Float64 | FieldType::Decimal { .. });
    let unfit = [
        (draft.unit.map(|unit| unit.span), "unit", kind == FieldType::Timestamp, "a timestamp"),
        (draft.zone.as_ref().map(|zone| zone.span), "zone", kind == FieldType::Timestamp, "a timestamp"),
        (draft.scale.map(|scale| scale.span), "scale", divisible, "a decimal or float64"),
        (
            draft.max_bytes.map(|bytes| bytes.span),
            "max_bytes",
            matches!(kind, FieldType::Text | FieldType::Json),
            "text or json",
        ),
    ];
    for (span, option, fits, wanted) in unfit {
        if let (Some(span), false) = (span, fits) {
            let finding = Diagnostic::error(
                Code::UnfitOption,
                span,
                format!("`{option}` is for {wanted}; `{}` is {kind}", row.name.value),
            );
            cx.report(
                finding.also(row.name.span, "the field").help("leave the option out, or change the type"),
            );
        }
    }
}
