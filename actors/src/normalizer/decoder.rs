//! The decoder: messages in, typed rows and rejects out.
//!
//! Pure: what a message becomes depends on the message, its record's metadata and the topology alone, never on the time
//! of day or on other messages. Invariant: a rejected or filtered row leaves nothing in any column.
//! Deliberately absent: anything asynchronous.

use super::case::Case;
use super::coding::{Coding, Read};
use super::event_time::EventTime;
#[cfg(test)]
use super::field::Source;
use super::judge::{Judge, Several, Unjudged};
use super::message::{Found, Message};
use super::names::{Place, Record};
use super::output::{Output, Tally};
use super::reject::{self, Problem, Reject};
use super::schemas::Schemas;
use super::wanted;
use crate::json::Document;
use crate::registry::Known;
use aqueduct_engine::{Batch, Class, Error, Extent};
use aqueduct_topology::model::{self, MatchMode};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::sync::Arc;

/// Most rows of one message.
pub const ROWS_MAX: usize = 1 << 18;
/// Most bytes of text in the rows of one message.
pub const ROWS_TEXT_BYTES_MAX: usize = aqueduct_topology::bounds::ROWS_TEXT_BYTES_MAX as usize;

/// What became of a batch.
#[derive(Debug)]
pub struct Decoded {
    /// Typed rows, ending in the hidden columns, in the messages' order.
    pub rows: RecordBatch,
    /// What was rejected, in the messages' order.
    pub rejects: Vec<Reject>,
    /// Messages that gave neither a row nor a reject.
    pub filtered: u64,
}

/// Decodes batches of one normalizer. Keeps only buffers between batches.
#[derive(Debug)]
pub struct Decoder {
    plan: Arc<Plan>,
    coding: Coding,
    found: Found,
    output: Output,
}

/// The compiled topology entry.
#[derive(Debug)]
pub(super) struct Plan {
    /// The names of all conditions on messages.
    pub(super) shared: Place,
    pub(super) cases: Vec<Case>,
    pub(super) mode: MatchMode,
    pub(super) event_time: Option<EventTime>,
    judge: Judge,
}

/// The whole message is at fault: its rows are taken back.
pub(super) struct WholeMessage(pub(super) Problem);

impl Decoder {
    /// Compiles `normalizer`. An error names the expression or field and what to write instead.
    pub fn new(normalizer: &model::Normalizer) -> Result<Self, Error> {
        let config = |message: String| Error::new(Class::Config, message);
        let mut shared = Place::default();
        let mut cases = Vec::with_capacity(normalizer.cases.len());
        for case in &normalizer.cases {
            let compiled =
                Case::compile(case, &mut shared).map_err(|message| match case.name.value.as_str() {
                    "" => config(message),
                    name => config(format!("case `{name}`: {message}")),
                })?;
            cases.push(compiled);
        }
        let event_time = match &normalizer.event_time {
            Some(bounds) => Some(EventTime::new(bounds, &normalizer.columns).map_err(config)?),
            None => None,
        };
        let output = Output::new(normalizer.columns.clone());
        let time = event_time.as_ref().map(|bounds| bounds.column);
        let judge = Judge::new(&mut cases, &output.model, &output.schema, time);
        let plan = Arc::new(Plan { shared, cases, mode: normalizer.match_mode, event_time, judge });
        let coding = Coding::new(&normalizer.coding, wanted::of(&plan));
        let found = Found::of(&plan);
        Ok(Self { plan, coding, found, output })
    }

    /// One whose rows leave nothing to the end of the batch; and the fields that the other one computes then, by case.
    #[cfg(test)]
    pub(super) fn one_by_one(normalizer: &model::Normalizer) -> Result<(Self, Vec<String>), Error> {
        let mut decoder = Self::new(normalizer)?;
        let plan = Arc::get_mut(&mut decoder.plan).expect("invariant: nobody else has the plan yet");
        plan.judge = Judge::default();
        let mut left = Vec::new();
        for case in &mut plan.cases {
            case.leaves = false;
            let computed = case.fields.iter().filter(
                |field| matches!(&field.source, Source::Program(computation) if computation.together),
            );
            left.extend(computed.map(|field| format!("{}.{}", case.number, field.name)));
        }
        Ok((decoder, left))
    }

