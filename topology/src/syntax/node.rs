//! The tree: nodes, and what a plain scalar means in the core schema.

use crate::{Span, Spanned};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) tag: Option<Tag>,
    pub(crate) value: Value,
}

/// `!name` before a value.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

/// The entries in the file's order; no key twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    pub(crate) entries: Vec<Entry>,
}

impl Mapping {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Node,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text, unescaped, after interpolation.
    pub(crate) text: String,
    pub(crate) style: Style,
    /// Whether part of the text came from the environment; such a text is never shown.
    pub(crate) interpolated: bool,
    /// Whether it could not be interpolated, which is said already: it has no value, and nobody complains again.
    pub(crate) refused: bool,
}

/// What a scalar is by the YAML 1.2 core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Core<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// Types a plain scalar; a quoted or block one is text.
    pub(crate) fn core(&self) -> Core<'_> {
        if self.refused {
            return Core::Null;
        }
        if self.style != Style::Plain {
            return Core::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Core::Null,
            "true" | "True" | "TRUE" => Core::Bool(true),
            "false" | "False" | "FALSE" => Core::Bool(false),
            text => number(text).unwrap_or(Core::Text(text)),
        }
    }
}

fn number(text: &str) -> Option<Core<'_>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().map(Core::Int);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().map(Core::Int);
    }
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(Core::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Core::Float(f64::NAN)),
        _ => {}
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Core::Int).or_else(|| text.parse().ok().map(Core::Float));
    }
    if unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return text.parse().ok().map(Core::Float);
    }
    None
}

impl Node {
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Nothing was written, or `null`. A lone tag is something.
    pub(crate) fn is_null(&self) -> bool {
        self.tag.is_none()
            && self.scalar().is_some_and(|scalar| scalar.core() == Core::Null && !scalar.refused)
    }

    /// What it is, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.core() {
                Core::Null => "nothing",
                Core::Bool(_) => "true or false",
                Core::Int(_) => "a whole number",
                Core::Float(_) => "a number",
                Core::Text(_) => "text",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(text: &str) -> Core<'_> {
        match text {
            "" | "~" => Core::Null,
            _ => number(text).unwrap_or(Core::Text(text)),
        }
    }

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        assert_eq!(core("-12"), Core::Int(-12));
        assert_eq!(core("0x1F"), Core::Int(31));
        assert_eq!(core("1e3"), Core::Float(1000.0));
        assert_eq!(core("1_000"), Core::Text("1_000"));
        assert_eq!(core("50ms"), Core::Text("50ms"));
        assert_eq!(core("127.0.0.1"), Core::Text("127.0.0.1"));
        assert_eq!(core("nan"), Core::Text("nan"));
        assert_eq!(core("yes"), Core::Text("yes"));
    }
}
