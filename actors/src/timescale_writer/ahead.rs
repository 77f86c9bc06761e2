//! Rows that are encoded while a transaction before theirs is in flight.
//!
//! Frames of COPY are made one by one as the connection takes them, so within a transaction encoding and the database's
//! work overlap by themselves. What is made here lets the next transaction's first frames leave at once. Invariant: no
//! more than a budget of bytes exists at a time; each gives its part back when it is dropped.

use super::encode::{Cells, put_rows};
use super::rows::frame_room;
use super::table::Plan;
use crate::timescale::limits::{COPY_FRAME_BYTES, ENCODED_AHEAD_BYTES_MAX};
use aqueduct_engine::Batch;
use bytes::Bytes;
use std::cell::Cell;
use std::rc::Rc;

/// What may still be encoded ahead. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Budget(Rc<Cell<usize>>);

impl Default for Budget {
    fn default() -> Self {
        Self(Rc::new(Cell::new(ENCODED_AHEAD_BYTES_MAX)))
    }
}

/// The first rows of a batch as frames.
#[derive(Debug)]
pub(super) struct Encoded {
    /// For which table.
    plan: Rc<Plan>,
    /// Each with the row it begins with, and the one after it.
    frames: Vec<(usize, usize, Bytes)>,
    /// What it takes of the budget.
    bytes: usize,
    budget: Budget,
}

impl Drop for Encoded {
    fn drop(&mut self) {
        self.budget.0.set(self.budget.0.get() + self.bytes);
    }
}

impl Budget {
    /// Encodes of `batch` what the budget has room for; no further than to a row that does not fit, and nothing where the
    /// batch has no such columns: who writes it will say so.
    pub(super) fn encode(&self, batch: &Batch, plan: &Rc<Plan>) -> Option<Encoded> {
        let cells = Cells::of(&batch.rows, &plan.encodings).ok()?;
        let rows = batch.rows.num_rows();
        let mut encoded = Encoded { plan: plan.clone(), frames: Vec::new(), bytes: 0, budget: self.clone() };
        let mut from = 0;
        // A frame ends with the row that fills it, so a little room stays for that row.
        while from < rows && self.0.get() >= COPY_FRAME_BYTES + COPY_FRAME_BYTES / 8 {
            let mut frame = Vec::with_capacity(frame_room(rows - from));
            let Ok(to) = put_rows(&cells, from..rows, COPY_FRAME_BYTES, &mut frame) else { break };
            let taken = frame.len().min(self.0.get());
            encoded.bytes += taken;
            self.0.set(self.0.get() - taken);
            encoded.frames.push((from, to, frame.into()));
            from = to;
        }
        (!encoded.frames.is_empty()).then_some(encoded)
    }
}

impl Encoded {
    /// Whether it is for a table that is written like that.
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        *self.plan == *plan
    }

    /// The frame that begins with row `from` and goes no further than `end`, and where it ends.
    pub(super) fn frame(&self, from: usize, end: usize) -> Option<(Bytes, usize)> {
        let found = self.frames.iter().find(|(first, next, _)| *first == from && *next <= end);
        found.map(|(_, next, frame)| (frame.clone(), *next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timescale::Identifier;
    use crate::timescale_writer::encode::Encoding;
    use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
    use aqueduct_engine::testing::raw_batch;
    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use arrow_schema::{DataType, Field};
    use std::sync::Arc;

    fn plan() -> Rc<Plan> {
        let columns = vec![Identifier::new("text").unwrap()];
        Rc::new(Plan { columns, encodings: vec![(0, Encoding::Text)] })
    }

    /// `rows` rows of some 1 KiB.
    fn batch(rows: usize) -> Batch {
        let raw = raw_batch(0, 0, &vec!["raw"; rows]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); rows]));
        let hidden = hidden_columns((0..rows as i64).collect(), vec![0; rows]);
        let columns = std::iter::once(texts).chain(hidden).collect();
        let schema = with_hidden_columns([Field::new("text", DataType::Utf8, false)]);
        raw.with_rows(RecordBatch::try_new(schema, columns).unwrap())
    }

    #[test]
    fn what_is_encoded_ahead_is_what_would_be_encoded_later() {
        let (batch, plan, budget) = (batch(600), plan(), Budget::default());
        let encoded = budget.encode(&batch, &plan).unwrap();
        let cells = Cells::of(&batch.rows, &plan.encodings).unwrap();
        let (mut from, mut frames) = (0, 0);
        while let Some((frame, to)) = encoded.frame(from, 600) {
            let mut later = Vec::new();
            assert_eq!(put_rows(&cells, from..600, COPY_FRAME_BYTES, &mut later), Ok(to));
            assert_eq!(frame, later);
            (from, frames) = (to, frames + 1);
        }
        assert_eq!((from, frames), (600, 3));
        assert!(encoded.frame(1, 600).is_none(), "no frame begins within another");
        assert!(encoded.frame(0, 10).is_none(), "nor ends beyond what is asked for");
        assert!(encoded.fits(&plan) && !encoded.fits(&Plan::default()));
    }

    #[test]
    fn no_more_is_encoded_than_the_budget_has_and_all_of_it_comes_back() {
        let (batch, plan, budget) = (batch(4000), plan(), Budget::default());
        let encoded = budget.encode(&batch, &plan).unwrap();
        assert!(encoded.bytes <= ENCODED_AHEAD_BYTES_MAX && encoded.frames.last().unwrap().1 < 4000);
        assert!(budget.encode(&batch, &plan).is_none(), "there is no room for another frame");
        drop(encoded);
        assert_eq!(budget.0.get(), ENCODED_AHEAD_BYTES_MAX);
    }
}
