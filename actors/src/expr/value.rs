//! What an expression works on. Values borrow from the message and the row; a comparison allocates nothing.

use super::decimal::Decimal;
use crate::json::{Kind, NodeRef};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// A scalar, or a part of the message.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Absent or null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// A number as it was written, in a message or in the expression: becomes what it is compared or combined with.
    Number(&'a str),
    /// Text.
    Text(Cow<'a, str>),
    /// Microseconds since 1970 UTC.
    Time(i64),
    /// Microseconds.
    Duration(i64),
    /// An array or object of the message; also a string that stands for no text (a lone surrogate).
    Node(NodeRef<'a>),
    /// A list made by the expression.
    List(Arc<[Value<'a>]>),
}

impl<'a> Value<'a> {
    /// The value of a place in the message.
    #[inline(always)]
    pub fn of(node: NodeRef<'a>) -> Self {
        match node.kind() {
            Kind::String => match node.plain_text() {
                Some(text) => Value::Text(Cow::Borrowed(text)),
                None => node.text().map_or(Value::Node(node), Value::Text),
            },
            Kind::Number => Value::Number(node.source()),
            Kind::Bool => Value::Bool(node.source() == "true"),
            Kind::Null => Value::Null,
            Kind::Object | Kind::Array => Value::Node(node),
        }
    }

    /// Whether it is true; what is no bool is not.
    #[inline]
    pub fn is_true(&self) -> bool {
        matches!(self, Value::Bool(true))
    }

    /// Whether it is absent.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The word for its type in messages to people.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::Double(_) | Value::Decimal(_) | Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::Time(_) => "a timestamp",
            Value::Duration(_) => "a duration",
            Value::List(_) => "a list",
            Value::Node(node) => match node.kind() {
                Kind::Object => "an object",
                Kind::Array => "an array",
                _ => "text with a lone surrogate",
            },
        }
    }

    /// The text as written: of text itself, of a number its digits, of a bool its word.
    pub fn written(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Value::Text(text) => Cow::Borrowed(text.as_ref()),
            Value::Number(text) => Cow::Borrowed(*text),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::Int(number) => Cow::Owned(number.to_string()),
            Value::Double(number) => Cow::Owned(number.to_string()),
            Value::Decimal(number) => Cow::Owned(number.to_string()),
            Value::Time(time) => Cow::Owned(super::time::format_iso(*time)),
            Value::Duration(micros) => {
                Cow::Owned(format!("{}s", Decimal { units: i128::from(*micros), scale: 6 }))
            }
            Value::Null | Value::Node(_) | Value::List(_) => return None,
        })
    }

    /// For messages to people.
    pub fn describe(&self) -> String {
        match self {
            Value::Node(node) => node.source().to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Null => "null".to_owned(),
            other => other.written().map(Cow::into_owned).unwrap_or_default(),
        }
    }

    /// The order of two values of one type; `None` for null, for different types and for what has no order.
    #[inline]
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Text(mine), Value::Text(theirs)) => Some(mine.as_bytes().cmp(theirs.as_bytes())),
            (Value::Int(mine), Value::Int(theirs)) => Some(mine.cmp(theirs)),
            (Value::Bool(mine), Value::Bool(theirs)) => Some(mine.cmp(theirs)),
            (Value::Time(mine), Value::Time(theirs)) => Some(mine.cmp(theirs)),
            (Value::Duration(mine), Value::Duration(theirs)) => Some(mine.cmp(theirs)),
            (Value::Double(mine), Value::Double(theirs)) => mine.partial_cmp(theirs),
            (Value::Number(mine), Value::Int(theirs)) => match mine.parse::<i64>() {
                Ok(mine) => Some(mine.cmp(theirs)),
                Err(_) => self.compare_numbers(other),
            },
            _ => self.compare_numbers(other),
        }
    }

    fn compare_numbers(&self, other: &Value<'_>) -> Option<Ordering> {
        if !self.is_number() || !other.is_number() {
            return None;
        }
        let inexact = matches!(self, Value::Double(_)) || matches!(other, Value::Double(_));
        if !inexact && let (Some(mine), Some(theirs)) = (self.to_decimal(), other.to_decimal()) {
            return Some(mine.compare(theirs));
        }
        self.to_f64()?.partial_cmp(&other.to_f64()?)
    }

    /// Whether it is a number of any kind.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Int(_) | Value::Double(_) | Value::Decimal(_) | Value::Number(_))
    }

    /// The exact decimal of a number that has one; not of a double.
    pub fn to_decimal(&self) -> Option<Decimal> {
        match self {
            Value::Int(number) => Some(Decimal { units: i128::from(*number), scale: 0 }),
            Value::Decimal(number) => Some(*number),
            Value::Number(text) => Decimal::parse(text).ok(),
            _ => None,
        }
    }

    /// The nearest double of a number.
    pub fn to_f64(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            Value::Decimal(number) => Some(number.to_f64()),
            Value::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly_across_their_kinds() {
        let decimal = |text| Value::Decimal(Decimal::parse(text).unwrap());
        let number = Value::Number;
        let cases: &[(Value<'_>, Value<'_>, Option<Ordering>)] = &[
            (number("0.1"), decimal("0.1"), Some(Ordering::Equal)),
            (number("1.0"), Value::Int(1), Some(Ordering::Equal)),
            (number("1e400"), Value::Int(1), Some(Ordering::Greater)),
            (number("9007199254740993"), number("9007199254740992"), Some(Ordering::Greater)),
            (Value::Double(0.5), number("0.5"), Some(Ordering::Equal)),
            (Value::Double(f64::NAN), Value::Int(0), None),
            (Value::Text("1".into()), Value::Int(1), None),
            (Value::Null, Value::Int(1), None),
            (Value::Null, Value::Null, None),
            (Value::Bool(true), Value::Int(1), None),
            (Value::Time(1), Value::Int(1), None),
        ];
        for (left, right, order) in cases {
            assert_eq!(left.compare(right), *order, "{left:?} with {right:?}");
        }
    }
}
