//! The rows of one transaction: pieces of several batches, addressed as one list.

use super::encode::{Cells, put_rows};
use super::table::Plan;
use aqueduct_engine::Error;
use aqueduct_engine::batch::Batch;
use std::ops::Range;

/// Rows of one batch that this sink does not have yet.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: &'a Batch,
    /// The first row to write.
    pub(crate) start: usize,
    /// How many.
    pub(crate) length: usize,
}

/// Pieces, ready to be encoded from any row on.
pub(crate) struct Rows<'a> {
    pieces: Vec<(Piece<'a>, Vec<Cells<'a>>)>,
    length: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(pieces: Vec<Piece<'a>>, plan: &Plan) -> Result<Self, Error> {
        let length = pieces.iter().map(|piece| piece.length).sum();
        let pieces = pieces
            .into_iter()
            .filter(|piece| piece.length > 0)
            .map(|piece| Ok((piece, Cells::of(&piece.batch.rows, &plan.encodings)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self { pieces, length })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The batch of the `index`th row and its position there.
    pub(crate) fn locate(&self, index: usize) -> (&'a Batch, usize) {
        let mut before = 0;
        for (piece, _) in &self.pieces {
            if index < before + piece.length {
                return (piece.batch, piece.start + index - before);
            }
            before += piece.length;
        }
        panic!("invariant: row {index} lies within the {} rows of its transaction", self.length);
    }

    /// Appends rows from `range` until `out` holds `bytes_max`; says at which row to go on.
    pub(crate) fn encode(&self, range: Range<usize>, bytes_max: usize, out: &mut Vec<u8>) -> usize {
        let mut at = range.start;
        let mut before = 0;
        for (piece, cells) in &self.pieces {
            let (first, end) = (at.max(before), range.end.min(before + piece.length));
            if first < end {
                let local = |row: usize| piece.start + row - before;
                let stopped = put_rows(cells, local(first)..local(end), bytes_max, out);
                at = before + stopped - piece.start;
                if at < end {
                    return at;
                }
            }
            before += piece.length;
        }
        at
    }
}
