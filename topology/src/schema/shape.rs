//! What each shape of a value is in JSON Schema, and in words.

use super::json::object;
use crate::catalog::Shape;
use serde_json::{Value, json};

/// A text in which a variable stands is typed only when the file is read.
const VARIABLE: &str = r"\$\{";
const NAME: &str = "[A-Za-z_][A-Za-z0-9_-]{0,127}";
const DURATION: &str = "0|([0-9]+(us|ms|s|m|h|d))+";
const SIZE: &str = "[0-9]+ ?(B|kB|MB|GB|KiB|MiB|GiB)?";
const GROWTH: &str = "[0-9]+ ?(B|kB|MB|GB|KiB|MiB|GiB)?/(h|d)";
const CRON: &str = "[0-9*,/-]+( +[0-9*,/-]+){4}";
const SHARE: &str = r"[0-9]+(\.[0-9]+)? ?%";
const DECIMAL: &str = r"decimal ?\( ?[0-9]+ ?, ?[0-9]+ ?\)";
const TIME: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].*";

/// A text of that form, or one with a variable in it.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({pattern})$|{VARIABLE}") })
}

/// Something typed, or a variable that will be.
fn or_variable(typed: Value) -> Value {
    json!({ "anyOf": [typed, { "type": "string", "pattern": VARIABLE }] })
}

/// The schema of a value.
pub(super) fn schema(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::File | Shape::Secret | Shape::Template | Shape::Field => json!({ "type": "string" }),
        Shape::Name | Shape::Actor => text(NAME),
        Shape::Integer(least, most) => {
            or_variable(json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Shape::Positive => or_variable(json!({ "type": "number", "exclusiveMinimum": 0 })),
        Shape::Share => {
            json!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, text(SHARE)] })
        }
        Shape::Bool => or_variable(json!({ "type": "boolean" })),
        // A bare zero needs no unit.
        Shape::Duration => json!({ "anyOf": [text(DURATION), { "const": 0 }] }),
        Shape::Size => json!({ "anyOf": [text(SIZE), { "type": "integer", "minimum": 1 }] }),
        Shape::Growth => text(GROWTH),
        Shape::Beat => json!({ "anyOf": [text(DURATION), text(CRON)] }),
        Shape::Word(words) => or_variable(json!({ "type": "string", "enum": words })),
        // `true` and `1` are expressions too.
        Shape::Expression => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Pointer => text("|/.*"),
        Shape::FieldType => {
            let words = ["text", "int64", "float64", "bool", "timestamp", "json", "decimal(18,8)"];
            json!({ "anyOf": [{ "type": "string", "enum": words }, text(DECIMAL)] })
        }
        // A list of no words would be no schema.
        Shape::TimeOr([]) => text(TIME),
        Shape::TimeOr(words) => json!({ "anyOf": [{ "type": "string", "enum": words }, text(TIME)] }),
        Shape::ListOf(one) => {
            let one = schema(*one);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Shape::MapOf(one) => {
            json!({ "type": "object", "additionalProperties": schema(*one) })
        }
        Shape::Part(keys) => object(&[keys]),
        Shape::Either(one, other) => json!({ "anyOf": [schema(*one), schema(*other)] }),
        Shape::Opaque => json!(true),
    }
}

/// What may be written, in a table's cell.
pub(super) fn words(shape: Shape) -> String {
    let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Name => "a name".to_owned(),
        Shape::File => "a file's path".to_owned(),
        Shape::Secret => "an address; never shown".to_owned(),
        Shape::Integer(least, most) => format!("{least} to {most}"),
        Shape::Positive => "a number above 0".to_owned(),
        Shape::Share => "a share, `5%` or `0.05`".to_owned(),
        Shape::Bool => "`true`, `false`".to_owned(),
        Shape::Duration => "a duration, `50ms`".to_owned(),
        Shape::Size => "a size, `16MiB`".to_owned(),
        Shape::Growth => "a growth, `10GiB/d`".to_owned(),
        Shape::Beat => "a duration, or a line of cron".to_owned(),
        Shape::Word(words) => quoted(words),
        Shape::Expression => "an expression".to_owned(),
        Shape::Pointer => "a JSON pointer, `/a/0`".to_owned(),
        Shape::FieldType => "a type".to_owned(),
        Shape::Template => "a text with `{field}` in it".to_owned(),
        Shape::Field => "a field".to_owned(),
        Shape::Actor => "an actor".to_owned(),
        Shape::ListOf(one) => format!("{}, or a list of such", words(*one)),
        Shape::MapOf(one) => format!("by name: {}", words(*one)),
        Shape::Part(_) => "a mapping".to_owned(),
        Shape::Either(one, other) => format!("{}, or {}", words(*one), words(*other)),
        Shape::TimeOr(these) => format!("{}, or an RFC 3339 time", quoted(these)),
        Shape::Opaque => "a mapping".to_owned(),
    }
}

/// Whether a default is what would be written, and no description of it.
pub(super) fn is_written(shape: Shape, default: &str) -> bool {
    match shape {
        Shape::Word(words) | Shape::TimeOr(words) => words.contains(&default),
        Shape::Either(one, other) => is_written(*one, default) || is_written(*other, default),
        _ => !default.contains(' '),
    }
}

/// A default as a value an editor can insert.
pub(super) fn default_value(shape: Shape, default: &str) -> Option<Value> {
    if !is_written(shape, default) {
        return None;
    }
    Some(match shape {
        Shape::Integer(..) | Shape::Bool | Shape::Share | Shape::Positive | Shape::Either(..) => {
            serde_json::from_str(default).unwrap_or_else(|_| json!(default))
        }
        _ => json!(default),
    })
}
