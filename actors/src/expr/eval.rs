//! Walks a [`Program`] over one row.

use super::decimal::Decimal;
use super::loops;
use super::program::{Arithmetic, Node, Program};
use super::time;
use super::value::Value;
use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

/// Where the values of slots come from.
pub trait Scope<'a> {
    /// The value of `slot`; [`Value::Null`] where there is none.
    fn value(&self, slot: u32) -> Value<'a>;

    /// The text of `slot`; `None` where it is no text.
    #[inline]
    fn text(&self, slot: u32) -> Option<Cow<'a, str>> {
        match self.value(slot) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether `slot` has no value.
    #[inline]
    fn is_null(&self, slot: u32) -> bool {
        self.value(slot).is_null()
    }

    /// The elements gone through so far, within a loop.
    fn steps(&self) -> Option<&Cell<u32>> {
        None
    }
}

/// Why a value cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub Cow<'static, str>);

impl Fault {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

pub(super) type Evaluated<'a> = Result<Value<'a>, Fault>;

impl Program {
    /// The expression's value.
    #[inline]
    pub fn value<'a>(&'a self, scope: &impl Scope<'a>) -> Result<Value<'a>, Fault> {
        value(&self.root, scope)
    }

    /// Whether the expression is true: a condition never errs.
    #[inline]
    pub fn is_true<'a>(&'a self, scope: &impl Scope<'a>) -> bool {
        truth(&self.root, scope).unwrap_or(false)
    }
}

/// Whether `node` is true, without making a value of it where that can be helped.
pub(super) fn truth<'a, S: Scope<'a>>(node: &'a Node, scope: &S) -> Result<bool, Fault> {
    match node {
        Node::Text { slot, test, literal } => {
            Ok(scope.text(*slot).is_some_and(|text| test.holds(&text, literal)))
        }
        // As in CEL, the side that decides decides, though the other one errs.
        Node::And(sides) => match truth(&sides[0], scope) {
            Ok(false) => Ok(false),
            Ok(true) => truth(&sides[1], scope),
            Err(fault) => match truth(&sides[1], scope) {
                Ok(false) => Ok(false),
                _ => Err(fault),
            },
        },
        Node::Or(sides) => match truth(&sides[0], scope) {
            Ok(true) => Ok(true),
            Ok(false) => truth(&sides[1], scope),
            Err(fault) => match truth(&sides[1], scope) {
                Ok(true) => Ok(true),
                _ => Err(fault),
            },
        },
        Node::Among { slot, texts } => {
            Ok(scope.text(*slot).is_some_and(|text| texts.iter().any(|known| **known == *text)))
        }
        Node::Present { of, negated } => {
            let absent = match &**of {
                Node::Slot(slot) => scope.is_null(*slot),
                of => value(of, scope)?.is_null(),
            };
            Ok(absent == *negated)
        }
        Node::Compare(comparison, sides) => {
            let order = match sides.each_ref() {
                [Node::Slot(slot), Node::Constant(constant)] => scope.value(*slot).compare(&constant.value()),
                [first, second] => value(first, scope)?.compare(&value(second, scope)?),
            };
            Ok(order.is_some_and(|order| comparison.holds(order)))
        }
        Node::In(sides) => contains(&value(&sides[0], scope)?, &sides[1], scope),
        Node::Matches(of, regex) => match value(of, scope)? {
            Value::Text(text) => Ok(regex.is_match(&text)),
            _ => Ok(false),
        },
        other => Ok(value(other, scope)?.is_true()),
    }
}

pub(super) fn value<'a, S: Scope<'a>>(node: &'a Node, scope: &S) -> Evaluated<'a> {
    Ok(match node {
        Node::Constant(constant) => constant.value(),
        Node::Slot(slot) => scope.value(*slot),
        Node::Step(pair) => step(&value(&pair[0], scope)?, &value(&pair[1], scope)?),
        Node::List(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| value(item, scope)).collect();
            Value::List(Arc::from(items?))
        }
        Node::Not(of) => match value(of, scope)? {
            Value::Bool(truth) => Value::Bool(!truth),
            _ => Value::Null,
        },
        Node::Conditional(parts) => {
            let [condition, yes, no] = &**parts;
            return value(if truth(condition, scope)? { yes } else { no }, scope);
        }
        Node::Arithmetic(operation, sides) => {
            return arithmetic(*operation, value(&sides[0], scope)?, value(&sides[1], scope)?);
        }
        Node::Negate(of) => return negate(value(of, scope)?),
        Node::Call(function, arguments) => {
            let mut values = arguments.iter().map(|argument| value(argument, scope));
            return function.call(&mut values);
        }
        Node::Loop(each) => return loops::run(each, scope),
        condition => Value::Bool(truth(condition, scope)?),
    })
}

fn step<'a>(of: &Value<'a>, step: &Value<'_>) -> Value<'a> {
    let found = match (of, step) {
        (Value::Node(node), Value::Text(name)) => node.member(name).map(Value::of),
        (Value::Node(node), step) => whole(step).and_then(|index| node.element(index)).map(Value::of),
        (Value::List(items), step) => whole(step).and_then(|index| items.get(index).cloned()),
        _ => None,
    };
    found.unwrap_or(Value::Null)
}

