//! Expressions over finished rows, for the kinds behind a normalizer.

use super::columnar::{Columnar, Computed};
use super::program::{Name, Names, Program};
use super::{Scope, Value};
use crate::expr::decimal::Decimal;
use crate::json::Step;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Schema};

/// A condition on the columns of one schema, such as `qty == 0`.
#[derive(Clone, Debug)]
pub struct RowCondition(Compiled);

/// A value computed from the columns of one schema, such as `price * qty`.
#[derive(Clone, Debug)]
pub struct RowValue(Compiled);

#[derive(Clone, Debug)]
struct Compiled {
    program: Program,
    columnar: Columnar,
    columns: Vec<usize>,
}

/// The columns an expression names, by slot.
struct ColumnNames<'s> {
    schema: &'s Schema,
    columns: Vec<usize>,
}

impl Names for ColumnNames<'_> {
    fn resolve(&mut self, root: &str, _steps: &[Step]) -> Result<Name, String> {
        let column = self.schema.index_of(root).map_err(|_| {
            let known: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
            format!("there is no `{root}` here; there are the fields {}", known.join(", "))
        })?;
        self.columns.push(column);
        Ok(Name::Slot { slot: self.columns.len() as u32 - 1, steps: 0 })
    }
}

impl Compiled {
    fn new(text: &str, schema: &Schema) -> Result<Self, super::CompileError> {
        let mut names = ColumnNames { schema, columns: Vec::new() };
        let program = super::compile(text, &mut names)?;
        let columnar = Columnar::new(&program, schema, names.columns.clone());
        Ok(Self { program, columnar, columns: names.columns })
    }

    /// `program`, whose slots are the columns of `schema` at `columns`; it reads no slot that is none.
    fn of(program: Program, schema: &Schema, columns: &[Option<usize>]) -> Self {
        let columns: Vec<usize> = columns.iter().map(|column| column.unwrap_or(usize::MAX)).collect();
        let columnar = Columnar::new(&program, schema, columns.clone());
        Self { program, columnar, columns }
    }

    fn cells<'a>(&'a self, rows: &'a RecordBatch, row: usize) -> Cells<'a> {
        Cells { rows, row, columns: &self.columns }
    }
}

impl RowCondition {
    /// Compiles `text` for rows of `schema`.
    pub fn compile(text: &str, schema: &Schema) -> Result<Self, super::CompileError> {
        Compiled::new(text, schema).map(Self)
    }

    /// `program`, whose slots are the columns of `schema` at `columns`; it reads no slot that is none.
    pub(crate) fn of(program: Program, schema: &Schema, columns: &[Option<usize>]) -> Self {
        Self(Compiled::of(program, schema, columns))
    }

    /// Whether it is true of the `row`th of `rows`: for a row alone. All are asked together with [`Self::holds`].
    pub fn is_true(&self, rows: &RecordBatch, row: usize) -> bool {
        self.0.program.is_true(&self.0.cells(rows, row))
    }

    /// The rows it is true of, which are of the schema it was compiled for.
    pub fn holds(&self, rows: &RecordBatch) -> BooleanBuffer {
        self.0.columnar.holds(rows)
    }
}

impl RowValue {
    /// Compiles `text` for rows of `schema`.
    pub fn compile(text: &str, schema: &Schema) -> Result<Self, super::CompileError> {
        Compiled::new(text, schema).map(Self)
    }

    /// `program`, whose slots are the columns of `schema` at `columns`; it reads no slot that is none.
    pub(crate) fn of(program: Program, schema: &Schema, columns: &[Option<usize>]) -> Self {
        Self(Compiled::of(program, schema, columns))
    }

    /// The type of its values where computing them together costs less than one by one; `None` where it does not.
    pub(crate) fn kernels_type(&self) -> Option<DataType> {
        self.0.columnar.kernels_type()
    }

    /// Its value for the `row`th of `rows`.
    pub fn value<'a>(&'a self, rows: &'a RecordBatch, row: usize) -> Result<Value<'a>, super::Fault> {
        self.0.program.value(&self.0.cells(rows, row))
    }

    /// Its values for all rows, which are of the schema it was compiled for; `None` if they have not one type.
    pub fn values(&self, rows: &RecordBatch) -> Option<Computed> {
        self.0.columnar.values(rows)
    }
}

/// The row at hand, by slot.
pub(super) struct Cells<'a> {
    pub(super) rows: &'a RecordBatch,
    pub(super) row: usize,
    pub(super) columns: &'a [usize],
}

impl<'a> Scope<'a> for Cells<'a> {
    fn value(&self, slot: u32) -> Value<'a> {
        cell(self.rows.column(self.columns[slot as usize]), self.row)
    }
}

/// The value of one cell of a normalizer's rows.
pub fn cell(column: &ArrayRef, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).into()),
        DataType::Int32 => Value::Int(i64::from(column.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Value::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Value::Decimal(Decimal {
            units: column.as_primitive::<Decimal128Type>().value(row),
            scale: u32::try_from(*scale).unwrap_or(0),
        }),
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Timestamp(..) => Value::Time(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        _ => Value::Null,
    }
}
