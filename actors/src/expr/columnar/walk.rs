//! Where there is no kernel: the walker, row by row, into a vector.

use super::kind::Kind;
use super::run::Batch;
use super::vector::{Values, Vector};
use crate::expr::eval::{self, Evaluated};
use crate::expr::program::Node;
use crate::expr::rows::Cells;
use crate::expr::value::Value;
use arrow_array::builder::StringBuilder;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

/// The values of `node`, which are of `kind`; with `truth` only whether it is true, as a condition.
pub(super) fn run(
    node: &Node,
    (kind, truth): (Kind, bool),
    batch: Batch<'_>,
    wanted: Option<&BooleanBuffer>,
) -> Vector {
    let rows = batch.rows.num_rows();
    let mut walked = Walked::new(kind, rows);
    for row in 0..rows {
        if wanted.is_some_and(|wanted| !wanted.value(row)) {
            walked.push(Ok(Value::Null));
            continue;
        }
        let cells = Cells { rows: batch.rows, row, columns: batch.columns };
        walked.push(match truth {
            true => eval::truth(node, &cells).map(Value::Bool),
            false => eval::value(node, &cells),
        });
    }
    walked.finish()
}

struct Walked {
    values: Builder,
    valid: BooleanBufferBuilder,
    faults: BooleanBufferBuilder,
    all_valid: bool,
    any_fault: bool,
}

enum Builder {
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    Double(Vec<f64>),
    Decimal(Vec<i128>),
    Text(StringBuilder),
}

impl Walked {
    fn new(kind: Kind, rows: usize) -> Self {
        let values = match kind {
            Kind::Bool => Builder::Bool(BooleanBufferBuilder::new(rows)),
            Kind::Int | Kind::Time | Kind::Duration => Builder::Int(Vec::with_capacity(rows)),
            Kind::Double => Builder::Double(Vec::with_capacity(rows)),
            Kind::Decimal(_) => Builder::Decimal(Vec::with_capacity(rows)),
            Kind::Text => Builder::Text(StringBuilder::new()),
        };
        let (valid, faults) = (BooleanBufferBuilder::new(rows), BooleanBufferBuilder::new(rows));
        Self { values, valid, faults, all_valid: true, any_fault: false }
    }

    fn push(&mut self, found: Evaluated<'_>) {
        let (value, fault) = match found {
            Ok(value) => (value, false),
            Err(_) => (Value::Null, true),
        };
        let valid = !value.is_null();
        match (&mut self.values, value) {
            (Builder::Bool(values), value) => values.append(value.is_true()),
            (Builder::Int(values), Value::Int(value) | Value::Time(value) | Value::Duration(value)) => {
                values.push(value)
            }
            (Builder::Int(values), _) => values.push(0),
            (Builder::Double(values), Value::Double(value)) => values.push(value),
            (Builder::Double(values), _) => values.push(0.0),
            (Builder::Decimal(values), Value::Decimal(value)) => values.push(value.units),
            (Builder::Decimal(values), _) => values.push(0),
            (Builder::Text(values), Value::Text(value)) => values.append_value(value),
            (Builder::Text(values), _) => values.append_value(""),
        }
        self.valid.append(valid);
        self.faults.append(fault);
        self.all_valid &= valid;
        self.any_fault |= fault;
    }

    fn finish(mut self) -> Vector {
        let values = match self.values {
            Builder::Bool(mut values) => Values::Bool(values.finish()),
            Builder::Int(values) => Values::Int(values.into()),
            Builder::Double(values) => Values::Double(values.into()),
            Builder::Decimal(values) => Values::Decimal(values.into()),
            Builder::Text(mut values) => Values::Text(values.finish()),
        };
        let valid = (!self.all_valid).then(|| self.valid.finish());
        let faults = self.any_fault.then(|| self.faults.finish());
        Vector { values, valid, faults }
    }
}
