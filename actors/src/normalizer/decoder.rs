//! The decoder: messages in, typed rows and rejects out.
//!
//! Pure: what a message becomes depends on the message, its record's metadata and the topology alone, never on the time
//! of day or on other messages. Invariant: a rejected or filtered row leaves nothing in any column.
//! Deliberately absent: anything asynchronous.

use super::case::{Case, Rule};
use super::coding::{Coding, Read};
use super::column::{Column, arrow_field};
use super::computed::Computation;
use super::event_time::EventTime;
use super::field::Source;
use super::judge::{Judge, Several, Unjudged};
use super::names::{self, Place, Record, Row};
use super::reject::{self, Problem, Reject, quoted};
use super::schemas::Schemas;
use super::wanted;
use crate::expr::Value;
use crate::json::{Document, Kind, NONE, NodeRef};
use aqueduct_engine::{Batch, Class, Error, Extent, batch};
use aqueduct_topology::model::{self, MatchMode};
use arrow_array::{RecordBatch, RecordBatchOptions};
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
    mode: MatchMode,
    event_time: Option<EventTime>,
    judge: Judge,
}

/// Where paths lead, refilled for every message and element.
#[derive(Debug, Default)]
struct Found {
    shared: Vec<u32>,
    message: Vec<u32>,
    element: Vec<u32>,
}

/// Rows and rejects of the batch so far.
#[derive(Debug)]
struct Output {
    model: Vec<model::Column>,
    schema: SchemaRef,
    columns: Vec<Column>,
    offsets: Vec<i64>,
    indices: Vec<i32>,
    /// The case of each row.
    cases: Vec<u16>,
    /// The messages that may have given several rows.
    several: Vec<Several>,
    rejects: Vec<Reject>,
}

