//! Rows and rejects in the making: of a batch, and of the message at hand.

use super::column::{Column, arrow_field};
use super::judge::Several;
use super::reject::{Problem, Reject};
use aqueduct_engine::{Class, Extent, batch};
use aqueduct_topology::model;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

/// Rows and rejects of the batch so far.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) model: Vec<model::Column>,
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<Column>,
    pub(super) offsets: Vec<i64>,
    pub(super) indices: Vec<i32>,
    /// The case of each row.
    pub(super) cases: Vec<u16>,
    /// The messages that may have given several rows.
    pub(super) several: Vec<Several>,
    pub(super) rejects: Vec<Reject>,
}

/// The rows and rejects of one message so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Rows are numbered within their message whether they are kept or not.
    pub(super) next_row: i32,
    pub(super) rejected: usize,
    pub(super) letters_max: usize,
    /// Which line of several is at hand, for people.
    pub(super) line: Option<usize>,
    /// Bytes of text that the rows of other messages hold; known once there is a line.
    pub(super) text_before: usize,
    /// Whether a row has left something to the end of the batch.
    pub(super) left: bool,
    /// Whether no row may.
    pub(super) alone: bool,
}

impl Tally {
    #[cold]
    pub(super) fn reject(&mut self, offset: i64, extent: Extent, problem: Problem, output: &mut Output) {
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

impl Output {
    pub(super) fn new(model: Vec<model::Column>) -> Self {
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

    pub(super) fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.offsets.truncate(rows);
        self.indices.truncate(rows);
        self.cases.truncate(rows);
    }

    pub(super) fn text_bytes(&self) -> usize {
        self.columns.iter().map(Column::text_bytes).sum()
    }

    #[cold]
    pub(super) fn reject(
        &mut self,
        offset: i64,
        (row, extent): (i32, Extent),
        Problem { reason, detail }: Problem,
    ) {
        self.rejects.push(Reject { offset, row, extent, class: Class::Data, reason, detail });
    }

    pub(super) fn finish(&mut self) -> (RecordBatch, Vec<Reject>) {
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
