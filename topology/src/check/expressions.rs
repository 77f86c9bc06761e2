//! Expressions: that they name what is there when they run.
//!
//! Deliberately absent: types. What an operator accepts is known only with the message at hand, and then never errs.

use super::Graph;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, ENVIRONMENT, Expression};
use crate::model::{Case, Expr, FieldSource, Kind, Normalizer};
use crate::syntax::shortened;

/// What may be called: CEL's own, the extensions for strings, and ours.
const FUNCTIONS: &[&str] = &[
    "abs",
    "all",
    "bool",
    "contains",
    "decimal",
    "double",
    "duration",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "indexOf",
    "int",
    "lastIndexOf",
    "lowerAscii",
    "map",
    "matches",
    "replace",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "timestamp",
    "trim",
    "uint",
    "upperAscii",
];

/// Functions of other languages.
const FOREIGN: &[(&str, &str)] = &[
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("starts_with", "startsWith"),
    ("ends_with", "endsWith"),
    ("includes", "contains"),
    ("regex", "matches"),
    ("match", "matches"),
    ("float", "double"),
    ("number", "double"),
    ("str", "string"),
    ("to_string", "string"),
    ("toString", "string"),
    ("parse_int", "int"),
    ("strip", "trim"),
    ("find", "indexOf"),
    ("index_of", "indexOf"),
    ("exist", "has"),
    ("exists", "has"),
];

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    for (_, normalizer) in graph.normalizers() {
        for case in &normalizer.cases {
            check_case(cx, normalizer, case);
        }
    }
    for draft in graph.drafts {
        let Some(Kind::RedisCache(cache)) = draft.actor.as_ref().map(|actor| &actor.kind) else { continue };
        let (Some(delete_when), Some((_, rows))) = (&cache.delete_when, graph.rows_of(draft)) else {
            continue;
        };
        let Some(expression) = cx.expression(delete_when.span) else { continue };
        check_calls(cx, &expression);
        for name in &expression.identifiers {
            if !is_field(rows, &name.value) {
                cx.report(unknown(rows, name, false));
            }
        }
    }
}

fn is_field(rows: &Normalizer, name: &str) -> bool {
    rows.columns.iter().any(|column| column.name == name)
}

/// Where in a normalizer an expression stands.
#[derive(Clone, Copy)]
enum Place {
    /// Before any field.
    When,
    /// The field of this index.
    Field(usize),
    /// After all fields.
    Row,
}

fn check_case(cx: &Context<'_>, rows: &Normalizer, case: &Case) {
    let whens = case.when.iter().map(|expr| (expr, Place::When));
    let fields = case.fields.iter().enumerate().filter_map(|(index, field)| match &field.source {
        FieldSource::Expr(expr) => Some((expr, Place::Field(index))),
        FieldSource::Path(_) => None,
    });
    let conditions =
        case.select.iter().chain(case.require.iter().map(|(_, expr)| expr)).map(|expr| (expr, Place::Row));
    for (expr, place) in whens.chain(fields).chain(conditions) {
        check_expression(cx, rows, case, expr, place);
    }
}

fn check_expression(cx: &Context<'_>, rows: &Normalizer, case: &Case, expr: &Expr, place: Place) {
    let Some(expression) = cx.expression(expr.span) else { return };
    check_calls(cx, &expression);
    for name in &expression.identifiers {
        let field = rows.columns.iter().position(|column| column.name == name.value);
        match field {
            Some(index) => check_field(cx, rows, name, index, place),
            None if name.value == "item" || name.value == "item_key" => check_item(cx, case, name, place),
            None if ENVIRONMENT.contains(&name.value.as_str()) => {}
            None => cx.report(unknown(rows, name, true)),
        }
    }
}

fn check_field(cx: &Context<'_>, rows: &Normalizer, name: &Spanned<String>, index: usize, place: Place) {
    match place {
        Place::When => {
            let message = format!(
                "`when` chooses the case before any field is read, so `{}` is not there yet",
                name.value
            );
            let finding = Diagnostic::error(Code::FieldInWhen, name.span, message);
            cx.report(finding.help("name the message instead (`msg...`), or move the condition to `select`"));
        }
        Place::Field(own) if own <= index => {
            let message = match own == index {
                true => format!("`{}` is computed from itself", name.value),
                false => format!(
                    "`{}` comes after `{}`, which is computed from it",
                    name.value, rows.columns[own].name
                ),
            };
            let finding = Diagnostic::error(Code::LaterField, name.span, message);
            cx.report(
                finding.help("a field may name the fields above it: change the order, or name the message"),
            );
        }
        Place::Field(_) | Place::Row => {}
    }
}

fn check_item(cx: &Context<'_>, case: &Case, name: &Spanned<String>, place: Place) {
    let message = match place {
        Place::When => {
            format!("`when` looks at the whole message, before `explode` gives any `{}`", name.value)
        }
        _ if case.explode.is_none() => {
            format!("`{}` is an element of what `explode` names, and nothing is exploded", name.value)
        }
        _ => return,
    };
    let finding = Diagnostic::error(Code::ItemWithoutExplode, name.span, message);
    cx.report(finding.help("name the message instead (`msg..`), or add `explode: /path/to/the/list`"));
}

fn unknown(rows: &Normalizer, name: &Spanned<String>, message_at_hand: bool) -> Diagnostic {
    let environment = if message_at_hand { ENVIRONMENT } else { &[] };
    let names = rows.columns.iter().map(|column| column.name.as_str()).chain(environment.iter().copied());
    let help = match nearest(&name.value, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None if message_at_hand => {
            format!("a member of the message is `msg.{}`; a text stands in quotes", shortened(&name.value))
        }
        None => "here only the fields of the row are known".to_owned(),
    };
    Diagnostic::error(
        Code::UnknownIdentifier,
        name.span,
        format!("nothing is named `{}`", shortened(&name.value)),
    )
    .help(help)
}

fn check_calls(cx: &Context<'_>, expression: &Expression) {
    for name in &expression.calls {
        if FUNCTIONS.contains(&name.value.as_str()) {
            continue;
        }
        let foreign = FOREIGN.iter().find(|(word, _)| *word == name.value).map(|(_, ours)| *ours);
        let help = match foreign.or_else(|| nearest(&name.value, FUNCTIONS.iter().copied())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the functions are {}", FUNCTIONS.join(", ")),
        };
        let message = format!("there is no function `{}`", shortened(&name.value));
        cx.report(Diagnostic::error(Code::UnknownFunction, name.span, message).help(help));
    }
}