/// The rows and rejects of one message so far.
#[derive(Debug, Default)]
struct Tally {
    /// Rows are numbered within their message whether they are kept or not.
    next_row: i32,
    rejected: usize,
    letters_max: usize,
    /// Which line of several is at hand, for people.
    line: Option<usize>,
    /// Bytes of text that the rows of other messages hold; known once there is a line.
    text_before: usize,
    /// Whether a row has left something to the end of the batch.
    left: bool,
    /// Whether no row may.
    alone: bool,
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
        Ok(Self { plan, coding, found: Found::default(), output })
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
        Self { plan: self.plan.clone(), coding: self.coding.fresh(), found: Found::default(), output }
    }

    /// From now on a message of a schema may be JSON, as authors of examples write it.
    pub(crate) fn rehearse(&mut self) {
        if let Some(schemas) = self.coding.schemas() {
            schemas.rehearse();
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

impl Tally {
    #[cold]
    fn reject(&mut self, offset: i64, extent: Extent, problem: Problem, output: &mut Output) {
        self.rejected += 1;
        if self.rejected > self.letters_max {
            return;
        }
        let detail = match self.line {
            Some(line) => format!("line {line}: {}", problem.detail),
            None => problem.detail,
        };
        output.reject(offset, (self.next_row, extent), Problem { detail, ..problem });
    }
}

/// One message on its way.
struct Message<'d, 'o> {
    plan: &'d Plan,
    document: &'d Document<'d>,
    record: Record<'d>,
    found: &'o mut Found,
    output: &'o mut Output,
    tally: &'o mut Tally,
}

impl<'d> Message<'d, '_> {
    fn decode(&mut self) -> Result<(), WholeMessage> {
        let root = self.document.node(0);
        self.plan.shared.message.resolve(root, self.document, &mut self.found.shared);
        let mut tried = 0;
        while let Some(case) = self.next_case(&mut tried) {
            self.case(case)?;
            if self.plan.mode == MatchMode::First {
                break;
            }
        }
        Ok(())
    }

    /// The first case that applies after the first `tried` ones.
    fn next_case(&self, tried: &mut usize) -> Option<&'d Case> {
        let plan = self.plan;
        let row = self.scope(&plan.shared.sources, &self.found.shared);
        let shared = self.found.shared.as_slice();
        let applies = |case: &Case| {
            case.needs.iter().all(|&path| shared[path as usize] != NONE)
                && case.when.as_ref().is_none_or(|when| when.is_true(&row))
        };
        let found = plan.cases[*tried..].iter().position(applies)?;
        *tried += found + 1;
        Some(&plan.cases[*tried - 1])
    }

    /// What expressions see before there is an element.
    fn scope<'s>(&self, sources: &'s [names::Source], message: &'s [u32]) -> Row<'s>
    where
        'd: 's,
    {
        Row {
            sources,
            document: self.document,
            message,
            element: message,
            item_key: Value::Null,
            record: self.record,
            columns: &[],
            row: 0,
        }
    }

    /// The rows of a case that applies.
    fn case(&mut self, case: &'d Case) -> Result<(), WholeMessage> {
        let root = self.document.node(0);
        case.place.message.resolve(root, self.document, &mut self.found.message);
        let row = self.scope(&case.place.sources, &self.found.message);
        if !case.message_select.iter().all(|select| select.is_true(&row)) {
            return Ok(());
        }
        if let Some((reason, _)) = case.message_require.iter().find(|(_, require)| !require.is_true(&row)) {
            let detail = format!("`require` {reason} is not true of the message");
            self.reject_row(self.extent_of(case), Problem { reason: reason.clone(), detail });
            self.tally.next_row += 1;
            return Ok(());
        }
        let Some(explode) = case.explode else {
            self.row(case, Value::Null);
            return Ok(());
        };
        let exploded = match self.found.message[explode as usize] {
            NONE => return Ok(()),
            index => self.document.node(index),
        };
        match exploded.kind() {
            Kind::Null => Ok(()),
            Kind::Array | Kind::Object => self.elements(case, exploded),
            _ => Err(WholeMessage(Problem::new(
                reject::WRONG_TYPE,
                format!("`explode` expects an array or object, found {}", quoted(exploded.source())),
            ))),
        }
    }

    fn elements(&mut self, case: &'d Case, exploded: NodeRef<'d>) -> Result<(), WholeMessage> {
        let paths =
            case.place.element.as_ref().expect("invariant: an exploded case has paths of its element");
        let text_before = self.output.text_bytes();
        for (index, (name, element)) in exploded.children().enumerate() {
            if self.tally.next_row as usize >= ROWS_MAX {
                let detail = format!("`explode` gives more than {ROWS_MAX} rows");
                return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
            }
            paths.resolve(element, self.document, &mut self.found.element);
            self.row(case, name.map_or(Value::Int(index as i64), Value::of));
            if self.output.text_bytes() - text_before > ROWS_TEXT_BYTES_MAX {
                let detail = format!("its rows hold more than {ROWS_TEXT_BYTES_MAX} bytes of text");
                return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
            }
        }
        Ok(())
    }

    /// One row, whose element's paths have been found.
    fn row(&mut self, case: &'d Case, item_key: Value<'d>) {
        let at = self.output.offsets.len();
        // What is wrong with a line is said with its number, which a batch has not.
        let leave = case.leaves && !self.tally.alone && self.tally.line.is_none();
        let kept = match leave {
            true => self.leave_row(case, item_key, at),
            false => self.try_row(case, item_key, at, false),
        };
        match kept {
            Ok(true) => {
                self.tally.left |= leave;
                self.output.offsets.push(self.record.offset);
                self.output.indices.push(self.tally.next_row);
                self.output.cases.push(case.number);
            }
            Ok(false) => self.output.truncate(at),
            Err(problem) => {
                self.output.truncate(at);
                self.reject_row(Extent::Row, problem);
            }
        }
        self.tally.next_row += 1;
    }

    /// Writes the row, but for what it leaves to the batch. That may be what is wrong with it first: then nothing is left.
    #[inline(never)]
    fn leave_row(&mut self, case: &'d Case, item_key: Value<'d>, at: usize) -> Result<bool, Problem> {
        let kept = self.try_row(case, item_key.clone(), at, true);
        if kept.is_err() { self.try_row_again(case, item_key, at) } else { kept }
    }

    #[cold]
    #[inline(never)]
    fn try_row_again(&mut self, case: &'d Case, item_key: Value<'d>, at: usize) -> Result<bool, Problem> {
        self.output.truncate(at);
        self.try_row(case, item_key, at, false)
    }

    /// Writes the row; `false` = it is filtered. What may be left to the end of the batch is done now unless `leave`.
    #[inline(always)]
    fn try_row(
        &mut self,
        case: &'d Case,
        item_key: Value<'d>,
        at: usize,
        leave: bool,
    ) -> Result<bool, Problem> {
        let message = &self.found.message;
        let element = if case.place.element.is_some() { &self.found.element } else { message };
        let row = Row { element, item_key, row: at, ..self.scope(&case.place.sources, message) };
        if !case.item_select.iter().all(|select| select.is_true(&row)) {
            return Ok(false);
        }
        for field in &case.fields {
            let columns = &mut self.output.columns;
            let node = |paths: &[u32], slot: u32| match paths[slot as usize] {
                NONE => None,
                index => Some(self.document.node(index)),
            };
            match &field.source {
                Source::Element(slot) => field.read_node(node(element, *slot), &mut columns[field.column])?,
                Source::Message(slot) => field.read_node(node(message, *slot), &mut columns[field.column])?,
                Source::Constant(cell) => columns[field.column].push_cell(cell),
                Source::Program(computation) if leave && computation.together => {
                    columns[field.column].push_blank();
                }
                Source::Program(Computation { program, of_fields, .. }) => {
                    let mut column = std::mem::take(&mut columns[field.column]);
                    let row = if *of_fields { Row { columns, ..row.clone() } } else { row.clone() };
                    let read = match program.value(&row) {
                        Ok(value) => field.read(&value, &mut column),
                        Err(fault) => Err(field.fault(&fault)),
                    };
                    columns[field.column] = column;
                    read?;
                }
            }
        }
        let row = Row { columns: &self.output.columns, ..row };
        let in_time = match &self.plan.event_time {
            Some(bounds) => bounds.check(row.columns[bounds.column].time(at), self.record.time_ms),
            None => Ok(()),
        };
        if leave {
            let mut asked = case.rules.iter().filter(|rule| !rule.together);
            return match in_time {
                // Which rule says why is found when all are asked.
                Ok(()) if asked.any(|rule| !rule.program.is_true(&row)) => Err(Problem::new("", "")),
                in_time => in_time.map(|()| true),
            };
        }
        // What the author requires says more than a bound that holds for every topology.
        match case.rules.iter().find(|rule| !rule.program.is_true(&row)) {
            Some(Rule { reason: Some(reason), .. }) => {
                let names = self.output.model.iter().map(|column| column.name.as_str());
                let values = row.columns.iter().map(|column| column.value(at));
                Err(Problem::not_required(reason, names.zip(values)))
            }
            Some(_) => Ok(false),
            None => in_time.map(|()| true),
        }
    }

    /// What goes with a case that rejects the message before its rows are looked at.
    fn extent_of(&self, case: &Case) -> Extent {
        match (case.explode, self.plan.mode) {
            (None, _) => Extent::Row,
            (Some(_), MatchMode::First) => Extent::Record,
            (Some(_), MatchMode::All) => Extent::Several,
        }
    }

    fn reject_row(&mut self, extent: Extent, problem: Problem) {
        self.tally.reject(self.record.offset, extent, problem, self.output);
    }
}

