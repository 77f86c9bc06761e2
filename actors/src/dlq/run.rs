//! The letters of one run, and what is known of each while it goes through its lane.
//!
//! Invariants: what a run makes of a letter is marked in the transaction of its rows, and a letter that is marked is never
//! taken again; so a run may end anywhere, and another goes on from what is stored. A sink marks only what was handed on
//! under the very claim it writes under: a range of ids has gaps, letters that the source left out. Memory holds nothing
//! that matters: a claim begins by reading which letters are open.

use super::lane::Lane;
use crate::timescale::{Connection, Timescale};
use aqueduct_engine::{Error, Extent};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Row;
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
}

impl Taken {
    /// Whether the row at that place of the record is what was rejected.
    pub fn covers(&self, row: i32) -> bool {
        self.whole || row == self.row
    }

    /// Whether a reject of the record speaks of what is replayed: rows that were rejected beside it have letters of their
    /// own.
    pub fn concerns(&self, row: i32, extent: Extent) -> bool {
        self.whole || extent != Extent::Row || row == self.row
    }

    /// What a sink that rejects `row` to that extent lacks of what it was given.
    pub(super) fn refused(&self, row: i32, extent: Extent) -> (i32, Extent) {
        match (extent, self.whole) {
            (Extent::Row, _) => (row, Extent::Row),
            (_, true) => (0, Extent::Record),
            (_, false) => (self.row, Extent::Row),
        }
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
    letters: BTreeMap<i64, Taken>,
    /// The claim with which the replay began: what was rejected under a later one is not taken again.
    since: i64,
    progress: Mutex<Progress>,
}

/// What has happened under the newest claim.
#[derive(Debug, Default)]
struct Progress {
    epoch: i64,
    /// Letters whose records the source has handed on.
    handed_on: BTreeSet<i64>,
    /// Those of them that the rules rejected again: no row of them passes.
    failed: BTreeSet<i64>,
    /// How many letters were left out, for some sink of the lane has them and another does not.
    half_done: usize,
    /// Below which each sink that writes in no transaction has marked.
    marked: BTreeMap<String, i64>,
}

impl Progress {
    /// What `sink` has of `range`, if the claim is the newest.
    fn ids_in(&self, epoch: i64, range: Range<i64>) -> Vec<i64> {
        if epoch != self.epoch || range.is_empty() {
            return Vec::new();
        }
        self.handed_on.range(range).filter(|id| !self.failed.contains(id)).copied().collect()
    }
}

impl Run {
    /// A run of `letters` along `lane`, in the replay that began with the claim `since`.
    pub(super) fn new(
        lane: Lane,
        (topology, node): (Arc<str>, Arc<str>),
        timescale: Timescale,
        source_of_cache: BTreeMap<String, u16>,
        (letters, since): (BTreeMap<i64, Taken>, i64),
    ) -> Self {
        let progress = Mutex::default();
        Self { lane, topology, node, timescale, source_of_cache, letters, since, progress }
    }

    /// What is known of one letter.
    pub(super) fn get(&self, id: i64) -> Option<Taken> {
        self.letters.get(&id).copied()
    }

    /// A claim was made: nothing has been handed on under it.
    pub(super) fn begin(&self, epoch: i64) {
        *self.lock() = Progress { epoch, ..Progress::default() };
    }

    /// The source hands on these letters.
    pub(super) fn hand_on(&self, epoch: i64, ids: &[i64]) {
        let mut progress = self.lock();
        if progress.epoch == epoch {
            progress.handed_on.extend(ids);
        }
    }

    /// The rules rejected that letter again, durably.
    pub(super) fn fail(&self, epoch: i64, id: i64) {
        let mut progress = self.lock();
        if progress.epoch == epoch {
            progress.failed.insert(id);
        }
    }

    /// Whether that row of the record goes on to the sinks.
    pub(super) fn passes(&self, epoch: i64, id: i64, row: i32) -> bool {
        let progress = self.lock();
        let failed = progress.epoch != epoch || progress.failed.contains(&id);
        !failed && self.get(id).is_some_and(|taken| taken.covers(row))
    }

    /// How many letters this run leaves to another: see [`STILL_OPEN`].
    pub(super) fn half_done(&self) -> usize {
        self.lock().half_done
    }

    /// The letters that are not done and were not rejected in this replay, ascending.
    pub(super) async fn still_open(&self) -> Result<Vec<i64>, Error> {
        let ids: Vec<i64> = self.letters.keys().copied().collect();
        let actors = self.lane.topology.actors.iter();
        let sinks: Vec<&str> =
            actors.filter(|actor| actor.kind.is_sink()).map(|actor| actor.id.value.as_str()).collect();
        let connection = self.timescale.checkout().await?;
        let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &ids, &sinks, &self.since];
        let rows = connection.rows("read which letters are open", STILL_OPEN, &params).await?;
        let half_done = |row: &&Row| row.get::<_, bool>(1);
        self.lock().half_done = rows.iter().filter(half_done).count();
        Ok(rows.iter().filter(|row| !half_done(row)).map(|row| row.get(0)).collect())
    }

