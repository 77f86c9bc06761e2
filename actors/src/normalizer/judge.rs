//! What rows have left to the end of their batch: fields computed from fields, and conditions on fields alone, for all of
//! them together.
//!
//! What becomes of a row, and what its letter says, is what it would be had the row been judged by itself as soon as it
//! was decoded; so fields come before conditions, and the first of each that fails decides.

use super::case::{Case, Rule};
use super::computed::{Together, Unmade};
use super::reject::{LETTERS_MAX, Problem, Reject};
use crate::expr::rows::{RowCondition, cell};
use aqueduct_engine::{Class, Extent};
use aqueduct_topology::model;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::Schema;
use arrow_select::filter::filter_record_batch;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Judge {
    computed: Together,
    /// Of each case, the places of its conditions, in the order in which they are asked.
    cases: Vec<Vec<usize>>,
    /// Each once, though many cases have it.
    conditions: Vec<Asked>,
    /// Whether every case asks all of them.
    alike: bool,
}

#[derive(Debug)]
struct Asked {
    key: String,
    /// Of a `require`; without, a row is filtered.
    reason: Option<Arc<str>>,
    condition: RowCondition,
}

/// A message that may have given several rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Several {
    pub(super) offset: i64,
    /// The number of the row that would have come next.
    pub(super) next_row: i32,
    /// Rows rejected so far.
    pub(super) rejected: usize,
    pub(super) letters_max: usize,
}

/// A batch whose rows have been decoded.
pub(super) struct Unjudged<'b> {
    pub(super) rows: RecordBatch,
    /// In the messages' order.
    pub(super) rejects: Vec<Reject>,
    /// By which case each row was made.
    pub(super) case_of: &'b [u16],
    /// In the messages' order.
    pub(super) several: &'b [Several],
}

/// What is left of a batch.
pub(super) struct Judged {
    pub(super) rows: RecordBatch,
    pub(super) rejects: Vec<Reject>,
    /// Messages of which nothing is left.
    pub(super) filtered: u64,
}

/// What was found out about the rows of a batch.
struct Found<'b> {
    rows: &'b RecordBatch,
    case_of: &'b [u16],
    unmade: Unmade,
    /// Of each condition, the rows that it is true of.
    holds: Vec<BooleanBuffer>,
    kept: BooleanBuffer,
}

impl Judge {
    /// For rows of `columns`, which in a batch have `schema`; numbers the cases, and says which of them leave something.
    /// `event_time` is the column of a time that is judged at once.
    pub(super) fn new(
        cases: &mut [Case],
        columns: &[model::Column],
        schema: &Schema,
        event_time: Option<usize>,
    ) -> Self {
        for (number, case) in cases.iter_mut().enumerate() {
            case.number = u16::try_from(number).unwrap_or(u16::MAX);
        }
        let mut judge =
            Self { computed: Together::new(cases, columns, schema, event_time), ..Self::default() };
        for case in cases {
            let places = if case.number < u16::MAX { judge.places(case, schema) } else { Vec::new() };
            case.leaves = !places.is_empty() || judge.computed.is_of(case.number);
            judge.cases.push(places);
        }
        let all: Vec<usize> = (0..judge.conditions.len()).collect();
        judge.alike = judge.cases.iter().all(|places| {
            let mut places = places.clone();
            places.sort_unstable();
            places.dedup();
            places == all
        });
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
        case.rules.iter().filter(|rule| rule.together).map(&mut place).collect()
    }

    /// Computes what is missing and takes out what may not stay.
    pub(super) fn judge(&self, unjudged: Unjudged<'_>) -> Judged {
        let Unjudged { rows, rejects, case_of, several } = unjudged;
        assert_eq!(case_of.len(), rows.num_rows(), "invariant: every row is of a case");
        let (rows, unmade) = self.computed.fill(rows, case_of);
        let holds = self.conditions.iter().map(|asked| asked.condition.holds(&rows));
        let holds: Vec<BooleanBuffer> = holds.collect();
        if unmade.is_none() && !holds.iter().any(BooleanBuffer::has_false) {
            return Judged { rows, rejects, filtered: 0 };
        }
        let kept = self.kept(&unmade, &holds, case_of);
        let found = Found { rows: &rows, case_of, unmade, holds, kept };
        let (letters, counts, filtered) = self.letters(&found, &rejects);
        let rejects = merged(rejects, letters, &counts, several);
        let kept = BooleanArray::new(found.kept, None);
        let rows = filter_record_batch(&rows, &kept).expect("invariant: there is a bit for every row");
        Judged { rows, rejects, filtered }
    }

    fn kept(&self, unmade: &Unmade, holds: &[BooleanBuffer], case_of: &[u16]) -> BooleanBuffer {
        let mut kept = if self.alike {
            holds.iter().fold(BooleanBuffer::new_set(case_of.len()), |kept, holds| &kept & holds)
        } else {
            BooleanBuffer::collect_bool(case_of.len(), |row| {
                self.asked(case_of[row]).all(|place| holds[place].value(row))
            })
        };
        unmade.rows().for_each(|failed| kept &= &!failed);
        kept
    }

