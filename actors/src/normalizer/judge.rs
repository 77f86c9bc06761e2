//! Conditions on fields alone, asked of all rows of a batch together once they are decoded.
//!
//! Cases whose messages give one row each are judged so: which of their rows are rejected or filtered matters to no other
//! row. An exploded message, or one of several lines, has limits on its rows and letters, and is judged as it is decoded.

use super::case::{Case, Rule};
use super::reject::{Problem, Reject};
use crate::expr::rows::{RowCondition, cell};
use aqueduct_engine::{Class, Extent};
use aqueduct_topology::model::MatchMode;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::Schema;
use arrow_select::filter::filter_record_batch;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Of each case, the places of its conditions, in the order in which they are asked.
    cases: Vec<Vec<usize>>,
    /// Each once, though many cases have it.
    conditions: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    key: String,
    /// Of a `require`; without, a row is filtered.
    reason: Option<Arc<str>>,
    condition: RowCondition,
}

/// What is left of a batch.
pub(super) struct Judged {
    pub(super) rows: RecordBatch,
    pub(super) rejects: Vec<Reject>,
    pub(super) filtered: u64,
}

impl Judge {
    /// For rows of `schema`, of messages with `lines` if each line is a row; numbers the cases, and marks those that it
    /// takes over.
    pub(super) fn new(cases: &mut [Case], mode: MatchMode, lines: bool, schema: &Schema) -> Self {
        let mut judge = Self::default();
        for (number, case) in cases.iter_mut().enumerate() {
            case.number = u16::try_from(number).unwrap_or(u16::MAX);
            case.judged_together = case.number < u16::MAX
                && mode == MatchMode::First
                && !lines
                && case.explode.is_none()
                && case.rules.iter().all(|rule| case.place.of_fields(&rule.program));
            let places = if case.judged_together { judge.places(case, schema) } else { Vec::new() };
            judge.cases.push(places);
        }
        judge
    }

    fn places(&mut self, case: &Case, schema: &Schema) -> Vec<usize> {
        let mut place = |rule: &Rule| {
            if let Some(known) = self.conditions.iter().position(|asked| asked.key == rule.key) {
                return known;
            }
            let condition = RowCondition::of(rule.program.clone(), schema, &case.place.columns());
            self.conditions.push(Asked { key: rule.key.clone(), reason: rule.reason.clone(), condition });
            self.conditions.len() - 1
        };
        case.rules.iter().map(&mut place).collect()
    }

    /// `case_of` says by which case each of `rows` was made; `rejects` are of other messages than they.
    pub(super) fn judge(&self, rows: RecordBatch, rejects: Vec<Reject>, case_of: &[u16]) -> Judged {
        assert_eq!(case_of.len(), rows.num_rows(), "invariant: every row is of a case");
        let holds = self.conditions.iter().map(|asked| asked.condition.holds(&rows));
        let holds: Vec<BooleanBuffer> = holds.collect();
        if !holds.iter().any(BooleanBuffer::has_false) {
            return Judged { rows, rejects, filtered: 0 };
        }
        let failed = |row: usize| {
            let mut asked = self.cases.get(usize::from(case_of[row])).into_iter().flatten();
            asked.find(|&&place| !holds[place].value(row)).map(|&place| &self.conditions[place])
        };
        let kept = BooleanBuffer::collect_bool(rows.num_rows(), |row| failed(row).is_none());
        let (mut rejects, mut filtered) = (rejects, 0);
        for row in (!&kept).set_indices() {
            match failed(row).and_then(|asked| asked.reason.as_ref()) {
                Some(reason) => rejects.push(reject(&rows, row, reason)),
                None => filtered += 1,
            }
        }
        rejects.sort_by_key(|reject| reject.offset);
        let rows = filter_record_batch(&rows, &BooleanArray::new(kept, None))
            .expect("invariant: there is a bit for every row");
        Judged { rows, rejects, filtered }
    }
}

/// The letter of a row that is its message's only one.
#[cold]
fn reject(rows: &RecordBatch, row: usize, reason: &Arc<str>) -> Reject {
    let schema = rows.schema_ref();
    let fields = rows.num_columns() - HIDDEN;
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let values = rows.columns()[..fields].iter().map(|column| cell(column, row));
    let Problem { reason, detail } = Problem::not_required(reason, names.zip(values));
    let offset = rows.column(fields).as_primitive::<Int64Type>().value(row);
    Reject { offset, row: 0, extent: Extent::Row, class: Class::Data, reason, detail }
}

/// The columns behind the fields: offset and index.
const HIDDEN: usize = 2;
