//! What the ledger promises, one behaviour a test, and one law over everything that may happen.

use super::{Counts, Ledger, LedgerRow, SinkIndex, SinkSpec};
use crate::batch::Origin;
use crate::claim::{Claim, Owner};
use crate::limits::{LEDGER_EPOCHS_KEPT_MAX, LEDGER_PASSED_RANGES_MAX};
use crate::testing::{RecordsBuilder, partition, raw_batch};
use futures::FutureExt;
use proptest::prelude::*;
use std::collections::BTreeSet;

const WRITER: SinkIndex = SinkIndex(0);
const CACHE: SinkIndex = SinkIndex(1);

/// A required writer and a best-effort cache.
fn ledger() -> Ledger {
    Ledger::new("t".into(), vec![("writer".into(), true), ("cache".into(), false)])
}

fn origin(first: i64, next: i64) -> Origin {
    Origin { key: partition(0), epoch: 1, first, next }
}

/// The source hands on a record at each of `first..next`.
fn read(ledger: &Ledger, first: i64, next: i64) {
    let batch = raw_batch(0, first, &vec!["v"; (next - first) as usize]);
    ledger.read(&batch.origin, &batch.raw);
}

fn counts(
    read: u64,
    written: u64,
    dead_lettered: u64,
    filtered: u64,
    skipped: u64,
    in_flight: u64,
) -> Counts {
    Counts { read, written, dead_lettered, filtered, skipped, in_flight }
}

#[test]
fn a_record_is_dead_lettered_else_written_else_filtered() {
    let ledger = ledger();
    read(&ledger, 0, 10);
    assert_eq!(ledger.totals(), counts(10, 0, 0, 0, 0, 10));
    // One of its rows was rejected, others were written.
    ledger.dead_lettered(&partition(0), 1, 3, &"a".into());
    ledger.dead_lettered(&partition(0), 1, 4, &"a".into());
    ledger.settled(WRITER, &origin(0, 10), &[0, 1, 1, 1, 3, 9]);
    assert_eq!(ledger.totals(), counts(10, 3, 2, 5, 0, 0));
}

#[test]
fn letters_are_known_until_the_fate_of_their_records_is_decided() {
    let ledger = Ledger::new("t".into(), vec![("a".into(), true), ("b".into(), true)]);
    let known = |offsets| ledger.letters(&partition(0), 1, offsets);
    let said = |offset, actor: &str| ledger.dead_lettered(&partition(0), 1, offset, &actor.into());
    read(&ledger, 0, 10);
    said(12, "early");
    read(&ledger, 10, 20);
    for (offset, actor) in [(3, "x"), (3, "x"), (3, "y"), (9, "x")] {
        said(offset, actor);
    }
    let letter = |offset: i64, actor: &str| (offset, actor.into());
    assert_eq!(known(0..20), [letter(3, "x"), letter(3, "y"), letter(9, "x"), letter(12, "early")]);
    assert_eq!(known(4..12), [letter(9, "x")]);
    ledger.settled(SinkIndex(0), &origin(0, 10), &[]);
    assert_eq!(known(0..10).len(), 3, "the other sink has yet to pass them");
    ledger.settled(SinkIndex(1), &origin(0, 10), &[]);
    assert_eq!(known(0..20), [letter(12, "early")]);
    ledger.release(&partition(0), 1);
    assert_eq!(known(0..20), []);
}

#[test]
fn what_every_deciding_sink_has_behind_it_is_decided() {
    let claim = |writer: i64, cache: i64| Claim {
        key: partition(0),
        epoch: 2,
        owner: Owner(1),
        start: writer.min(cache),
        sinks: [("writer".into(), writer), ("cache".into(), cache)].into(),
        skipped: Default::default(),
    };
    assert_eq!(ledger().decided_before(&claim(10, 4)), 10, "the cache is only healed from 4 on");
    assert_eq!(ledger().decided_before(&claim(10, 14)), 10);
    let caches = Ledger::new("t".into(), vec![("writer".into(), false), ("cache".into(), false)]);
    assert_eq!(caches.decided_before(&claim(10, 4)), 4, "where none is required, all of them decide");
}

