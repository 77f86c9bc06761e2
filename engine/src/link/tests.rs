//! What a link promises, one behaviour a test. Lost wake-ups are loom's business, see `model`.

use super::protocol::Bounds;
use super::{Crash, Lease, Link, Receiver, Sender, TryPushError};
use crate::batch::Batch;
use crate::invariants::probation_crashes_max;
use crate::limits::{CONDEMNED_MAX, DELIVERIES_MAX};
use crate::testing::{RecordsBuilder, raw_batch};
use futures::FutureExt;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

fn link(batches: usize, bytes: usize) -> (Arc<Link>, Sender, Receiver) {
    let link = Link::new(Bounds { batches, bytes });
    let (sender, receiver) = (link.sender(), link.receiver());
    (link, sender, receiver)
}

fn wide() -> (Arc<Link>, Sender, Receiver) {
    link(64, 1 << 20)
}

/// `records` records of partition 0 from `first` on.
fn batch(first: i64, records: usize) -> Batch {
    raw_batch(0, first, &vec!["v"; records])
}

fn range(lease: &Lease) -> (i64, i64) {
    (lease.origin.first, lease.origin.next)
}

fn is_full(result: Result<(), TryPushError>) -> bool {
    matches!(result, Err(TryPushError::Full(_)))
}

#[test]
fn leased_batches_count_until_settled() {
    let (link, sender, mut receiver) = link(2, 1 << 20);
    sender.try_push(batch(0, 1)).unwrap();
    sender.try_push(batch(1, 1)).unwrap();
    let lease = receiver.try_lease().unwrap();
    assert!(is_full(sender.try_push(batch(2, 1))));
    assert_eq!((link.fill().batches, link.leased()), (2, 1));
    lease.settle();
    sender.try_push(batch(2, 1)).unwrap();
}

#[test]
fn bytes_are_bounded_and_a_batch_above_the_bound_enters_an_empty_link_alone() {
    let weight = batch(0, 1).bytes();
    let (link, sender, mut receiver) = link(64, 3 * weight);
    sender.try_push(batch(0, 2)).unwrap();
    assert!(is_full(sender.try_push(batch(2, 2))));
    sender.try_push(batch(2, 1)).unwrap();
    assert_eq!(link.fill().bytes, 3 * weight);
    for _ in 0..2 {
        assert!(is_full(sender.try_push(batch(3, 9))));
        receiver.try_lease().unwrap().settle();
    }
    sender.try_push(batch(3, 9)).unwrap();
    assert!(is_full(sender.try_push(batch(12, 1))));
    assert_eq!(link.fill().ratio, 1.0);
}

#[test]
fn what_was_sent_before_is_dropped_and_what_straddles_is_sliced() {
    let (link, sender, mut receiver) = wide();
    sender.try_push(batch(0, 4)).unwrap();
    sender.try_push(batch(0, 4)).unwrap();
    sender.try_push(batch(1, 2)).unwrap();
    // A successor knows nothing of it, the link does.
    link.sender().try_push(batch(2, 6)).unwrap();
    assert_eq!(range(&receiver.try_lease().unwrap()), (0, 4));
    let leases: Vec<_> = std::iter::from_fn(|| receiver.try_lease()).collect();
    let _ = link.receiver();
    assert_eq!(leases.iter().map(range).collect::<Vec<_>>(), [(0, 4), (4, 8)]);
    assert_eq!(leases[1].raw.len(), 4);
    assert_eq!(link.entered(), 8, "each record once, whatever was sent or delivered again");
}

#[test]
fn partitions_are_told_apart_and_older_epochs_are_dropped() {
    let (_link, sender, mut receiver) = wide();
    let of = |partition, first, epoch| {
        RecordsBuilder::new(partition, first).epoch(epoch).value("v").value("v").build()
    };
    sender.try_push(of(0, 10, 1)).unwrap();
    sender.try_push(of(1, 10, 1)).unwrap();
    // A newer claim begins again, lower.
    sender.try_push(of(0, 4, 2)).unwrap();
    sender.try_push(of(0, 12, 1)).unwrap();
    let leases: Vec<_> = std::iter::from_fn(|| receiver.try_lease()).collect();
    let seen = |lease: &Lease| (lease.origin.key.partition, lease.origin.first, lease.origin.epoch);
    assert_eq!(leases.iter().map(seen).collect::<Vec<_>>(), [(0, 10, 1), (1, 10, 1), (0, 4, 2)]);
}

