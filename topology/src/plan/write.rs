//! How values are written into a form: one spelling for each, so that equal things are equal.

use super::Keys;
use crate::model::{Column, Expr, TemplatePart};
use serde_json::Value;
use std::time::Duration;

/// Collects keys.
#[derive(Default)]
pub(super) struct Writer(Keys);

impl Writer {
    /// A key and its value.
    pub(super) fn put(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(key.into(), value.into());
    }

    /// A key that may be absent.
    pub(super) fn maybe(&mut self, key: impl Into<String>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A duration.
    pub(super) fn time(&mut self, key: impl Into<String>, value: Duration) {
        self.put(key, duration(value));
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: impl Into<String>, texts: impl IntoIterator<Item = String>) {
        self.put(key, texts.into_iter().map(Value::String).collect::<Vec<_>>());
    }

    /// A list of texts, left out where it is empty.
    pub(super) fn some_texts(&mut self, key: impl Into<String>, texts: impl IntoIterator<Item = String>) {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_some() {
            self.texts(key, texts);
        }
    }

    /// An expression that may be absent.
    pub(super) fn expr(&mut self, key: impl Into<String>, expr: Option<&Expr>) {
        self.maybe(key, expr.map(|expr| expr.text.clone()));
    }

    pub(super) fn done(self) -> Keys {
        self.0
    }
}

/// In the largest unit that divides it.
pub(crate) fn duration(value: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = value.as_nanos();
    let unit = UNITS.iter().find(|(size, _)| nanos > 0 && nanos.is_multiple_of(*size));
    unit.map_or_else(|| "0s".to_owned(), |(size, word)| format!("{}{word}", nanos / size))
}

/// In the largest binary unit that divides it.
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
    let unit = UNITS.iter().find(|(size, _)| value > 0 && value.is_multiple_of(*size));
    unit.map_or_else(|| "0B".to_owned(), |(size, word)| format!("{}{word}", value / size))
}

/// `last:{symbol}`, as the file writes it: a brace of the text is doubled.
pub(crate) fn template(parts: &[TemplatePart]) -> String {
    let part = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.replace('{', "{{").replace('}', "}}"),
        TemplatePart::Field(field) => format!("{{{}}}", field.value),
    };
    parts.iter().map(part).collect()
}

/// `price decimal(18,8)`, `side text null`.
pub(super) fn column(column: &Column) -> String {
    let null = if column.nullable { " null" } else { "" };
    format!("{} {}{null}", column.name, column.kind)
}