#[test]
fn saying_anything_twice_is_saying_it_once() {
    let ledger = ledger();
    let said = |ledger: &Ledger| {
        read(ledger, 0, 10);
        ledger.dead_lettered(&partition(0), 1, 3, &"a".into());
        ledger.settled(WRITER, &origin(0, 10), &[1, 2]);
        ledger.settled(CACHE, &origin(0, 10), &[1, 2]);
    };
    said(&ledger);
    let once = ledger.rows();
    said(&ledger);
    assert_eq!(ledger.rows(), once);
    assert_eq!(ledger.totals(), counts(10, 2, 1, 7, 0, 0));
}

#[test]
fn a_batch_settled_in_parts_is_decided_when_all_parts_are() {
    let ledger = ledger();
    read(&ledger, 0, 10);
    ledger.settled(WRITER, &origin(0, 4), &[0, 2]);
    assert_eq!(ledger.totals().in_flight, 10);
    // The redelivered half overlaps.
    ledger.settled(WRITER, &origin(2, 10), &[2, 3]);
    assert_eq!(ledger.totals(), counts(10, 3, 0, 7, 0, 0));
}

#[test]
fn every_required_sink_must_have_it() {
    let both = vec![("a".into(), true), ("b".into(), true)];
    let ledger = Ledger::new("t".into(), both);
    read(&ledger, 0, 4);
    ledger.settled(SinkIndex(0), &origin(0, 4), &[0, 1]);
    assert_eq!(ledger.totals().in_flight, 4);
    ledger.settled(SinkIndex(1), &origin(0, 4), &[1, 2]);
    assert_eq!(ledger.totals(), counts(4, 3, 0, 1, 0, 0));
}

#[test]
fn a_best_effort_sink_decides_nothing_unless_there_is_no_other() {
    let ledger = ledger();
    read(&ledger, 0, 4);
    ledger.settled(CACHE, &origin(0, 4), &[0, 1]);
    assert_eq!(ledger.totals().in_flight, 4);
    let ledger = Ledger::new("t".into(), vec![("cache".into(), false)]);
    read(&ledger, 0, 4);
    ledger.settled(SinkIndex(0), &origin(0, 4), &[0, 1]);
    assert_eq!(ledger.totals(), counts(4, 2, 0, 2, 0, 0));
}

#[test]
fn a_sink_waits_only_for_the_sources_that_feed_it() {
    let sink =
        |id: &str, source: &str| SinkSpec { id: id.into(), required: true, sources: vec![source.into()] };
    let ledger = Ledger::with_sinks("t".into(), vec![sink("a", "source"), sink("b", "another")]);
    read(&ledger, 0, 4);
    ledger.settled(SinkIndex(0), &origin(0, 4), &[]);
    assert_eq!(ledger.totals().in_flight, 0);
}

#[test]
fn what_a_sink_goes_past_without_settling_is_unaccounted_until_it_comes_back() {
    let ledger = ledger();
    (0..3).for_each(|batch| read(&ledger, batch * 10, batch * 10 + 10));
    ledger.settled(WRITER, &origin(0, 10), &[]);
    ledger.settled(WRITER, &origin(20, 30), &[]);
    assert_eq!(ledger.totals(), counts(30, 0, 0, 20, 0, 0));
    assert_eq!(ledger.totals().unaccounted(), 10);
    assert_eq!(ledger.rows()[0].unaccounted, 10);
    ledger.settled(WRITER, &origin(10, 20), &[10]);
    assert_eq!(ledger.totals(), counts(30, 1, 0, 29, 0, 0));
}

#[test]
fn a_hole_within_a_batch_shows_too() {
    let ledger = ledger();
    read(&ledger, 0, 10);
    read(&ledger, 10, 20);
    ledger.settled(WRITER, &origin(0, 4), &[]);
    ledger.settled(WRITER, &origin(5, 10), &[]);
    ledger.settled(WRITER, &origin(10, 20), &[]);
    assert_eq!(ledger.totals().unaccounted(), 10);
}

#[test]
fn what_stays_unaccounted_does_not_pile_up() {
    let ledger = ledger();
    let batches = 3 * LEDGER_PASSED_RANGES_MAX as i64;
    for batch in 0..batches {
        read(&ledger, batch, batch + 1);
        if batch % 2 == 0 {
            ledger.settled(WRITER, &origin(batch, batch + 1), &[]);
        }
        ledger.settled(CACHE, &origin(batch, batch + 1), &[]);
    }
    let inner = ledger.lock();
    assert!(inner.partitions[&partition(0)].live[&1].ranges_kept() <= 2 * LEDGER_PASSED_RANGES_MAX + 2);
    drop(inner);
    assert_eq!(ledger.totals().unaccounted() as u64 + ledger.totals().in_flight, batches as u64 / 2);
}