    /// The places of what a case asks.
    fn asked(&self, case: u16) -> impl Iterator<Item = usize> + '_ {
        self.cases.get(usize::from(case)).into_iter().flatten().copied()
    }

    /// The letters of rows that are rejected now, how many rows of each message are, and how many messages have nothing
    /// left. `before` are letters of other rows.
    fn letters(&self, found: &Found<'_>, before: &[Reject]) -> (Vec<Reject>, Vec<(i64, usize)>, u64) {
        let (mut letters, mut counts, mut filtered) = (Vec::new(), Vec::new(), 0);
        let offsets = found.rows.column(found.fields()).as_primitive::<Int64Type>().values();
        let mut end = 0;
        for message in offsets.chunk_by(|one, other| one == other) {
            let rows = end..end + message.len();
            end = rows.end;
            let (mut rejected, mut left) = (0, false);
            for row in rows {
                if found.kept.value(row) {
                    left = true;
                } else if let Some(rejection) = self.rejection(found, row) {
                    rejected += 1;
                    if rejected <= LETTERS_MAX {
                        letters.push(found.letter(row, rejection));
                    }
                }
            }
            let offset = message[0];
            if rejected > 0 {
                counts.push((offset, rejected));
            } else if !left && before.binary_search_by_key(&offset, |reject| reject.offset).is_err() {
                filtered += 1;
            }
        }
        (letters, counts, filtered)
    }

    /// Why `row`, which is not kept, is rejected; `None` = it is filtered.
    fn rejection<'j>(&'j self, found: &Found<'_>, row: usize) -> Option<Rejection<'j>> {
        let case = found.case_of[row];
        if found.unmade.rows().any(|failed| failed.value(row))
            && let Some(problem) = self.computed.problem(&found.unmade, found.rows, row, case)
        {
            return Some(Rejection::Unmade(problem));
        }
        let failed = self.asked(case).find(|&place| !found.holds[place].value(row))?;
        self.conditions[failed].reason.as_ref().map(Rejection::NotRequired)
    }
}

enum Rejection<'j> {
    Unmade(Problem),
    /// The name of a `require`.
    NotRequired(&'j Arc<str>),
}

impl Found<'_> {
    /// How many columns are fields: those behind them are offset and index.
    fn fields(&self) -> usize {
        self.rows.num_columns() - 2
    }

    #[cold]
    fn letter(&self, row: usize, rejection: Rejection<'_>) -> Reject {
        let (rows, fields) = (self.rows, self.fields());
        let Problem { reason, detail } = match rejection {
            Rejection::Unmade(problem) => problem,
            Rejection::NotRequired(reason) => {
                let names = rows.schema_ref().fields().iter().map(|field| field.name().as_str());
                let values = rows.columns()[..fields].iter().map(|column| cell(column, row));
                Problem::not_required(reason, names.zip(values))
            }
        };
        Reject {
            offset: rows.column(fields).as_primitive::<Int64Type>().value(row),
            row: rows.column(fields + 1).as_primitive::<Int32Type>().value(row),
            extent: Extent::Row,
            class: Class::Data,
            reason,
            detail,
        }
    }
}

/// All letters in the order of the messages and their rows; of a message not more than it may have. `counts` says how many
/// rows of which message are rejected by `letters`.
fn merged(
    mut rejects: Vec<Reject>,
    letters: Vec<Reject>,
    counts: &[(i64, usize)],
    several: &[Several],
) -> Vec<Reject> {
    if letters.is_empty() {
        return rejects;
    }
    rejects.extend(letters);
    // Stable, and nothing moves where messages have one row each.
    rejects.sort_by_key(|reject| (reject.offset, reject.row));
    if several.is_empty() {
        return rejects;
    }
    let mut kept: Vec<Reject> = Vec::with_capacity(rejects.len());
    for of_message in rejects.chunk_by(|one, other| one.offset == other.offset) {
        let offset = of_message[0].offset;
        let now = counts.binary_search_by_key(&offset, |count| count.0).ok().map(|at| counts[at].1);
        let message = several.binary_search_by_key(&offset, |message| message.offset).ok();
        let (Some(now), Some(message)) = (now, message.map(|at| several[at])) else {
            kept.extend_from_slice(of_message);
            continue;
        };
        let Several { rejected, letters_max, next_row, .. } = message;
        // The last one stood for the rest of those before.
        let own = of_message.len() - usize::from(rejected > letters_max);
        kept.extend_from_slice(&of_message[..own.min(letters_max)]);
        if rejected + now > letters_max {
            let Problem { reason, detail } = Problem::more_rows(rejected + now - letters_max);
            let (extent, class) = (Extent::Several, Class::Data);
            kept.push(Reject { offset, row: next_row, extent, class, reason, detail });
        }
    }
    kept
}
