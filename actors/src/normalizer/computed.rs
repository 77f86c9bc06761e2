//! Fields computed from other fields, for all rows of a batch together once they are decoded.
//!
//! A row is decoded with a blank where such a value will stand, and a row whose value cannot be computed is found then. So
//! it is where nothing asks for the value before, kernels compute it, and it becomes its column's without a detour by its
//! text. Deliberately absent: fields of text, whose length counts for the limits of their message.

use super::case::Case;
use super::column::{Cell, Column};
use super::field::{Field, Source};
use super::reject::{self, Problem};
use crate::expr::decimal::Decimal;
use crate::expr::rows::RowValue;
use crate::expr::{Computed, Program};
use aqueduct_topology::model::{self, FieldType};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Schema};
use arrow_select::zip::zip;
use std::sync::Arc;

/// The expression of a field.
#[derive(Clone, Debug)]
pub(super) struct Computation {
    pub(super) program: Program,
    /// Whether it reads other fields.
    pub(super) of_fields: bool,
    /// Whether it is computed for all rows of a batch together.
    pub(super) together: bool,
    /// The same in two cases if the fields are.
    pub(super) key: String,
}

/// The fields of all cases that are computed so.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// In the order of the columns. Each once, though many cases have it.
    fields: Vec<Shared>,
    /// Those of each case, in that order.
    of_case: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Shared {
    key: String,
    field: Field,
    column: model::Column,
    value: RowValue,
    /// Whether it is a field of each case.
    cases: Vec<bool>,
}

/// The rows whose value cannot be computed, of each field; `None` = none.
pub(super) struct Unmade(Vec<Option<BooleanBuffer>>);

impl Together {
    /// Decides which fields of `cases` are computed so, and marks them. `event_time` is a column that is needed at once.
    pub(super) fn new(
        cases: &mut [Case],
        columns: &[model::Column],
        schema: &Schema,
        event_time: Option<usize>,
    ) -> Self {
        cases.iter_mut().for_each(|case| mark(case, schema, event_time));
        let mut together = Self { fields: Vec::new(), of_case: vec![Vec::new(); cases.len()] };
        for (at, column) in columns.iter().enumerate() {
            for (number, case) in cases.iter().enumerate() {
                let field = case.fields.iter().find(|field| field.column == at);
                if let Some((field, Source::Program(computation))) = field.map(|field| (field, &field.source))
                    && computation.together
                {
                    let place = together.place(field, computation, case, (column, schema));
                    together.fields[place].cases[number] = true;
                    together.of_case[number].push(place);
                }
            }
        }
        together
    }

    fn place(
        &mut self,
        field: &Field,
        computation: &Computation,
        case: &Case,
        (column, schema): (&model::Column, &Schema),
    ) -> usize {
        if let Some(known) = self.fields.iter().position(|known| known.key == computation.key) {
            return known;
        }
        self.fields.push(Shared {
            key: computation.key.clone(),
            field: field.clone(),
            column: column.clone(),
            value: RowValue::of(computation.program.clone(), schema, &case.place.columns()),
            cases: vec![false; self.of_case.len()],
        });
        self.fields.len() - 1
    }

    /// Whether a field of this case is computed so.
    pub(super) fn is_of(&self, case: u16) -> bool {
        self.of_case.get(usize::from(case)).is_some_and(|fields| !fields.is_empty())
    }

    /// `rows`, of which `case_of` says by which case each was made, with the values in the place of the blanks.
    pub(super) fn fill(&self, mut rows: RecordBatch, case_of: &[u16]) -> (RecordBatch, Unmade) {
        let mut unmade = Vec::with_capacity(self.fields.len());
        for shared in &self.fields {
            let asked = shared.rows(case_of);
            let computed = shared.value.values(&rows).filter(|_| asked.as_ref().is_none_or(any));
            let Some((mut values, mut failed)) = computed.map(|computed| shared.column(&computed)) else {
                unmade.push(None);
                continue;
            };
            let at = shared.field.column;
            if let Some(asked) = asked {
                failed = failed.map(|failed| &failed & &asked);
                let mask = BooleanArray::new(asked, None);
                values = zip(&mask, &values, rows.column(at))
                    .expect("invariant: the values are of the column's type");
            }
            unmade.push(failed.filter(any));
            rows = with_column(&rows, at, values);
        }
        (rows, Unmade(unmade))
    }

