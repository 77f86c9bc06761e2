//! The letters of one run, and what is known of each while it goes through its lane.
//!
//! Invariant: what a run makes of a letter is marked in the transaction of its rows, and a letter that is marked is never
//! taken again; so a run may end anywhere, and another goes on from what is stored. Memory holds nothing that matters.

use super::lane::Lane;
use crate::timescale::{Connection, Timescale};
use aqueduct_engine::{Error, Extent};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::types::ToSql;

/// One letter on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The partition of its record.
    pub partition: i32,
    /// The offset of its record.
    pub offset: i64,
    /// The row that was rejected.
    pub row: i32,
    /// Whether all rows of the record are meant, not that row alone.
    pub whole: bool,
    /// Rejected again: no row of it passes.
    pub failed: bool,
}

impl Taken {
    /// Whether the row at that place of the record is to be handed on.
    pub fn passes(&self, row: i32) -> bool {
        !self.failed && (self.whole || row == self.row)
    }

    /// Whether a reject of the record speaks of what is replayed: rows that were rejected beside it have letters of their
    /// own.
    pub fn concerns(&self, row: i32, extent: Extent) -> bool {
        self.whole || extent != Extent::Row || row == self.row
    }
}

/// Shared by the actors of a run.
pub(super) struct Run {
    /// The way they go.
    pub(super) lane: Lane,
    /// The topology's name.
    pub(super) topology: Arc<str>,
    /// This node's name.
    pub(super) node: Arc<str>,
    /// The database.
    pub(super) timescale: Timescale,
    /// The place of the letters' source among those of each cache, by the cache's name: it is part of its order.
    pub(super) source_of_cache: BTreeMap<String, u16>,
    letters: Mutex<BTreeMap<i64, Taken>>,
}

impl Run {
    /// A run of `letters` along `lane`.
    pub(super) fn new(
        lane: Lane,
        (topology, node): (Arc<str>, Arc<str>),
        timescale: Timescale,
        source_of_cache: BTreeMap<String, u16>,
        letters: BTreeMap<i64, Taken>,
    ) -> Self {
        Self { lane, topology, node, timescale, source_of_cache, letters: Mutex::new(letters) }
    }

    /// What is known of one letter.
    pub(super) fn get(&self, id: i64) -> Option<Taken> {
        self.lock().get(&id).copied()
    }

    /// Every letter that has not failed.
    pub(super) fn ids(&self) -> Vec<i64> {
        self.lock().iter().filter(|(_, taken)| !taken.failed).map(|(id, _)| *id).collect()
    }

    /// Those of `range` that have not failed.
    pub(super) fn ids_in(&self, range: Range<i64>) -> Vec<i64> {
        if range.is_empty() {
            return Vec::new();
        }
        self.lock().range(range).filter(|(_, taken)| !taken.failed).map(|(id, _)| *id).collect()
    }

    pub(super) fn fail(&self, id: i64) {
        if let Some(taken) = self.lock().get_mut(&id) {
            taken.failed = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Taken>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Within the caller's transaction: `sink` has what became of `ids`; rows were written of those in `written`. What
    /// was rejected under this claim is left out.
    pub(super) async fn mark(
        &self,
        connection: &Connection,
        (sink, epoch): (&str, i64),
        ids: &[i64],
        written: &[i64],
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let deciding = &self.lane.deciding;
        let params: [&(dyn ToSql + Sync); 6] = [&&*self.topology, &sink, &ids, &written, deciding, &epoch];
        connection.hits("mark replayed letters", MARK, &params).await?;
        Ok(())
    }
}

/// Locked in one order, so that two sinks that mark the same letters wait for each other instead of meeting head on.
const MARK: &str = "\
    UPDATE aqueduct.dead_letter AS l \
    SET replayed_to = CASE WHEN $2::text = ANY (l.replayed_to) THEN l.replayed_to ELSE pg_catalog.array_append(l.replayed_to, $2::text) END, \
        outcome = CASE WHEN l.id = ANY ($4::int8[]) THEN 'written' ELSE COALESCE(l.outcome, 'filtered') END, \
        replayed_at = COALESCE(l.replayed_at, \
            CASE WHEN $5::text[] <@ pg_catalog.array_append(l.replayed_to, $2::text) THEN pg_catalog.clock_timestamp() END) \
    FROM (SELECT m.id FROM aqueduct.dead_letter AS m \
          WHERE m.topology = $1 AND m.id = ANY ($3::int8[]) AND m.attempted_epoch IS DISTINCT FROM $6 \
          ORDER BY m.id FOR UPDATE) AS held \
    WHERE l.id = held.id";

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(row: i32, whole: bool) -> Taken {
        Taken { partition: 0, offset: 7, row, whole, failed: false }
    }

    #[test]
    fn only_what_was_rejected_passes_and_only_its_rejects_count() {
        let third = taken(3, false);
        assert!(third.passes(3) && !third.passes(2));
        assert!(third.concerns(3, Extent::Row) && !third.concerns(2, Extent::Row));
        assert!(third.concerns(0, Extent::Record), "the whole record is rejected now");
        let whole = taken(0, true);
        assert!(whole.passes(0) && whole.passes(9) && whole.concerns(9, Extent::Row));
        assert!(!Taken { failed: true, ..whole }.passes(0));
    }
}