#[test]
fn a_batch_refused_for_want_of_room_is_not_remembered_as_sent() {
    let (_link, sender, mut receiver) = link(1, 1 << 20);
    sender.try_push(batch(0, 1)).unwrap();
    assert!(is_full(sender.try_push(batch(1, 1))));
    receiver.try_lease().unwrap().settle();
    sender.try_push(batch(1, 1)).unwrap();
    assert_eq!(range(&receiver.try_lease().unwrap()), (1, 2));
}

#[test]
fn a_closed_link_takes_nothing_and_ends_once_nothing_is_left_to_lease() {
    let (link, sender, mut receiver) = wide();
    sender.try_push(batch(0, 1)).unwrap();
    sender.close();
    assert!(matches!(sender.try_push(batch(1, 1)), Err(TryPushError::Closed(_))));
    let lease = receiver.lease().now_or_never().unwrap().unwrap();
    // In data order: the reader flushes what it holds when it hears of the end.
    assert!(receiver.lease().now_or_never().unwrap().is_none());
    assert!(!link.is_finished());
    drop(lease);
    receiver.lease().now_or_never().unwrap().unwrap().settle();
    assert!(link.is_finished());
}

#[test]
fn a_replaced_sender_sends_and_closes_in_vain() {
    let (link, old, mut receiver) = wide();
    let new = link.sender();
    assert!(matches!(old.try_push(batch(0, 1)), Err(TryPushError::Closed(_))));
    old.close();
    new.try_push(batch(0, 1)).unwrap();
    assert_eq!(range(&receiver.try_lease().unwrap()), (0, 1));
}

#[test]
fn a_replaced_receiver_settles_in_vain_and_its_leases_come_again_in_order() {
    let (link, sender, mut old) = wide();
    (0..4).for_each(|first| sender.try_push(batch(first, 1)).unwrap());
    let mut held: Vec<_> = (0..3).map(|_| old.try_lease().unwrap()).collect();
    held.remove(1).settle();
    let mut new = link.receiver();
    held.remove(0).settle();
    drop(held);
    assert!(old.try_lease().is_none());
    assert!(old.lease().now_or_never().unwrap().is_none(), "cut off");
    let again: Vec<_> = std::iter::from_fn(|| new.try_lease()).collect();
    assert_eq!(again.iter().map(range).collect::<Vec<_>>(), [(0, 1), (2, 3), (3, 4)]);
    again.into_iter().for_each(Lease::settle);
    assert!(link.is_empty() && link.fill().bytes == 0);
}

#[test]
fn a_lease_dropped_unsettled_is_delivered_again_first() {
    let (_link, sender, mut receiver) = wide();
    (0..3).for_each(|first| sender.try_push(batch(first, 1)).unwrap());
    let first = receiver.try_lease().unwrap();
    let second = receiver.try_lease().unwrap();
    drop(first);
    assert_eq!(range(&receiver.try_lease().unwrap()), (0, 1));
    second.settle();
}

#[test]
fn only_its_own_crashes_put_a_batch_on_probation() {
    let (link, sender, _receiver) = wide();
    sender.try_push(batch(0, 8)).unwrap();
    for _ in 0..10 * DELIVERIES_MAX {
        // Restarted by a sibling, the watchdog, an operator.
        let _lease = link.receiver().try_lease().unwrap();
    }
    let _ = link.receiver();
    assert!(link.receiver_crashed("before it leased anything").counts());
    for crash in 1..=DELIVERIES_MAX {
        assert!(!link.on_probation(), "not before crash {crash}");
        let lease = link.receiver().try_lease().unwrap();
        // Unwinding drops the lease before the host hears of the crash.
        drop(lease);
        assert!(link.receiver_crashed("boom").counts());
    }
    assert!(link.on_probation());
}

#[test]
fn a_batch_that_was_not_on_lease_in_the_crash_is_not_suspected() {
    let (link, sender, _receiver) = wide();
    sender.try_push(batch(0, 2)).unwrap();
    for _ in 0..DELIVERIES_MAX {
        let _lease = link.receiver().try_lease().unwrap();
        link.receiver_crashed("boom");
    }
    sender.try_push(batch(2, 2)).unwrap();
    let mut receiver = link.receiver();
    let suspect = receiver.try_lease().unwrap();
    assert!(receiver.try_lease().is_none(), "a suspect is delivered alone");
    suspect.settle();
    assert!(!link.on_probation());
    assert_eq!(range(&receiver.try_lease().unwrap()), (2, 4));
}

#[test]
fn a_waiting_receiver_gets_the_next_suspect_once_the_one_before_is_settled() {
    let (link, sender, _receiver) = wide();
    (0..2).for_each(|first| sender.try_push(batch(first, 1)).unwrap());
    for _ in 0..DELIVERIES_MAX {
        let mut receiver = link.receiver();
        let _leases = (receiver.try_lease().unwrap(), receiver.try_lease().unwrap());
        link.receiver_crashed("boom");
    }
    let mut receiver = link.receiver();
    let first = receiver.try_lease().unwrap();
    let (waker, woken) = futures_test_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(receiver.poll_lease(&mut cx).is_pending());
    first.settle();
    assert!(woken.load(std::sync::atomic::Ordering::SeqCst));
    assert_eq!(range(&receiver.try_lease().unwrap()), (1, 2));
}