#[test]
fn a_rejection_may_come_before_the_reading() {
    let ledger = ledger();
    read(&ledger, 0, 2);
    ledger.dead_lettered(&partition(0), 1, 3, &"a".into());
    read(&ledger, 2, 6);
    ledger.settled(WRITER, &origin(0, 2), &[]);
    ledger.settled(WRITER, &origin(2, 6), &[2, 3]);
    assert_eq!(ledger.totals(), counts(6, 1, 1, 4, 0, 0));
}

#[test]
fn skipped_records_are_part_of_the_sum() {
    let ledger = ledger();
    ledger.skipped(&partition(0), 1, 90);
    read(&ledger, 90, 100);
    assert_eq!(ledger.totals(), counts(100, 0, 0, 0, 90, 10));
    assert_eq!(ledger.totals().unaccounted(), 0);
}

#[test]
fn gaps_in_the_log_are_nobodys_loss() {
    let ledger = ledger();
    let batch = RecordsBuilder::new(0, 0).value("a").gap(5).value("b").build();
    ledger.read(&batch.origin, &batch.raw);
    read(&ledger, 50, 52);
    ledger.settled(WRITER, &batch.origin, &[0]);
    ledger.settled(WRITER, &origin(50, 52), &[]);
    assert_eq!(ledger.totals(), counts(4, 1, 0, 3, 0, 0));
}

#[tokio::test]
async fn idle_completes_when_the_last_batch_is_decided_even_an_empty_one() {
    let ledger = ledger();
    read(&ledger, 0, 2);
    let end = RecordsBuilder::new(0, 2).gap(3).build();
    ledger.read(&end.origin, &end.raw);
    let (key, other) = (partition(0), partition(1));
    assert!(ledger.idle(&other, 1).now_or_never().is_some());
    let settling = async {
        tokio::task::yield_now().await;
        ledger.settled(WRITER, &origin(0, 2), &[]);
        assert_eq!(ledger.totals().in_flight, 0);
        assert!(ledger.idle(&key, 1).now_or_never().is_none(), "its offsets are not durable yet");
        ledger.settled(WRITER, &end.origin, &[]);
    };
    tokio::join!(ledger.idle(&key, 1), settling);
    assert!(ledger.idle_everywhere(&key, 1).now_or_never().is_none(), "the cache has nothing yet");
    assert!(!ledger.is_idle());
    // Settling the later one says that it will not come back to the earlier.
    ledger.settled(CACHE, &end.origin, &[]);
    assert!(ledger.idle_everywhere(&key, 1).now_or_never().is_some());
    assert!(ledger.is_idle());
}

#[test]
fn a_full_branch_passes_over_where_no_sink_is_required() {
    let ledger = Ledger::new("t".into(), vec![("cache".into(), false)]);
    read(&ledger, 0, 4);
    ledger.dead_lettered(&partition(0), 1, 0, &"a".into());
    ledger.passed_over(SinkIndex(0), &origin(0, 4), 4);
    assert_eq!(ledger.totals(), counts(4, 0, 1, 0, 3, 0));
}

#[test]
fn positions_are_the_end_of_what_is_settled_without_a_gap() {
    let ledger = ledger();
    read(&ledger, 5, 10);
    read(&ledger, 10, 20);
    let next = |ledger: &Ledger| ledger.positions().iter().map(|at| at.next).collect::<Vec<_>>();
    assert_eq!(next(&ledger), [5, 5]);
    ledger.settled(WRITER, &origin(5, 10), &[]);
    ledger.settled(WRITER, &origin(10, 12), &[]);
    assert_eq!(next(&ledger), [12, 5]);
    ledger.settled(WRITER, &origin(12, 20), &[]);
    ledger.settled(CACHE, &origin(5, 20), &[]);
    assert_eq!(next(&ledger), [20, 20]);
}

#[test]
fn a_newer_claim_takes_back_what_the_older_had_not_decided() {
    let ledger = ledger();
    read(&ledger, 0, 10);
    ledger.settled(WRITER, &origin(0, 10), &[0]);
    read(&ledger, 10, 20);
    let again = RecordsBuilder::new(0, 10).epoch(2).value("v").build();
    ledger.read(&again.origin, &again.raw);
    // The words of the old claim count no more.
    ledger.settled(WRITER, &origin(10, 20), &[10]);
    ledger.dead_lettered(&partition(0), 1, 11, &"a".into());
    let lines: Vec<_> = ledger.rows().into_iter().map(|row| (row.epoch, row.read, row.in_flight)).collect();
    assert_eq!(lines, [(1, 10, 0), (2, 1, 1)]);
}