fn whole(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::Int(index) => usize::try_from(*index).ok(),
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn contains<'a, S: Scope<'a>>(wanted: &Value<'a>, within: &'a Node, scope: &S) -> Result<bool, Fault> {
    let equal = |item: &Value<'_>| wanted.compare(item) == Some(Ordering::Equal);
    // A list that is written out is not built to be searched.
    if let Node::List(items) = within {
        for item in items {
            if equal(&value(item, scope)?) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    Ok(match value(within, scope)? {
        Value::List(items) => items.iter().any(equal),
        Value::Node(node) => node.children().any(|(name, item)| equal(&Value::of(name.unwrap_or(item)))),
        _ => false,
    })
}

fn arithmetic<'a>(operation: Arithmetic, left: Value<'a>, right: Value<'a>) -> Evaluated<'a> {
    use Arithmetic::{Add, Subtract};
    match (operation, &left, &right) {
        (_, Value::Null, _) | (_, _, Value::Null) => Ok(Value::Null),
        (Add, Value::Text(first), Value::Text(second)) => {
            Ok(Value::Text(Cow::Owned(format!("{first}{second}"))))
        }
        (Add, Value::Time(at), Value::Duration(by)) | (Add, Value::Duration(by), Value::Time(at)) => at
            .checked_add(*by)
            .and_then(time::known)
            .map(Value::Time)
            .ok_or_else(|| overflow(operation, &left, &right)),
        (Subtract, Value::Time(at), Value::Duration(by)) => at
            .checked_sub(*by)
            .and_then(time::known)
            .map(Value::Time)
            .ok_or_else(|| overflow(operation, &left, &right)),
        (Subtract, Value::Time(at), Value::Time(from)) => {
            at.checked_sub(*from).map(Value::Duration).ok_or_else(|| overflow(operation, &left, &right))
        }
        (Add, Value::Duration(first), Value::Duration(second)) => {
            first.checked_add(*second).map(Value::Duration).ok_or_else(|| overflow(operation, &left, &right))
        }
        (Subtract, Value::Duration(first), Value::Duration(second)) => {
            first.checked_sub(*second).map(Value::Duration).ok_or_else(|| overflow(operation, &left, &right))
        }
        _ if left.is_number() && right.is_number() => numeric(operation, &left, &right),
        _ => Err(Fault::new(format!(
            "`{}` of {} and {}: they do not combine",
            operation.sign(),
            left.type_name(),
            right.type_name()
        ))),
    }
}

/// Whole numbers stay whole, a double makes the result a double, all else is exact and only adds.
fn numeric<'a>(operation: Arithmetic, left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
    if let (Some(first), Some(second)) = (integer(left), integer(right)) {
        return integers(operation, first, second)
            .map(Value::Int)
            .ok_or_else(|| overflow(operation, left, right));
    }
    let doubles = matches!(left, Value::Double(_)) || matches!(right, Value::Double(_));
    let decimals = matches!(left, Value::Decimal(_)) || matches!(right, Value::Decimal(_));
    if doubles && !decimals {
        let (first, second) = (left.to_f64().unwrap_or(f64::NAN), right.to_f64().unwrap_or(f64::NAN));
        return finite(operation, first, second).ok_or_else(|| overflow(operation, left, right));
    }
    let second = |value: &Value<'_>| match operation {
        Arithmetic::Subtract => value.to_decimal()?.checked_neg(),
        _ => value.to_decimal(),
    };
    match operation {
        Arithmetic::Add | Arithmetic::Subtract if !doubles => left
            .to_decimal()
            .zip(second(right))
            .and_then(|(first, second)| first.checked_add(second))
            .map(Value::Decimal)
            .ok_or_else(|| overflow(operation, left, right)),
        _ => Err(Fault::new(format!(
            "`{}` of decimals is not exact: write double(..) around each side",
            operation.sign()
        ))),
    }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn integers(operation: Arithmetic, first: i64, second: i64) -> Option<i64> {
    match operation {
        Arithmetic::Add => first.checked_add(second),
        Arithmetic::Subtract => first.checked_sub(second),
        Arithmetic::Multiply => first.checked_mul(second),
        Arithmetic::Divide => first.checked_div(second),
        Arithmetic::Remainder => first.checked_rem(second),
    }
}

fn finite<'a>(operation: Arithmetic, first: f64, second: f64) -> Option<Value<'a>> {
    let result = match operation {
        Arithmetic::Add => first + second,
        Arithmetic::Subtract => first - second,
        Arithmetic::Multiply => first * second,
        Arithmetic::Divide => first / second,
        Arithmetic::Remainder => first % second,
    };
    result.is_finite().then_some(Value::Double(result))
}

fn negate(of: Value<'_>) -> Evaluated<'_> {
    let fault = || Fault::new(format!("`-` of {} has no value", of.type_name()));
    match &of {
        Value::Null => Ok(Value::Null),
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(fault),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(_) | Value::Number(_) => {
            of.to_decimal().and_then(Decimal::checked_neg).map(Value::Decimal).ok_or_else(fault)
        }
        Value::Duration(micros) => micros.checked_neg().map(Value::Duration).ok_or_else(fault),
        _ => Err(fault()),
    }
}

fn overflow(operation: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Fault {
    Fault::new(format!(
        "`{} {} {}` has no value in range",
        left.describe(),
        operation.sign(),
        right.describe()
    ))
}
