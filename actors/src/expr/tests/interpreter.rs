//! Our evaluators against the `cel` crate's interpreter, wherever both mean the same.
//!
//! They differ on purpose, and no such expression is generated, in what the language says of its own: null is a value of
//! any type and never errs; a number with a point is a decimal until it meets a double, and decimals are exact; doubles
//! that are not finite are faults, so there is no division of doubles here; times are microseconds, and not bounded by
//! the years 1 to 9999 in between.

use super::generate::{Grammar, Row, Rows};
use crate::expr::Value;
use crate::expr::rows::{RowCondition, RowValue};
use proptest::prelude::*;

/// What an evaluator gives, in a form that both have.
#[derive(Debug, PartialEq)]
enum Outcome {
    Fault,
    Bool(bool),
    Int(i64),
    Double(u64),
    Text(String),
    /// Microseconds.
    Time(i64),
    Duration(i64),
    Other(String),
}

fn ours(value: Result<Value<'_>, crate::expr::Fault>) -> Outcome {
    match value {
        Err(_) => Outcome::Fault,
        Ok(Value::Bool(value)) => Outcome::Bool(value),
        Ok(Value::Int(value)) => Outcome::Int(value),
        Ok(Value::Double(value)) => Outcome::Double(value.to_bits()),
        Ok(Value::Text(value)) => Outcome::Text(value.into_owned()),
        Ok(Value::Time(micros)) => Outcome::Time(micros),
        Ok(Value::Duration(micros)) => Outcome::Duration(micros),
        Ok(other) => Outcome::Other(other.describe()),
    }
}

fn theirs(value: Result<cel::Value, cel::ExecutionError>) -> Outcome {
    match value {
        Err(_) => Outcome::Fault,
        Ok(cel::Value::Bool(value)) => Outcome::Bool(value),
        Ok(cel::Value::Int(value)) => Outcome::Int(value),
        Ok(cel::Value::Float(value)) => Outcome::Double(value.to_bits()),
        Ok(cel::Value::String(value)) => Outcome::Text(value.to_string()),
        Ok(cel::Value::Timestamp(time)) => Outcome::Time(time.timestamp_micros()),
        Ok(cel::Value::Duration(duration)) => match duration.num_microseconds() {
            Some(micros) => Outcome::Duration(micros),
            None => Outcome::Fault,
        },
        Ok(other) => Outcome::Other(format!("{other:?}")),
    }
}

/// The row's names as the interpreter has them. Times are made by CEL itself, out of seconds and microseconds.
fn context<'c>(standard: &'c cel::Context<'c, 'static>, row: &Row) -> cel::Context<'c, 'static> {
    let mut scope = standard.new_inner_scope();
    let mut add = |name: &str, value: cel::Value| scope.add_variable_from_value(name.to_owned(), value);
    let full = "invariant: such a row has no nulls";
    for (at, name) in ["i", "j"].into_iter().enumerate() {
        add(name, row.ints[at].expect(full).into());
    }
    for (at, name) in ["f", "g"].into_iter().enumerate() {
        add(name, row.doubles[at].expect(full).into());
    }
    for (at, name) in ["s", "t"].into_iter().enumerate() {
        add(name, row.texts[at].clone().expect(full).into());
    }
    add("b", row.bool.expect(full).into());
    for (at, name) in ["at", "until"].into_iter().enumerate() {
        add(name, cel_time(row.times[at].expect(full)));
    }
    scope
}

fn cel_time(micros: i64) -> cel::Value {
    let text = format!("timestamp(\"{}\")", crate::expr::time::format_iso(micros));
    let program = cel::Program::compile(&text).expect("a time");
    program.execute(&cel::Context::default()).expect("a time")
}

fn agree(text: &str, rows: &Rows) -> Result<(), TestCaseError> {
    let batch = rows.batch();
    let schema = batch.schema();
    let refused = |error: crate::expr::CompileError| TestCaseError::fail(error.to_string());
    let value = RowValue::compile(text, &schema).map_err(refused)?;
    let condition = RowCondition::compile(text, &schema).map_err(refused)?;
    let holds = condition.holds(&batch);
    let program = cel::Program::compile(text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let standard = cel::Context::default();
    for (at, row) in rows.0.iter().enumerate() {
        let expected = theirs(program.execute(&context(&standard, row)));
        let found = ours(value.value(&batch, at));
        prop_assert_eq!(&found, &expected, "{} of {:?}", text, row);
        prop_assert_eq!(holds.value(at), expected == Outcome::Bool(true), "{} of {:?}", text, row);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_cel_gives_we_give(text in Grammar::Cel.expression(), rows in Rows::of_cel()) {
        agree(&text, &rows)?;
    }
}