    /// What is wrong with the first value of `row`, which is of `case`, that could not be computed.
    pub(super) fn problem(
        &self,
        unmade: &Unmade,
        rows: &RecordBatch,
        row: usize,
        case: u16,
    ) -> Option<Problem> {
        let mut fields = self.of_case.get(usize::from(case)).into_iter().flatten();
        let field = fields.find(|&&at| unmade.0[at].as_ref().is_some_and(|failed| failed.value(row)))?;
        Some(self.fields[*field].problem(rows, row))
    }
}

impl Unmade {
    /// Whether every value could be computed.
    pub(super) fn is_none(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The rows of each field.
    pub(super) fn rows(&self) -> impl Iterator<Item = &BooleanBuffer> {
        self.0.iter().flatten()
    }
}

/// From below, as a field is computed from those above it: what one needs at once is needed at once too.
fn mark(case: &mut Case, schema: &Schema, event_time: Option<usize>) {
    let Case { place, fields, rules, .. } = case;
    let mut needed: Vec<usize> = event_time.into_iter().collect();
    for rule in rules.iter().filter(|rule| !rule.together) {
        needed.extend(place.columns_of(&rule.program));
    }
    for field in fields.iter_mut().rev() {
        let column = field.column;
        let Source::Program(computation) = &field.source else { continue };
        let together = case.number < u16::MAX
            && computation.of_fields
            && place.of_fields(&computation.program)
            && !needed.contains(&column)
            && RowValue::of(computation.program.clone(), schema, &place.columns())
                .kernels_type()
                .is_some_and(|kind| fits(&kind, field));
        if !together {
            needed.extend(place.columns_of(&computation.program));
        }
        if let Source::Program(computation) = &mut field.source {
            computation.together = together;
        }
    }
}

/// Whether values of `kind` become cells of `field` as [`Shared::column`] makes them.
fn fits(kind: &DataType, field: &Field) -> bool {
    let plain = field.map.is_empty() && field.reader.divided.is_none();
    plain
        && matches!(
            (kind, field.reader.kind),
            (DataType::Boolean, FieldType::Bool)
                | (DataType::Int64, FieldType::Int64 | FieldType::Float64 | FieldType::Decimal { .. })
                | (DataType::Float64, FieldType::Float64)
                | (DataType::Decimal128(..), FieldType::Decimal { .. })
                | (DataType::Timestamp(..), FieldType::Timestamp)
        )
}

impl Shared {
    /// The rows of its cases; `None` = all.
    fn rows(&self, case_of: &[u16]) -> Option<BooleanBuffer> {
        if self.cases.iter().all(|&case| case) {
            return None;
        }
        let of = |row: usize| self.cases.get(usize::from(case_of[row])).copied().unwrap_or(false);
        Some(BooleanBuffer::collect_bool(case_of.len(), of))
    }

    /// The column, and the rows that have no value in it.
    fn column(&self, computed: &Computed) -> (ArrayRef, Option<BooleanBuffer>) {
        let values = &computed.values;
        let cells = Cells::of(self, computed);
        match (values.data_type(), self.column.kind) {
            (DataType::Boolean, _) => cells.bools(values.as_boolean()),
            (DataType::Float64, _) => cells
                .made::<_, Float64Type>(values.as_primitive::<Float64Type>(), |value| {
                    value.is_finite().then_some(value)
                }),
            (DataType::Timestamp(..), _) => {
                let times = values.as_primitive::<TimestampMicrosecondType>();
                cells.made::<_, TimestampMicrosecondType>(times, Some)
            }
            (DataType::Int64, FieldType::Float64) => {
                cells.made::<_, Float64Type>(values.as_primitive::<Int64Type>(), |value| Some(value as f64))
            }
            (DataType::Int64, FieldType::Decimal { scale, .. }) => {
                let whole = |units: i64| self.units(Decimal { units: i128::from(units), scale: 0 }, scale);
                cells.made::<_, Decimal128Type>(values.as_primitive::<Int64Type>(), whole)
            }
            (DataType::Decimal128(_, own), FieldType::Decimal { scale, .. }) => {
                let own = u32::try_from(*own).unwrap_or(0);
                let rescaled = |units: i128| self.units(Decimal { units, scale: own }, scale);
                cells.made::<_, Decimal128Type>(values.as_primitive::<Decimal128Type>(), rescaled)
            }
            _ => cells.made::<_, Int64Type>(values.as_primitive::<Int64Type>(), Some),
        }
    }

    /// The units of `number` in the column; `None` if it does not hold it exactly.
    fn units(&self, number: Decimal, scale: u8) -> Option<i128> {
        let end = self.field.reader.units_end;
        number.rescale(u32::from(scale)).filter(|&units| units > -end && units < end)
    }

