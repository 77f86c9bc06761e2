//! What a table refuses of a row, beyond the type of its columns: as the database would, with the database's words.

use crate::expr::rows::RowCondition;
use crate::timescale::class::condition_name;
use crate::timescale_writer::store::Refused;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Column, FieldType};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

/// The first moment PostgreSQL knows, 4714-11-24 BC, microseconds since 1970.
const TIMESTAMP_MIN_US: i64 = -210_866_803_200_000_000;

/// What a test says of the table behind a writer, beyond the topology's own columns.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Columns of another type than the topology's field.
    pub columns: Vec<(String, FieldType)>,
    /// Columns that refuse NULL.
    pub not_null: Vec<String>,
    /// Columns that are unique together.
    pub unique: Vec<String>,
    /// Conditions on a row, by the constraint's name.
    pub check: Vec<(String, String)>,
}

/// The conditions of one table, ready to be asked.
pub(super) struct Conditions {
    columns: Vec<Condition>,
    checks: Vec<(String, RowCondition)>,
}

struct Condition {
    /// Its place in the row.
    index: usize,
    name: String,
    kind: FieldType,
    not_null: bool,
    /// Digits before the point that a narrower column holds.
    whole_digits_max: Option<u32>,
}

impl Conditions {
    /// Those of a table for rows of `columns`.
    pub(super) fn new(columns: &[Column], declared: &Declared) -> Result<Self, Error> {
        let condition = |(index, column): (usize, &Column)| {
            let own = declared.columns.iter().find(|(name, _)| *name == column.name).map(|(_, kind)| *kind);
            Condition {
                index,
                name: column.name.clone(),
                kind: column.kind,
                not_null: declared.not_null.contains(&column.name),
                whole_digits_max: match own {
                    Some(FieldType::Decimal { precision, scale }) => Some(u32::from(precision - scale)),
                    _ => None,
                },
            }
        };
        let names = columns.iter().map(|column| Field::new(&column.name, DataType::Null, true));
        let schema = Schema::new(names.collect::<Vec<_>>());
        let check = |(name, text): &(String, String)| {
            let compiled = RowCondition::compile(text, &schema);
            let refused = |error| Error::new(Class::Config, format!("check `{name}`: {error}"));
            Ok((name.clone(), compiled.map_err(refused)?))
        };
        Ok(Self {
            columns: columns.iter().enumerate().map(condition).collect(),
            checks: declared.check.iter().map(check).collect::<Result<_, Error>>()?,
        })
    }

    /// Why the database would not take the `row`th of `rows`.
    pub(super) fn refuse(&self, rows: &RecordBatch, row: usize) -> Option<Refused> {
        let of_column = self.columns.iter().find_map(|condition| {
            let (state, message) = condition.violated(rows, row)?;
            Some(refused(state, message, Some(&condition.name), None))
        });
        of_column.or_else(|| {
            let (name, _) = self.checks.iter().find(|(_, check)| !check.is_true(rows, row))?;
            let message = format!("new row violates check constraint \"{name}\"");
            Some(refused("23514", message, None, Some(name)))
        })
    }
}

/// In the database's words.
pub(super) fn refused(
    state: &str,
    message: String,
    column: Option<&str>,
    constraint: Option<&str>,
) -> Refused {
    Refused {
        row: None,
        reason: condition_name(state),
        message: format!("{message} (SQLSTATE {state})"),
        column: column.map(str::to_owned),
        constraint: constraint.map(str::to_owned),
    }
}

impl Condition {
    /// SQLSTATE and message of what the cell violates.
    fn violated(&self, rows: &RecordBatch, row: usize) -> Option<(&'static str, String)> {
        let array = rows.column(self.index);
        if array.is_null(row) {
            let message = format!("null value in column \"{}\" violates not-null constraint", self.name);
            return self.not_null.then_some(("23502", message));
        }
        match self.kind {
            FieldType::Decimal { scale, .. } => {
                let whole = self.whole_digits_max?;
                let value = array.as_primitive::<Decimal128Type>().value(row);
                let bound = 10u128.checked_pow(whole + u32::from(scale))?;
                let message = || format!("numeric field overflow: at most {whole} digits before the point");
                (value.unsigned_abs() >= bound).then(|| ("22003", message()))
            }
            FieldType::Timestamp => {
                let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
                (value < TIMESTAMP_MIN_US).then(|| ("22008", "timestamp out of range".to_owned()))
            }
            FieldType::Json => unfit_for_jsonb(array.as_string::<i32>().value(row)),
            FieldType::Text | FieldType::Int64 | FieldType::Float64 | FieldType::Bool => None,
        }
    }
}

/// JSON that `jsonb` cannot hold: a NUL, or half a character.
fn unfit_for_jsonb(json: &str) -> Option<(&'static str, String)> {
    if !json.contains("\\u") {
        return None;
    }
    fn has_nul(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => text.contains('\0'),
            serde_json::Value::Array(values) => values.iter().any(has_nul),
            serde_json::Value::Object(members) => {
                members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
            }
            _ => false,
        }
    }
    match serde_json::from_str(json) {
        Ok(value) if has_nul(&value) => {
            Some(("22P05", "unsupported Unicode escape sequence: \\u0000 cannot be converted to text".into()))
        }
        Ok(_) => None,
        Err(_) => Some(("22P02", "invalid input syntax for type json: a lone surrogate".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Decimal128Array, StringArray};
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let price = Decimal128Array::from(vec![99_999, 100_000, -100_000]).with_precision_and_scale(18, 2);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("price", Arc::new(price.unwrap())),
            ("note", Arc::new(StringArray::from(vec![None, Some("a"), Some("b")]))),
            ("extra", Arc::new(StringArray::from(vec![r#""\u0061""#, r#"["\u0000"]"#, r#""\ud800""#]))),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    fn columns() -> Vec<Column> {
        let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
        vec![
            column("price", FieldType::Decimal { precision: 18, scale: 2 }),
            column("note", FieldType::Text),
            column("extra", FieldType::Json),
        ]
    }

    fn reasons(declared: &Declared) -> Vec<&'static str> {
        let conditions = Conditions::new(&columns(), declared).unwrap();
        (0..3).map(|row| conditions.refuse(&rows(), row).map_or("", |refused| refused.reason)).collect()
    }

    #[test]
    fn each_condition_refuses_what_the_database_would() {
        let plain = Declared::default();
        let json = ["", "untranslatable_character", "invalid_text_representation"];
        assert_eq!(reasons(&plain), json);
        let not_null = Declared { not_null: vec!["note".into()], ..plain.clone() };
        assert_eq!(reasons(&not_null), ["not_null_violation", json[1], json[2]]);
        let narrow = FieldType::Decimal { precision: 5, scale: 2 };
        let narrow = Declared { columns: vec![("price".into(), narrow)], ..plain.clone() };
        assert_eq!(reasons(&narrow), ["", "numeric_value_out_of_range", "numeric_value_out_of_range"]);
        let check = Declared { check: vec![("cheap".into(), "price < 10".into())], ..plain };
        assert_eq!(reasons(&check), ["check_violation", json[1], json[2]]);
    }

    #[test]
    fn a_check_of_what_is_not_there_is_refused() {
        let check = Declared { check: vec![("x".into(), "prize < 10".into())], ..Declared::default() };
        let error = Conditions::new(&columns(), &check).err().unwrap();
        assert!(error.message.contains("check `x`") && error.message.contains("prize"), "{error}");
    }
}