#[test]
fn the_culprit_is_condemned_and_its_batch_goes_on_without_it() {
    let (link, sender, _receiver) = wide();
    sender.try_push(batch(7, 1)).unwrap();
    let crash = || {
        let _lease = link.receiver().try_lease().unwrap();
        link.receiver_crashed("index out of bounds")
    };
    (0..DELIVERIES_MAX).for_each(|_| assert!(crash().counts()));
    match crash() {
        Crash::Condemned { batch, offset, message } => {
            assert_eq!((offset, &*message), (7, "index out of bounds"));
            assert_eq!(batch.raw.value(0), Some(&b"v"[..]));
        }
        other => panic!("{other:?}"),
    }
    assert!(!link.on_probation());
    let lease = link.receiver().try_lease().unwrap();
    assert_eq!((range(&lease), lease.raw.len()), ((7, 8), 0));
    assert_eq!(link.fill().bytes, 0);
    // Nothing is left to blame in it: its further crashes are the actor's.
    drop(lease);
    let _lease = link.receiver().try_lease().unwrap();
    assert!(link.receiver_crashed("boom").counts());
}

#[test]
fn an_actor_that_every_record_kills_is_itself_at_fault() {
    let records = 4 * CONDEMNED_MAX as usize;
    let run = crash_until_done(vec![batch(0, records)], &(0..records as i64).collect(), 1);
    assert_eq!(run.condemned.len(), records);
    assert!(run.counted > DELIVERIES_MAX as u64, "its supervisor hears of it");
}

/// What became of some batches in the hands of an actor that dies of some records.
#[derive(Debug, Default)]
struct Run {
    settled: Vec<i64>,
    ranges: Vec<(i64, i64)>,
    condemned: Vec<i64>,
    counted: u64,
    on_probation: u64,
}

/// Delivers `batches` to receivers that hold up to `held` of them at a time and die of the records in `poison`, until
/// all is settled.
fn crash_until_done(batches: Vec<Batch>, poison: &BTreeSet<i64>, held: usize) -> Run {
    let link = Link::new(Bounds { batches: batches.len() + 64, bytes: 1 << 30 });
    let sender = link.sender();
    batches.into_iter().for_each(|batch| sender.try_push(batch).unwrap());
    sender.close();
    let mut run = Run::default();
    loop {
        let mut receiver = link.receiver();
        match live(&mut receiver, poison, held, &mut run) {
            Life::Finished => break,
            Life::Crashed => {}
        }
        match link.receiver_crashed("poison") {
            Crash::Count => run.counted += 1,
            Crash::Probation => run.on_probation += 1,
            Crash::Condemned { offset, .. } => {
                run.on_probation += 1;
                run.condemned.push(offset);
            }
        }
    }
    assert!(link.is_finished() && !link.on_probation());
    assert_eq!(link.fill().bytes, 0);
    run
}

enum Life {
    Finished,
    Crashed,
}

/// One life of that receiver.
fn live(receiver: &mut Receiver, poison: &BTreeSet<i64>, held: usize, run: &mut Run) -> Life {
    loop {
        let mut leases = Vec::new();
        while leases.len() < held {
            match receiver.try_lease() {
                Some(lease) => leases.push(lease),
                None => break,
            }
        }
        if leases.is_empty() {
            return Life::Finished;
        }
        let dies = |lease: &Lease| lease.raw.offsets.values().iter().any(|offset| poison.contains(offset));
        if leases.iter().any(dies) {
            return Life::Crashed;
        }
        for lease in leases {
            run.settled.extend(lease.raw.offsets.values());
            run.ranges.push(range(&lease));
            lease.settle();
        }
    }
}

/// As `batch`, under that claim.
fn batch_of(epoch: i64, first: i64, records: usize) -> Batch {
    let mut batch = batch(first, records);
    batch.origin.epoch = epoch;
    batch
}

