//! Whole columns against the walk over each row: they never differ.

use super::generate::{Grammar, Rows};
use crate::expr::Value;
use crate::expr::rows::{RowCondition, RowValue, cell};
use arrow_array::{Array, ArrayRef};
use proptest::prelude::*;

/// As the walker gives it, in words that tell a zero from a negative one and null from a fault.
fn described(value: &Value<'_>) -> String {
    match value {
        Value::Double(number) => format!("{:x}", number.to_bits()),
        Value::Duration(micros) => micros.to_string(),
        other => other.describe(),
    }
}

fn cell_described(column: &ArrayRef, row: usize) -> String {
    use arrow_array::cast::AsArray;
    use arrow_array::types::DurationMicrosecondType;
    match column.as_primitive_opt::<DurationMicrosecondType>() {
        Some(durations) if durations.is_valid(row) => durations.value(row).to_string(),
        _ => described(&cell(column, row)),
    }
}

fn agree(text: &str, rows: &Rows) -> Result<(), TestCaseError> {
    let batch = rows.batch();
    let schema = batch.schema();
    let condition =
        RowCondition::compile(text, &schema).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let holds = condition.holds(&batch);
    for row in 0..batch.num_rows() {
        prop_assert_eq!(holds.value(row), condition.is_true(&batch, row), "row {} of {}", row, text);
    }
    let value = RowValue::compile(text, &schema).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let Some(computed) = value.values(&batch) else { return Ok(()) };
    for row in 0..batch.num_rows() {
        let failed = computed.faults.as_ref().is_some_and(|faults| faults.value(row));
        match value.value(&batch, row) {
            Ok(expected) => {
                prop_assert!(!failed, "row {} of {} fails", row, text);
                let found = cell_described(&computed.values, row);
                prop_assert_eq!(found, described(&expected), "row {} of {}", row, text);
            }
            Err(fault) => {
                prop_assert!(failed, "row {} of {} does not fail: {}", row, text, fault);
                prop_assert!(computed.values.is_null(row));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn columns_give_what_each_row_gives(text in Grammar::Ours.expression(), rows in Rows::any()) {
        agree(&text, &rows)?;
    }
}

#[test]
fn every_kernel_gives_what_each_row_gives() {
    let rows = Rows::extremes();
    for text in [
        "i < j",
        "i <= j",
        "i > j",
        "i >= j",
        "i == j",
        "i != j",
        "i == 5",
        "5 < i",
        "i < 0.5",
        "i >= 1.5",
        "i > 1e30",
        "f < g",
        "f <= g",
        "f > g",
        "f >= g",
        "f == g",
        "f != g",
        "f != 0.5",
        "f < 1",
        "1.5 >= f",
        "f < i",
        "p < f",
        "p < q",
        "p == q",
        "p == i",
        "p > 0",
        "p >= 0.000000001",
        "p < 0.000000001",
        "p == 0.000000001",
        "0.15 > q",
        "s == t",
        "s != t",
        "s < t",
        "s == \"\"",
        "s != \"a\"",
        "s < \"b\"",
        "\"b\" <= s",
        "s.startsWith(\"a\")",
        "s.endsWith(\"n\")",
        "s.contains(\"ü\")",
        "s.matches(\"^[a-z]+$\")",
        "s in [\"a\", \"grün\"]",
        "s in [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"grün\", \"\"]",
        "s in [\"aa\", \"ab\"]",
        "s in [\"a longer text\", \"grün\", \"S001-USD\"]",
        "s in []",
        "size(s)",
        "size(s + t) == 2",
        "i in [1, 5, -3]",
        "f in [0.5, 1]",
        "p in [0.5, 1]",
        "q in [0.001]",
        "i in [j, 5]",
        "s in [t]",
        "i + j",
        "i - j",
        "i * j",
        "i / j",
        "i % j",
        "i + 1",
        "1 - i",
        "7 / i",
        "i * 9223372036854775807",
        "f + g",
        "f - g",
        "f * g",
        "f / g",
        "f % g",
        "f * 2",
        "1 / f",
        "f * i",
        "i - f",
        "f + 0.5",
        "p + q",
        "p - q",
        "p + i",
        "i - p",
        "p + 1",
        "1 - q",
        "0.125 + q",
        "p * q",
        "p * 2",
        "i + 0.5",
        "i * 2.5",
        "-i",
        "-f",
        "-p",
        "-s",
        "-(until - at)",
        "abs(i)",
        "abs(f)",
        "abs(p)",
        "abs(s)",
        "double(i)",
        "double(f)",
        "double(p) * double(q)",
        "double(s)",
        "decimal(i) + q",
        "decimal(s)",
        "int(f)",
        "at < until",
        "at == until",
        "at < timestamp(\"2026-01-01T00:00:00Z\")",
        "until - at",
        "at + (until - at)",
        "at + duration(\"1h\")",
        "at - duration(\"1h\") < until",
        "until - at > duration(\"5s\")",
        "at.getHours()",
        "duration(\"1s\") + at",
        "at - 1",
        "at + until",
        "b",
        "!b",
        "!!b",
        "b && i < j",
        "i < j || b",
        "!(i < j)",
        "b == true",
        "b == (i < j)",
        "b != b",
        "i / j > 1 && s == \"a\"",
        "s == \"a\" && i / j > 1",
        "i / j > 1 || s == \"a\"",
        "j != 0 && i / j > 1",
        "s.size() > 1 && i / j > 0",
        "i / j > 0 && s.trim() == s",
        "i / j > 0 || s.trim() == s",
        "j == 0 ? 0 : i / j",
        "i < j ? i : j",
        "b ? f : g",
        "b ? p : p + 0",
        "b ? s : t",
        "b ? at : until",
        "b ? b : i < j",
        "b ? i : null",
        "b ? null : s",
        "b ? i : s",
        "b ? null : null",
        "i / j > 0 ? 1 : 2",
        "(b ? i / j : j) == 1",
        "i == null",
        "s != null",
        "null == p",
        "(i + j) != null",
        "i / j == null",
        "s.trim() != null",
        "at == null",
        "i",
        "f",
        "p",
        "s",
        "at",
        "5",
        "\"x\"",
        "true",
        "null",
        "0.5",
        "nothing",
        "nothing == null",
        "nothing < 1",
        "s + t",
        "s + t == \"aa\"",
        "s.trim()",
        "s.lowerAscii() == t",
        "size(s) > i",
        "s.split(\"a\")",
        "s.replace(\"a\", t)",
        "[i, j].exists(x, x > 3)",
        "[i, j].map(x, x + 1)",
        "int(s) == i",
        "bool(s)",
        "string(i) == s",
        "timestamp(s) < at",
        "i == s",
        "s == 5",
        "f == \"x\"",
        "i.foo == 1",
        "s.substring(i, j)",
        "b < b",
        "1 < 2",
        "1 + 2",
    ] {
        agree(text, &rows).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn what_is_common_has_a_kernel() {
    let schema = Rows::extremes().batch().schema();
    for text in [
        "f < g",
        "i < j",
        "p > 0.5",
        "i >= 0.5",
        "p == q",
        "p < f",
        "at < until",
        "s < t",
        "s == \"a\"",
        "f < g && i < j || !b",
        "f * g > 10",
        "p + q - 1 > 0",
        "i / j == 2",
        "until - at > duration(\"1s\")",
        "double(p) * double(q) < 5",
        "s in [\"a\", \"b\"]",
        "size(s) > 3",
        "i in [1, 2]",
        "s.startsWith(\"a\") && t.matches(\"b+\")",
        "(b ? f : g) > 1",
        "s != null",
        "abs(-i) > 3",
        "decimal(i) < p",
    ] {
        let planned = format!("{:?}", RowCondition::compile(text, &schema).unwrap());
        assert!(!planned.contains("Walk"), "{text}: {planned}");
    }
}