#[test]
fn released_claims_keep_their_totals_in_a_bounded_number_of_lines() {
    let ledger = ledger();
    let epochs = 3 * LEDGER_EPOCHS_KEPT_MAX as i64;
    for epoch in 1..=epochs {
        let batch = RecordsBuilder::new(0, epoch).epoch(epoch).value("v").build();
        ledger.read(&batch.origin, &batch.raw);
        ledger.settled(WRITER, &batch.origin, &[epoch]);
        ledger.release(&partition(0), epoch);
    }
    assert_eq!(ledger.rows().len(), LEDGER_EPOCHS_KEPT_MAX);
    assert_eq!(ledger.totals(), counts(epochs as u64, epochs as u64, 0, 0, 0, 0));
    assert!(ledger.is_idle());
}

#[tokio::test]
async fn releasing_a_claim_wakes_who_waits_for_it() {
    let ledger = ledger();
    read(&ledger, 0, 2);
    let key = partition(0);
    let releasing = async {
        tokio::task::yield_now().await;
        ledger.release(&key, 1);
    };
    tokio::join!(ledger.idle(&key, 1), releasing);
}

/// Something that happens to a partition whose batches cover ten offsets each.
#[derive(Clone, Debug)]
enum Event {
    Read,
    /// The sink settles its next batch, whole or in two parts, perhaps again.
    Settle {
        sink: usize,
        cut: i64,
        again: bool,
    },
    Reject {
        offset: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Read),
        (0usize..3, 0i64..10, any::<bool>()).prop_map(|(sink, cut, again)| Event::Settle {
            sink,
            cut,
            again
        }),
        (0i64..60).prop_map(|offset| Event::Reject { offset }),
    ]
}

proptest! {
    /// Two required sinks and a best-effort one; the second required sink writes every third record, the first every
    /// second. The ledger must agree with sets of offsets.
    #[test]
    fn the_sum_holds_at_every_step_and_the_fates_are_exact(events in prop::collection::vec(event(), 0..60)) {
        let sinks = vec![("a".into(), true), ("b".into(), true), ("c".into(), false)];
        let ledger = Ledger::new("t".into(), sinks);
        read(&ledger, 0, 10);
        let mut end = 10;
        let mut settled = [0i64; 3];
        let mut rejected = BTreeSet::new();
        for event in events {
            match event {
                Event::Read => {
                    read(&ledger, end, end + 10);
                    end += 10;
                }
                // A required branch rejects before its sink settles, so nothing decided is rejected later.
                Event::Reject { offset } if offset >= settled[0].min(settled[1]) => {
                    ledger.dead_lettered(&partition(0), 1, offset, &"a".into());
                    rejected.insert(offset);
                }
                Event::Settle { sink, cut, again } if settled[sink] < end => {
                    let first = settled[sink];
                    let writes = |from: i64, to: i64| (from..to).filter(|at| at % (sink as i64 + 2) == 0).collect::<Vec<_>>();
                    let mut parts = vec![(first, first + cut), (first + cut, first + 10)];
                    if again {
                        parts.push((first + cut / 2, first + 10));
                    }
                    for (from, to) in parts {
                        ledger.settled(SinkIndex(sink), &origin(from, to), &writes(from, to));
                    }
                    settled[sink] += 10;
                }
                _ => {}
            }
            prop_assert_eq!(ledger.totals().unaccounted(), 0);
        }
        let decided = settled[0].min(settled[1]);
        let dead = rejected.iter().filter(|offset| **offset < decided).count() as u64;
        let written = (0..decided)
            .filter(|at| (at % 2 == 0 || at % 3 == 0) && !rejected.contains(at))
            .count() as u64;
        let expected = counts(end as u64, written, dead, decided as u64 - dead - written, 0, (end - decided) as u64);
        prop_assert_eq!(ledger.totals(), expected);
        let sum: u64 = ledger.rows().iter().map(|row: &LedgerRow| row.read).sum();
        prop_assert_eq!(sum, end as u64);
    }
}