#[test]
fn what_spoke_against_a_dropped_batch_speaks_against_its_records_when_they_come_again() {
    let (link, sender, mut receiver) = wide();
    // A source that is restarted with its reader claims anew each time: no batch is delivered twice.
    for epoch in 1..=i64::from(DELIVERIES_MAX) {
        sender.try_push(batch_of(epoch, 0, 4)).unwrap();
        let lease = receiver.try_lease().unwrap();
        assert!(link.receiver_crashed("boom").counts());
        drop(lease);
        receiver = link.receiver();
        receiver.try_lease().unwrap().discard();
    }
    assert!(link.is_empty() && !link.on_probation(), "what is dropped is no suspect");
    sender.try_push(batch_of(9, 0, 6)).unwrap();
    sender.try_push(batch_of(9, 6, 1)).unwrap();
    let lease = receiver.try_lease().unwrap();
    assert!(link.on_probation() && receiver.try_lease().is_none(), "it is delivered alone");
    lease.settle();
    assert!(!link.on_probation());
    receiver.try_lease().unwrap().settle();
    sender.try_push(batch_of(10, 0, 6)).unwrap();
    let _lease = receiver.try_lease().unwrap();
    assert!(!link.on_probation(), "it was settled since: nothing speaks against it");
}

#[test]
fn a_condemned_record_that_comes_again_because_its_batch_was_dropped_is_condemned_again_at_once() {
    let (link, sender, mut receiver) = wide();
    let crashed = |receiver: &mut Receiver| {
        let lease = receiver.try_lease().unwrap();
        let crash = link.receiver_crashed("boom");
        drop(lease);
        *receiver = link.receiver();
        crash
    };
    sender.try_push(batch_of(1, 7, 1)).unwrap();
    for _ in 0..DELIVERIES_MAX {
        assert!(crashed(&mut receiver).counts());
    }
    // The last of them felled the source, too. Before it has claimed anew, the old batch is tried once more.
    assert!(matches!(crashed(&mut receiver), Crash::Condemned { offset: 7, .. }));
    receiver.try_lease().unwrap().discard();
    sender.try_push(batch_of(2, 5, 4)).unwrap();
    // Were these counted, they would fell the source again, and so for ever.
    assert!(matches!(crashed(&mut receiver), Crash::Probation), "5..9 is cut");
    receiver.try_lease().unwrap().settle();
    assert!(matches!(crashed(&mut receiver), Crash::Probation), "7..9 is cut");
    assert!(matches!(crashed(&mut receiver), Crash::Condemned { offset: 7, .. }));
    while let Some(lease) = receiver.try_lease() {
        lease.settle();
    }
    sender.try_push(batch_of(3, 7, 1)).unwrap();
    let _lease = receiver.try_lease().unwrap();
    assert!(!link.on_probation(), "it was settled without the record: nothing speaks against it");
}

proptest! {
    #[test]
    fn one_culprit_is_found_within_the_bound_and_all_others_pass_once_in_order(
        records in 1usize..600, at in any::<prop::sample::Index>(), before in 0usize..3, held in 1usize..4,
    ) {
        let mut batches: Vec<_> = (0..before).map(|index| batch(index as i64 * 10, 10)).collect();
        let first = before as i64 * 10;
        batches.push(batch(first, records));
        let end = first + records as i64;
        batches.push(batch(end, 5));
        let culprit = first + at.index(records) as i64;
        let run = crash_until_done(batches, &BTreeSet::from([culprit]), held);
        prop_assert_eq!(&run.condemned, &[culprit]);
        prop_assert_eq!(run.counted, u64::from(DELIVERIES_MAX));
        prop_assert!(run.on_probation <= probation_crashes_max(records as u64));
        let expected: Vec<_> = (0..end + 5).filter(|offset| *offset != culprit).collect();
        prop_assert_eq!(&run.settled, &expected);
        prop_assert_eq!(crate::invariants::gap_in_settlements(0, &run.ranges), None);
    }

    #[test]
    fn several_culprits_are_all_found_each_within_the_bound(
        records in 2usize..300, poison in prop::collection::btree_set(0i64..300, 0..5), held in 1usize..4,
    ) {
        let poison: BTreeSet<_> = poison.into_iter().filter(|offset| *offset < records as i64).collect();
        let half = records / 2;
        let run = crash_until_done(vec![batch(0, half), batch(half as i64, records - half)], &poison, held);
        prop_assert_eq!(run.condemned.iter().copied().collect::<BTreeSet<_>>(), poison.clone());
        prop_assert!(run.on_probation <= poison.len() as u64 * probation_crashes_max(records as u64));
        let expected: Vec<_> = (0..records as i64).filter(|offset| !poison.contains(offset)).collect();
        prop_assert_eq!(&run.settled, &expected);
    }
}

/// A waker that says whether it was woken.
fn futures_test_waker() -> (std::task::Waker, Arc<std::sync::atomic::AtomicBool>) {
    struct Flag(Arc<std::sync::atomic::AtomicBool>);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let woken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    (std::task::Waker::from(Arc::new(Flag(woken.clone()))), woken)
}