    /// Another decoder of the same plan, with nothing in its buffers.
    pub fn fresh(&self) -> Self {
        let output = Output::new(self.output.model.clone());
        let found = Found::of(&self.plan);
        Self { plan: self.plan.clone(), coding: self.coding.fresh(), found, output }
    }

    /// From now on a message of a schema may be JSON, as authors of examples write it.
    pub(crate) fn rehearse(&mut self) {
        if let Some(schemas) = self.coding.schemas() {
            schemas.rehearse();
        }
    }

    /// Takes what a registry says of the schema `id`, if messages are read by schemas.
    pub fn know(&mut self, id: u32, known: &Known) {
        if let Some(schemas) = self.schemas() {
            schemas.know(id, known);
        }
    }

    /// The schemas that messages are read by, if they are read by some.
    pub(super) fn schemas(&mut self) -> Option<&mut Schemas> {
        self.coding.schemas()
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.output.schema.clone()
    }

    /// Decodes every message of `batch`.
    pub fn decode(&mut self, batch: &Batch) -> Decoded {
        let mut filtered = 0;
        let Self { plan, coding, found, output } = self;
        let mut reading = coding.begin(batch);
        for index in 0..batch.raw.len() {
            let Some(bytes) = batch.raw.value(index) else {
                // A tombstone.
                filtered += 1;
                continue;
            };
            let record = Record::of(batch, index);
            let before = (output.offsets.len(), output.rejects.len());
            let letters_max = reject::letters_max(bytes.len());
            let mut alone = false;
            loop {
                let tally = Tally { letters_max, alone, ..Tally::default() };
                let mut work = Work { plan, record, found, output, tally };
                match reading.read(index, &mut work) {
                    Ok(()) => work.finish(),
                    Err(WholeMessage(problem)) => {
                        // Rows that are rejected in the end do not count for the limits of a message.
                        alone = work.tally.left;
                        output.rejects.truncate(before.1);
                        output.truncate(before.0);
                        if alone {
                            continue;
                        }
                        output.reject(record.offset, (0, Extent::Record), problem);
                    }
                }
                break;
            }
            filtered += u64::from(before == (output.offsets.len(), output.rejects.len()));
        }
        let (rows, rejects) = output.finish();
        let several = &output.several;
        let judged = plan.judge.judge(Unjudged { rows, rejects, case_of: &output.cases, several });
        output.cases.clear();
        output.several.clear();
        Decoded { rows: judged.rows, rejects: judged.rejects, filtered: filtered + judged.filtered }
    }
}

/// What is made of one message, whatever it is written in.
struct Work<'d, 'o> {
    plan: &'d Plan,
    record: Record<'d>,
    found: &'o mut Found,
    output: &'o mut Output,
    tally: Tally,
}

impl Read for Work<'_, '_> {
    fn document(&mut self, document: &Document<'_>) -> Result<(), WholeMessage> {
        let Work { plan, record, found, output, tally } = self;
        Message { plan, document, record: *record, found, output, tally }.decode()
    }

    fn line(&mut self, number: usize) -> Result<(), WholeMessage> {
        if self.tally.line.is_none() {
            self.tally.text_before = self.output.text_bytes();
        }
        if self.tally.next_row as usize >= ROWS_MAX {
            let detail = format!("it has more than {ROWS_MAX} lines");
            return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
        }
        if self.output.text_bytes() - self.tally.text_before > ROWS_TEXT_BYTES_MAX {
            let detail = format!("its rows hold more than {ROWS_TEXT_BYTES_MAX} bytes of text");
            return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
        }
        self.tally.line = Some(number);
        Ok(())
    }

    fn refuse_line(&mut self, extent: Extent, problem: Problem) {
        self.tally.reject(self.record.offset, extent, problem, self.output);
        self.tally.next_row += 1;
    }
}

impl Work<'_, '_> {
    /// One letter for all the rejected rows that have none of their own.
    fn finish(self) {
        let Tally { next_row, rejected, letters_max, .. } = self.tally;
        let offset = self.record.offset;
        if next_row > 1 {
            self.output.several.push(Several { offset, next_row, rejected, letters_max });
        }
        if rejected > letters_max {
            let problem = Problem::more_rows(rejected - letters_max);
            self.output.reject(offset, (next_row, Extent::Several), problem);
        }
    }
}