    /// Within the transaction in which `sink` moves its offset over `range`: it has what became of the letters there; rows
    /// were written of those in `written`. What was rejected under this claim is left out.
    pub(super) async fn mark(
        &self,
        connection: &Connection,
        (sink, epoch): (&str, i64),
        range: Range<i64>,
        written: &[i64],
    ) -> Result<(), Error> {
        let ids = self.lock().ids_in(epoch, range);
        if ids.is_empty() {
            return Ok(());
        }
        let deciding = &self.lane.deciding;
        let params: [&(dyn ToSql + Sync); 6] = [&&*self.topology, &sink, &epoch, &ids, &written, deciding];
        connection.hits("mark replayed letters", MARK, &params).await?;
        Ok(())
    }

    /// In a statement of its own: `sink`, whose rows no transaction writes, has everything below `next`. A claim that is
    /// not the newest any more marks nothing.
    pub(super) async fn mark_told(
        &self,
        connection: &Connection,
        (sink, epoch): (&str, i64),
        next: i64,
    ) -> Result<(), Error> {
        let ids = {
            let progress = self.lock();
            progress.ids_in(epoch, progress.marked.get(sink).copied().unwrap_or(0)..next)
        };
        if ids.is_empty() {
            return Ok(());
        }
        let (deciding, source) = (&self.lane.deciding, &*self.lane.source);
        let params: [&(dyn ToSql + Sync); 7] =
            [&&*self.topology, &sink, &epoch, &ids, &ids, deciding, &source];
        connection.hits("mark replayed letters", MARK_TOLD, &params).await?;
        let mut progress = self.lock();
        if progress.epoch == epoch {
            progress.marked.insert(sink.to_owned(), next);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the claim's rows, as every letter does: a newer claim waits, and after it nothing is marked under this one. The
/// epoch is parameter 3, the source the one named.
macro_rules! held {
    ($source:literal) => {
        concat!(
            "WITH held AS (SELECT o.epoch FROM aqueduct.offsets AS o                            WHERE o.topology = $1 AND o.input = ",
            $source,
            " ORDER BY o.sink FOR KEY SHARE),                   ours AS (SELECT max(epoch) = $3::int8 AS ours FROM held) "
        )
    };
}

pub(super) use held;

/// Locked in one order, so that two sinks that mark the same letters wait for each other instead of meeting head on.
macro_rules! mark {
    ($also:literal) => {
        concat!(
            "UPDATE aqueduct.dead_letter AS l \
    SET replayed_to = CASE WHEN $2::text = ANY (l.replayed_to) THEN l.replayed_to \
                           ELSE pg_catalog.array_append(l.replayed_to, $2::text) END, \
        outcome = CASE WHEN l.id = ANY ($5::int8[]) THEN 'written' ELSE COALESCE(l.outcome, 'filtered') END, \
        replayed_at = COALESCE(l.replayed_at, \
            CASE WHEN $6::text[] <@ pg_catalog.array_append(l.replayed_to, $2::text) THEN pg_catalog.clock_timestamp() END) \
    FROM (SELECT m.id FROM aqueduct.dead_letter AS m \
          WHERE m.topology = $1 AND m.id = ANY ($4::int8[]) AND m.attempted_epoch IS DISTINCT FROM $3",
            $also,
            " ORDER BY m.id FOR UPDATE) AS held_letters \
    WHERE l.id = held_letters.id"
        )
    };
}

const MARK: &str = mark!("");

const MARK_TOLD: &str = concat!(held!("$7"), mark!(" AND (SELECT ours.ours FROM ours)"));

/// A letter that some sink of the lane has, and another lacks, would be doubled in the first: such letters have a lane of
/// their own, so in this one they wait for the next round.
const STILL_OPEN: &str = "\
    SELECT l.id, l.replayed_to && $3::text[] FROM aqueduct.dead_letter AS l \
    WHERE l.topology = $1 AND l.id = ANY ($2::int8[]) AND l.replayed_at IS NULL \
      AND COALESCE(l.attempted_epoch, 0) <= $4 \
    ORDER BY l.id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_rejected_is_covered_and_only_its_rejects_count() {
        let third = Taken { partition: 0, offset: 7, row: 3, whole: false };
        assert!(third.covers(3) && !third.covers(2));
        assert!(third.concerns(3, Extent::Row) && !third.concerns(2, Extent::Row));
        assert!(third.concerns(0, Extent::Record), "the whole record is rejected now");
        let whole = Taken { row: 0, whole: true, ..third };
        assert!(whole.covers(0) && whole.covers(9) && whole.concerns(9, Extent::Row));
    }

    #[test]
    fn a_sink_that_rejects_the_record_lacks_all_that_it_was_given() {
        let third = Taken { partition: 0, offset: 7, row: 3, whole: false };
        let whole = Taken { row: 0, whole: true, ..third };
        assert_eq!(whole.refused(2, Extent::Row), (2, Extent::Row), "its other rows are written");
        assert_eq!(whole.refused(0, Extent::Record), (0, Extent::Record));
        assert_eq!(
            third.refused(0, Extent::Record),
            (3, Extent::Row),
            "the others of the record are no concern of it"
        );
    }

    #[test]
    fn only_what_was_handed_on_under_that_claim_is_marked_under_it() {
        let progress =
            Progress { epoch: 7, handed_on: [3, 5, 9, 12].into(), failed: [5].into(), ..Progress::default() };
        assert_eq!(progress.ids_in(7, 0..10), [3, 9], "neither what was left out nor what failed");
        assert!(progress.ids_in(6, 0..10).is_empty(), "another claim");
        assert!(progress.ids_in(7, 10..10).is_empty());
    }
}
