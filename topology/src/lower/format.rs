//! `format`, and what has to be said beside it.

use super::pointer::parse;
use super::{Context, Keys};
use crate::Spanned;
use crate::catalog::{AVRO, CSV, Place};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::model::{Coding, Csv, Format};
use crate::syntax::{Node, Scalar, Value, shortened};
use std::collections::HashMap;

const DELIMITER: u8 = b',';
const QUOTE: u8 = b'"';

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Coding {
    let said = keys.get("format");
    let format: Option<Format> = said.and_then(|node| cx.word(node, "a format"));
    let (csv_node, avro_node) = (keys.get("csv"), keys.get("avro"));
    let (csv, avro) = (csv_node.map(|node| csv(cx, node)), avro_node.and_then(|node| avro(cx, node)));
    if said.is_none() || format.is_some() {
        let format = format.unwrap_or_default();
        for (name, node, own) in [("csv", csv_node, Format::Csv), ("avro", avro_node, Format::Avro)] {
            if let (Some(node), true) = (keys.key_span(name).filter(|_| node.is_some()), format != own) {
                let message =
                    format!("`{name}` says how to read {name}, and the format is {}", format.word());
                let finding = Diagnostic::error(Code::TwoSecrets, node, message);
                cx.report(finding.help(format!("write `format: {name}`, or leave `{name}` out")));
            }
        }
    }
    match format.unwrap_or_default() {
        Format::Json => Coding::Json,
        Format::Csv => {
            let csv = csv.unwrap_or_else(Csv::default);
            check_paths(cx, keys, &csv);
            Coding::Csv(csv)
        }
        Format::Avro => Coding::Avro { schema: avro },
        Format::Protobuf => Coding::Protobuf,
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self { columns: Vec::new(), delimiter: DELIMITER, quote: Some(QUOTE) }
    }
}

fn csv(cx: &Context<'_>, node: &Node) -> Csv {
    let Some(keys) = Keys::open(cx, node, Place::Actor, "`csv`", &[CSV]) else { return Csv::default() };
    let columns = keys.get("columns").map_or_else(Vec::new, |node| columns(cx, node));
    let delimiter =
        keys.get("delimiter").and_then(|node| sign(cx, node, ("tab", b'\t'))).unwrap_or(DELIMITER);
    let quote = keys.get("quote").map_or(Some(QUOTE), |node| {
        // No line holds NUL, which stands for "none" here.
        sign(cx, node, ("none", 0)).filter(|quote| *quote != 0)
    });
    if let (Some(node), true) = (keys.get("quote"), quote == Some(delimiter)) {
        let message = "the delimiter and the quote are the same character";
        cx.report(
            Diagnostic::error(Code::TwoSecrets, node.span, message).help("choose another `quote`, or `none`"),
        );
    }
    keys.close();
    Csv { columns, delimiter, quote }
}

fn columns(cx: &Context<'_>, node: &Node) -> Vec<Spanned<String>> {
    let columns: Vec<_> = cx.references(node);
    let mut seen: HashMap<&str, &Spanned<String>> = HashMap::new();
    for column in &columns {
        if let Some(first) = seen.insert(&column.value, column) {
            let message = format!("two columns are named `{}`", shortened(&column.value));
            let finding =
                Diagnostic::error(Code::FieldTwice, column.span, message).also(first.span, "the first");
            cx.report(finding.help("a path finds a column by its name: give each its own"));
        }
    }
    columns
}

/// One printable character of ASCII that is no letter or digit, or a word for another.
fn sign(cx: &Context<'_>, node: &Node, (word, meaning): (&str, u8)) -> Option<u8> {
    let text = cx.text(node)?;
    match text.value.as_bytes() {
        _ if text.value == word => Some(meaning),
        [b'\t'] => Some(b'\t'),
        [sign @ b' '..=b'~'] if !sign.is_ascii_alphanumeric() => Some(*sign),
        _ => {
            let message = "one character of ASCII is wanted here, no letter and no digit";
            cx.report(
                Diagnostic::error(Code::UnknownWord, node.span, message).help(format!("or write `{word}`")),
            );
            None
        }
    }
}

fn avro(cx: &Context<'_>, node: &Node) -> Option<Spanned<std::path::PathBuf>> {
    let keys = Keys::open(cx, node, Place::Actor, "`avro`", &[AVRO])?;
    let schema = keys.get("schema").and_then(|node| cx.path(node));
    keys.close();
    schema
}

/// Paths that no line of these columns has.
fn check_paths(cx: &Context<'_>, keys: &Keys<'_>, csv: &Csv) {
    let mut parts = vec![(keys.get("fields"), keys.get("explode"))];
    if let Some(Value::Sequence(cases)) = keys.get("cases").map(|node| &node.value) {
        parts.extend(cases.iter().map(|case| (part(case, "fields"), part(case, "explode"))));
    }
    for (fields, explode) in parts {
        if let Some(node) = explode {
            let message = "the cells of a line are text: there is nothing to explode";
            let finding = Diagnostic::error(Code::NoSuchPath, node.span, message);
            cx.report(finding.help("leave `explode` out: each line of a message is a row already"));
        }
        for (path, tokens) in fields.into_iter().flat_map(paths) {
            if let Some(finding) = lacking(csv, path, &tokens) {
                cx.report(finding);
            }
        }
    }
}

fn part<'n>(case: &'n Node, key: &str) -> Option<&'n Node> {
    case.mapping()?.get(key).map(|entry| &entry.value)
}

/// The paths under `fields`, parsed; what does not parse has been said.
fn paths(fields: &Node) -> Vec<(&Node, Vec<String>)> {
    let entries = fields.mapping().map_or(&[][..], |fields| &fields.entries);
    let nodes = entries.iter().filter_map(|entry| match entry.value.mapping() {
        Some(_) => part(&entry.value, "path"),
        None => Some(&entry.value),
    });
    nodes
        .filter_map(|node| {
            let text = node.scalar().map(|scalar: &Scalar| scalar.text.as_str())?;
            Some((node, parse(text).ok()?.tokens))
        })
        .collect()
}

fn lacking(csv: &Csv, path: &Node, tokens: &[String]) -> Option<Diagnostic> {
    let names = || csv.columns.iter().map(|column| column.value.as_str());
    let [column] = tokens else {
        let message = match tokens.is_empty() {
            true => return None,
            false => "a line of CSV has no depth: its cells are text",
        };
        let finding = Diagnostic::error(Code::NoSuchPath, path.span, message);
        return Some(finding.help(format!("name one column: `/{}`", shortened(&tokens[0]))));
    };
    if csv.columns.is_empty() {
        let is_place = column.bytes().all(|byte| byte.is_ascii_digit()) && !column.is_empty();
        let message = format!("`/{}` names a column, and no names are given", shortened(column));
        let help = "list them in `csv.columns`, or count from `/0`";
        return (!is_place).then(|| Diagnostic::error(Code::NoSuchPath, path.span, message).help(help));
    }
    if names().any(|name| name == column) {
        return None;
    }
    let near = nearest(column, names()).map(|near| format!("did you mean `/{near}`?"));
    let help = near.unwrap_or_else(|| format!("the columns are {}", names().collect::<Vec<_>>().join(", ")));
    let message = format!("`csv.columns` has no `{}`", shortened(column));
    Some(Diagnostic::error(Code::NoSuchPath, path.span, message).help(help))
}
