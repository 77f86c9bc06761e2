//! The rows of one transaction: pieces of several batches, addressed as one list.

use super::ahead::Encoded;
use super::encode::{Cells, Misfit, put_rows};
use super::table::Plan;
use crate::timescale::limits::COPY_FRAME_BYTES;
use aqueduct_engine::Error;
use aqueduct_engine::batch::Batch;
use bytes::Bytes;
use std::ops::Range;

/// What is set aside for one row; a frame grows where rows are larger.
const ROW_BYTES_USUAL: usize = 128;

/// What is set aside for a frame of so many rows at most. It ends with the row that fills it.
pub(super) fn frame_room(rows: usize) -> usize {
    (COPY_FRAME_BYTES + COPY_FRAME_BYTES / 8).min(rows.saturating_mul(ROW_BYTES_USUAL))
}

/// Rows of one batch that this sink does not have yet.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: &'a Batch,
    /// The first row to write.
    pub(crate) start: usize,
    /// How many.
    pub(crate) length: usize,
    /// What of the batch is encoded already.
    pub(super) encoded: Option<&'a Encoded>,
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
            .map(|piece| Piece { encoded: piece.encoded.filter(|encoded| encoded.fits(plan)), ..piece })
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

    /// The next frame of COPY with rows of `range`, and the row at which to go on.
    pub(crate) fn frame(&self, range: Range<usize>) -> Result<(Bytes, usize), Misfit> {
        if let Some(made) = self.made_ahead(&range) {
            return Ok(made);
        }
        let mut frame = Vec::with_capacity(frame_room(range.len()));
        let next = self.encode(range, COPY_FRAME_BYTES, &mut frame)?;
        Ok((frame.into(), next))
    }

    /// That frame, if it was encoded ahead.
    fn made_ahead(&self, range: &Range<usize>) -> Option<(Bytes, usize)> {
        let mut before = 0;
        for (piece, _) in &self.pieces {
            if range.start < before + piece.length {
                let local = |row: usize| piece.start + row - before;
                let end = local(range.end.min(before + piece.length));
                let (frame, next) = piece.encoded?.frame(local(range.start), end)?;
                return Some((frame, before + next - piece.start));
            }
            before += piece.length;
        }
        None
    }

    /// Appends rows from `range` until `out` holds `bytes_max`; says at which row to go on.
    fn encode(&self, range: Range<usize>, bytes_max: usize, out: &mut Vec<u8>) -> Result<usize, Misfit> {
        let mut at = range.start;
        let mut before = 0;
        for (piece, cells) in &self.pieces {
            let (first, end) = (at.max(before), range.end.min(before + piece.length));
            if first < end {
                let local = |row: usize| piece.start + row - before;
                let stopped = put_rows(cells, local(first)..local(end), bytes_max, out)
                    .map_err(|misfit| Misfit { row: before + misfit.row - piece.start, ..misfit })?;
                at = before + stopped - piece.start;
                if at < end {
                    return Ok(at);
                }
            }
            before += piece.length;
        }
        Ok(at)
    }
}