    /// What is wrong with the value of `row`, found as a row alone is computed.
    #[cold]
    fn problem(&self, rows: &RecordBatch, row: usize) -> Problem {
        let mut column = Column::new(&self.column, 1);
        let found = match self.value.value(rows, row) {
            Ok(value) => self.field.read(&value, &mut column),
            Err(fault) => return self.field.fault(&fault),
        };
        let unknown = || Problem::new(reject::EXPRESSION, format!("field `{}`: no value", self.field.name));
        found.err().unwrap_or_else(unknown)
    }
}

/// How values become a column.
struct Cells<'c> {
    shared: &'c Shared,
    /// The rows that have a value; `None` = all.
    valid: Option<BooleanBuffer>,
    /// The rows that have none and may not be without one.
    failed: Option<BooleanBuffer>,
}

impl<'c> Cells<'c> {
    fn of(shared: &'c Shared, computed: &Computed) -> Self {
        let nulls = computed.values.nulls().filter(|nulls| nulls.null_count() > 0);
        let valid = nulls.map(|nulls| nulls.inner().clone());
        let failed = match (&shared.field.absent, &valid) {
            (None, Some(valid)) => Some(!valid),
            _ => computed.faults.clone(),
        };
        Self { shared, valid, failed }
    }

    /// What stands where there is no value; `None` = null.
    fn default(&self) -> Option<&'c Cell> {
        self.shared.field.absent.as_ref().filter(|cell| **cell != Cell::Null)
    }

    /// Null only where the field may be: a row that failed goes away.
    fn nulls(&self) -> Option<NullBuffer> {
        let absent = self.shared.field.absent == Some(Cell::Null);
        self.valid.clone().filter(|_| absent).map(NullBuffer::new)
    }

    fn bools(self, values: &BooleanArray) -> (ArrayRef, Option<BooleanBuffer>) {
        let mut bools = values.values().clone();
        if let (Some(Cell::Bool(true)), Some(valid)) = (self.default(), &self.valid) {
            bools = &bools | &!valid;
        } else if let Some(valid) = &self.valid {
            bools &= valid;
        }
        (Arc::new(BooleanArray::new(bools, self.nulls())), self.failed)
    }

    fn made<S: ArrowPrimitiveType, T: ArrowPrimitiveType>(
        self,
        values: &PrimitiveArray<S>,
        make: impl Fn(S::Native) -> Option<T::Native>,
    ) -> (ArrayRef, Option<BooleanBuffer>)
    where
        Cell: Native<T>,
    {
        let default = self.default().and_then(Native::<T>::native);
        let mut all_made = true;
        let value = |&value: &S::Native| {
            let made = make(value);
            all_made &= made.is_some();
            made.unwrap_or_default()
        };
        let mut made: Vec<T::Native> = values.values().iter().map(value).collect();
        let mut failed = self.failed.clone();
        let valid = |row: usize| self.valid.as_ref().is_none_or(|valid| valid.value(row));
        if !all_made {
            let unfit = |row: usize| valid(row) && make(values.value(row)).is_none();
            let unfit = BooleanBuffer::collect_bool(values.len(), unfit);
            failed = Some(failed.map_or(unfit.clone(), |failed| &failed | &unfit));
        }
        if let (Some(default), Some(valid)) = (default, &self.valid) {
            (!valid).set_indices().for_each(|row| made[row] = default);
        }
        let kind = super::column::arrow_field(&self.shared.column).data_type().clone();
        let column = PrimitiveArray::<T>::new(made.into(), self.nulls()).with_data_type(kind);
        (Arc::new(column), failed)
    }
}

/// The value of a cell that is known before any message, as a column has it.
trait Native<T: ArrowPrimitiveType> {
    fn native(&self) -> Option<T::Native>;
}

impl Native<Int64Type> for Cell {
    fn native(&self) -> Option<i64> {
        if let Cell::Int(value) = self { Some(*value) } else { None }
    }
}

impl Native<Float64Type> for Cell {
    fn native(&self) -> Option<f64> {
        if let Cell::Float(value) = self { Some(*value) } else { None }
    }
}

impl Native<Decimal128Type> for Cell {
    fn native(&self) -> Option<i128> {
        if let Cell::Decimal(value) = self { Some(*value) } else { None }
    }
}

impl Native<TimestampMicrosecondType> for Cell {
    fn native(&self) -> Option<i64> {
        if let Cell::Time(value) = self { Some(*value) } else { None }
    }
}

fn any(rows: &BooleanBuffer) -> bool {
    rows.has_true()
}

fn with_column(rows: &RecordBatch, at: usize, values: ArrayRef) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[at] = values;
    RecordBatch::try_new(rows.schema(), columns).expect("invariant: the values are of the column's type")
}
