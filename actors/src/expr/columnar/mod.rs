//! Expressions over whole columns.
//!
//! [`Columnar`] is a [`Program`] planned for the columns of one schema: kernels that go through a column at a time,
//! with null and fault as bits beside the values, and neither where there are none. It means what the program means: a
//! row that fails is walked again by itself, to say why, and what has no kernel is walked altogether.
//!
//! Deliberately absent: messages. Their values have no columns before they are decoded.

mod among;
mod arithmetic;
mod compare;
mod kernel;
mod kind;
mod logic;
mod plan;
mod run;
mod text;
mod vector;
mod walk;

use super::program::Program;
use arrow_array::types::{
    Decimal128Type, DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Schema};
use kernel::Kernel;
use kind::Kind;
use plan::Planner;
use run::Batch;
use std::sync::Arc;
use vector::{Values, Vector, both};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Columnar {
    condition: Kernel,
    /// `None` if the expression has not one type for all rows.
    value: Option<Kernel>,
    /// The column of each slot.
    columns: Vec<usize>,
}

/// What an expression gives for a batch.
#[derive(Clone, Debug)]
pub struct Computed {
    /// A value for every row; null also where it cannot be computed.
    pub values: ArrayRef,
    /// The rows whose value cannot be computed; `None` = none. Why, is known of each row alone.
    pub faults: Option<BooleanBuffer>,
}

impl Columnar {
    /// `program`, whose slots are `columns` of `schema`.
    pub(super) fn new(program: &Program, schema: &Schema, columns: Vec<usize>) -> Self {
        let kind = |column: &usize| Kind::of_column(schema.fields().get(*column)?.data_type());
        let kinds = columns.iter().map(kind);
        let kinds: Vec<Option<Kind>> = kinds.collect();
        let planner = Planner { kinds: &kinds };
        Self { condition: planner.condition(&program.root), value: planner.value(&program.root), columns }
    }

    /// The rows that are true.
    pub(super) fn holds(&self, rows: &RecordBatch) -> BooleanBuffer {
        self.condition.run(Batch { rows, columns: &self.columns }, None).holds()
    }

    /// The values; `None` if they have not one type.
    pub(super) fn values(&self, rows: &RecordBatch) -> Option<Computed> {
        let value = self.value.as_ref()?;
        let vector = value.run(Batch { rows, columns: &self.columns }, None);
        let faults = vector.faults.clone();
        Some(Computed { values: array(vector, value.kind()), faults })
    }

    /// The type of the values if kernels compute them; `None` if rows are walked.
    pub(super) fn kernels_type(&self) -> Option<DataType> {
        self.value.as_ref().filter(|value| !value.walks()).map(|value| value.kind().data_type())
    }
}

fn array(Vector { values, valid, faults }: Vector, kind: Kind) -> ArrayRef {
    let computed = faults.map(|faults| !&faults);
    let nulls = both(valid.as_ref(), computed.as_ref()).map(NullBuffer::new);
    match (values, kind) {
        (Values::Bool(values), _) => Arc::new(BooleanArray::new(values, nulls)),
        (Values::Int(values), Kind::Time) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values, nulls).with_timezone("UTC"))
        }
        (Values::Int(values), Kind::Duration) => {
            Arc::new(PrimitiveArray::<DurationMicrosecondType>::new(values, nulls))
        }
        (Values::Int(values), _) => Arc::new(PrimitiveArray::<Int64Type>::new(values, nulls)),
        (Values::Double(values), _) => Arc::new(PrimitiveArray::<Float64Type>::new(values, nulls)),
        (Values::Decimal(units), kind) => {
            Arc::new(PrimitiveArray::<Decimal128Type>::new(units, nulls).with_data_type(kind.data_type()))
        }
        (Values::Text(texts), _) => {
            let (ends, text, _) = texts.into_parts();
            Arc::new(StringArray::new(ends, text, nulls))
        }
    }
}