impl Output {
    fn new(model: Vec<model::Column>) -> Self {
        let schema = batch::with_hidden_columns(model.iter().map(arrow_field));
        let columns = model.iter().map(|column| Column::new(column, 0)).collect();
        Self {
            model,
            schema,
            columns,
            offsets: Vec::new(),
            indices: Vec::new(),
            cases: Vec::new(),
            several: Vec::new(),
            rejects: Vec::new(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.offsets.truncate(rows);
        self.indices.truncate(rows);
        self.cases.truncate(rows);
    }

    fn text_bytes(&self) -> usize {
        self.columns.iter().map(Column::text_bytes).sum()
    }

    #[cold]
    fn reject(&mut self, offset: i64, (row, extent): (i32, Extent), Problem { reason, detail }: Problem) {
        self.rejects.push(Reject { offset, row, extent, class: Class::Data, reason, detail });
    }

    fn finish(&mut self) -> (RecordBatch, Vec<Reject>) {
        let count = self.offsets.len();
        let next = (Vec::with_capacity(count), Vec::with_capacity(count));
        let offsets = std::mem::replace(&mut self.offsets, next.0);
        let indices = std::mem::replace(&mut self.indices, next.1);
        let mut columns = Vec::with_capacity(self.columns.len() + 2);
        for (column, model) in self.columns.iter_mut().zip(&self.model) {
            columns.push(column.finish(model).expect("invariant: a column holds what its type allows"));
        }
        columns.extend(batch::hidden_columns(offsets, indices));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("invariant: the columns are of the schema, and equally long");
        (rows, std::mem::take(&mut self.rejects))
    }
}
