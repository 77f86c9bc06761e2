//! What the ports promise, one behaviour a test.

use super::{Edge, EdgeMeter, Inputs, Outputs};
use crate::batch::Batch;
use crate::claim::{Claim, Claims, Owner};
use crate::class::Class;
use crate::clock::Clock;
use crate::ledger::{Ledger, SinkIndex};
use crate::limits::{BEST_EFFORT_WAIT_MAX, DELIVERIES_MAX};
use crate::link::Bounds;
use crate::link::{Lease, Link, Sender, TryPushError};
use crate::status::Status;
use crate::testing::{RecordsBuilder, partition, raw_batch};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;

fn link(batches: usize) -> Arc<Link> {
    Link::new(Bounds { batches, bytes: 1 << 20 })
}

fn inputs(links: &[Arc<Link>]) -> Inputs {
    Inputs::new(links.iter().map(Link::receiver).collect())
}

fn one(partition: i32, first: i64) -> Batch {
    raw_batch(partition, first, &["v"])
}

fn status() -> Status {
    Status::new(Clock::system())
}

fn place(lease: &Lease) -> (i32, i64) {
    (lease.origin.key.partition, lease.origin.first)
}

fn claim(epoch: i64) -> Claims {
    let claims = Claims::default();
    let (sinks, skipped) = Default::default();
    claims.insert(Claim { key: partition(0), epoch, owner: Owner(1), start: 0, sinks, skipped });
    claims
}

/// What is in a link, settled.
fn taken(link: &Arc<Link>) -> Vec<i64> {
    let mut receiver = link.receiver();
    let mut firsts = Vec::new();
    while let Some(lease) = receiver.try_lease() {
        firsts.push(lease.origin.first);
        lease.settle();
    }
    firsts
}

#[tokio::test]
async fn a_busy_input_does_not_starve_the_other() {
    let links = [link(8), link(8)];
    let (busy, quiet) = (links[0].sender(), links[1].sender());
    (0..4).for_each(|first| busy.try_push(one(0, first)).unwrap());
    quiet.try_push(one(1, 0)).unwrap();
    let (mut inputs, claims) = (inputs(&links), Claims::default());
    let seen: Vec<_> = std::iter::from_fn(|| inputs.try_lease(&claims)).collect();
    assert_eq!(seen.iter().map(place).collect::<Vec<_>>(), [(0, 0), (1, 0), (0, 1), (0, 2), (0, 3)]);
}

#[tokio::test]
async fn the_inputs_end_when_all_are_closed_and_empty() {
    let links = [link(8), link(8)];
    let senders: Vec<Sender> = links.iter().map(Link::sender).collect();
    let (mut inputs, claims, status) = (inputs(&links), Claims::default(), status());
    senders[0].close();
    assert!(inputs.lease(&claims, &status).now_or_never().is_none(), "the other may still send");
    senders[1].try_push(one(1, 0)).unwrap();
    senders[1].close();
    inputs.lease(&claims, &status).await.unwrap().settle();
    assert!(inputs.lease(&claims, &status).await.is_none());
}

#[tokio::test]
async fn a_stop_ends_a_waiting_lease() {
    let links = [link(8)];
    let (mut inputs, claims, status) = (inputs(&links), Claims::default(), status());
    let sender = links[0].sender();
    let asking = async {
        tokio::task::yield_now().await;
        status.ask_stop();
    };
    let (lease, ()) = tokio::join!(inputs.lease(&claims, &status), asking);
    assert!(lease.is_none());
    sender.try_push(one(0, 0)).unwrap();
    assert!(inputs.lease(&claims, &status).await.is_none(), "nothing new is begun after a stop");
}

#[tokio::test]
async fn a_cancelled_lease_takes_nothing() {
    let links = [link(8)];
    let (mut inputs, claims, status) = (inputs(&links), Claims::default(), status());
    assert!(inputs.lease(&claims, &status).now_or_never().is_none());
    links[0].sender().try_push(one(0, 0)).unwrap();
    assert_eq!(links[0].leased(), 0);
    assert_eq!(place(&inputs.lease(&claims, &status).await.unwrap()), (0, 0));
}

#[tokio::test]
async fn batches_of_an_older_claim_are_dropped_and_leave_the_link() {
    let links = [link(8)];
    let sender = links[0].sender();
    sender.try_push(RecordsBuilder::new(0, 0).epoch(1).value("old").build()).unwrap();
    sender.try_push(RecordsBuilder::new(0, 0).epoch(2).value("new").build()).unwrap();
    let (mut inputs, claims, status) = (inputs(&links), claim(2), status());
    let lease = inputs.lease(&claims, &status).await.unwrap();
    assert_eq!(lease.raw.value(0), Some(&b"new"[..]));
    lease.settle();
    assert!(links[0].is_empty());
}

#[tokio::test]
async fn a_suspect_waits_until_nothing_else_is_on_lease_from_any_input() {
    let links = [link(8), link(8)];
    let senders: Vec<Sender> = links.iter().map(Link::sender).collect();
    senders[0].try_push(one(0, 0)).unwrap();
    (0..2).for_each(|first| senders[1].try_push(one(1, first)).unwrap());
    for _ in 0..DELIVERIES_MAX {
        let _lease = links[0].receiver().try_lease().unwrap();
        links[0].receiver_crashed("boom");
    }
    let (mut inputs, claims, status) = (inputs(&links), Claims::default(), status());
    let mut innocent = links[1].receiver();
    let other = innocent.try_lease().unwrap();
    assert!(inputs.lease(&claims, &status).now_or_never().is_none());
    other.settle();
    let suspect = inputs.lease(&claims, &status).await.unwrap();
    assert_eq!(place(&suspect), (0, 0));
    assert!(inputs.try_lease(&claims).is_none(), "alone");
    suspect.settle();
    inputs = Inputs::new(links.iter().map(Link::receiver).collect());
    assert_eq!(place(&inputs.lease(&claims, &status).await.unwrap()), (1, 1));
}

#[tokio::test]
async fn a_stale_suspect_does_not_stop_the_other_inputs() {
    let links = [link(8), link(8)];
    links[0].sender().try_push(one(0, 0)).unwrap();
    links[1].sender().try_push(one(1, 0)).unwrap();
    for _ in 0..DELIVERIES_MAX {
        let _lease = links[0].receiver().try_lease().unwrap();
        links[0].receiver_crashed("boom");
    }
    let (mut inputs, claims, status) = (inputs(&links), claim(2), status());
    assert_eq!(place(&inputs.lease(&claims, &status).await.unwrap()), (1, 0));
}

#[tokio::test]
async fn every_edge_gets_every_batch_and_a_partition_keeps_to_its_clone() {
    let (a, b0, b1) = (link(8), link(8), link(8));
    let clones = Edge::new(vec![b0.sender(), b1.sender()], false);
    let mut outputs = Outputs::new(vec![Edge::new(vec![a.sender()], false), clones]);
    for (partition, first) in [(0, 0), (1, 0), (0, 1), (3, 7)] {
        outputs.push(one(partition, first), &Clock::system(), &status()).await.unwrap();
    }
    assert_eq!((taken(&a), taken(&b0), taken(&b1)), (vec![0, 0, 1, 7], vec![0, 1], vec![0, 7]));
}

#[tokio::test]
async fn a_full_edge_delays_no_other_and_a_stop_ends_the_wait() {
    let (full, other) = (link(1), link(8));
    let edges = [&full, &other].map(|link| Edge::new(vec![link.sender()], false));
    let (mut outputs, clock, status) = (Outputs::new(edges.into()), Clock::system(), status());
    outputs.push(one(0, 0), &clock, &status).await.unwrap();
    let asking = async {
        tokio::task::yield_now().await;
        assert!(status.is_blocked());
        status.ask_stop();
    };
    let (pushed, ()) = tokio::join!(outputs.push(one(0, 1), &clock, &status), asking);
    assert_eq!(pushed.unwrap_err().class, Class::Transient);
    assert_eq!(taken(&other), [0, 1]);
    // The next of the actor's generations sends it again; the edge that has it knows.
    taken(&full);
    outputs.push(one(0, 1), &clock, &status).await.unwrap();
    assert_eq!((taken(&full), taken(&other)), (vec![1], vec![]));
}

/// Whoever waits for room first is not stopped half way: nothing has gone out yet, or everything does.
#[tokio::test(start_paused = true)]
async fn room_is_waited_for_before_anything_goes_out() {
    let (free, full) = (link(8), link(1));
    full.sender().try_push(one(0, 0)).unwrap();
    let edge = |link: &Arc<Link>| Edge::new(vec![link.sender()], false);
    let mut outputs = Outputs::new(vec![edge(&free), edge(&full)]);
    let (clock, status) = (Clock::system(), status());
    let batch = one(0, 1);
    assert!(outputs.room(&batch, &status).now_or_never().is_none());
    assert!(!status.is_blocked(), "a wait that was given up blocks nobody");
    let asking = async {
        clock.sleep(Duration::from_secs(1)).await;
        status.ask_stop();
    };
    let (room, ()) = tokio::join!(outputs.room(&batch, &status), asking);
    assert!(room.is_err() && free.is_empty());
    assert_eq!(taken(&full), [0]);
    outputs.room(&batch, &status).await.unwrap();
    outputs.push(batch.clone(), &clock, &status).now_or_never().unwrap().unwrap();
    assert_eq!(full.fill().ratio, 1.0);
    outputs.room(&batch, &status).await.expect("the links have had it");
}

#[tokio::test(start_paused = true)]
async fn a_required_edge_waits_as_long_as_it_takes_and_says_how_long() {
    let link = link(1);
    let edge = Edge::new(vec![link.sender()], false);
    let meter = edge.meter().clone();
    let (mut outputs, clock, status) = (Outputs::new(vec![edge]), Clock::system(), status());
    outputs.push(one(0, 0), &clock, &status).await.unwrap();
    let settling = async {
        clock.sleep(Duration::from_secs(60)).await;
        assert!(meter.is_blocked());
        assert_eq!(meter.blocked(clock.now()), Duration::from_secs(60));
        taken(&link)
    };
    let (pushed, _) = tokio::join!(outputs.push(one(0, 1), &clock, &status), settling);
    pushed.unwrap();
    clock.sleep(Duration::from_secs(5)).await;
    assert_eq!((meter.blocked(clock.now()), meter.is_blocked()), (Duration::from_secs(60), false));
    assert_eq!(meter.passed_over_records(), 0);
}

#[tokio::test]
async fn outputs_that_go_away_are_not_blocked_any_more() {
    let link = link(1);
    let edge = Edge::new(vec![link.sender()], false);
    let meter = edge.meter().clone();
    let mut outputs = Outputs::new(vec![edge]);
    outputs.try_push(one(0, 0)).unwrap();
    assert!(outputs.push(one(0, 1), &Clock::system(), &status()).now_or_never().is_none());
    assert!(meter.is_blocked());
    drop(outputs);
    assert!(!meter.is_blocked());
}

/// A best-effort edge into a link of four batches, and a ledger with a required and that best-effort sink.
fn best_effort() -> (Arc<Link>, Arc<EdgeMeter>, Ledger, Outputs) {
    let link = link(4);
    let ledger = Ledger::new("t".into(), vec![("writer".into(), true), ("cache".into(), false)]);
    let edge = Edge::new(vec![link.sender()], true).telling(ledger.clone(), vec![SinkIndex(1)]);
    (link, edge.meter().clone(), ledger, Outputs::new(vec![edge]))
}

#[tokio::test(start_paused = true)]
async fn an_overflowing_best_effort_edge_costs_one_short_wait_until_it_has_recovered() {
    let (link, meter, _, mut outputs) = best_effort();
    let (clock, status) = (Clock::system(), status());
    let begun = clock.now();
    for first in 0..20 {
        outputs.push(one(0, first), &clock, &status).await.unwrap();
    }
    let waited = clock.now().duration_since(begun);
    assert!(waited >= BEST_EFFORT_WAIT_MAX && waited < BEST_EFFORT_WAIT_MAX * 2, "{waited:?}");
    assert_eq!(meter.passed_over_records(), 16);
    // Room for one is not recovery.
    let mut receiver = link.receiver();
    receiver.try_lease().unwrap().settle();
    outputs.push(one(0, 20), &clock, &status).await.unwrap();
    assert_eq!(meter.passed_over_records(), 17);
    (0..2).for_each(|_| receiver.try_lease().unwrap().settle());
    outputs.push(one(0, 21), &clock, &status).await.unwrap();
    assert_eq!((meter.passed_over_records(), taken(&link)), (17, vec![3, 21]));
}

#[tokio::test(start_paused = true)]
async fn many_short_waits_are_one_overflow() {
    let (link, meter, _, mut outputs) = best_effort();
    let (clock, status) = (Clock::system(), status());
    (0..4).for_each(|first| outputs.try_push(one(0, first)).unwrap());
    let mut receiver = link.receiver();
    let begun = clock.now();
    for first in 4..24 {
        let settling = async {
            clock.sleep(BEST_EFFORT_WAIT_MAX / 5).await;
            receiver.try_lease().map(Lease::settle)
        };
        let (pushed, _) = tokio::join!(outputs.push(one(0, first), &clock, &status), settling);
        pushed.unwrap();
        if meter.passed_over_records() > 0 {
            break;
        }
    }
    assert!(meter.passed_over_records() > 0);
    assert!(meter.blocked(clock.now()) <= BEST_EFFORT_WAIT_MAX + BEST_EFFORT_WAIT_MAX / 5);
    assert!(clock.now().duration_since(begun) < BEST_EFFORT_WAIT_MAX * 2);
}

#[tokio::test(start_paused = true)]
async fn a_polling_source_waits_for_a_best_effort_edge_as_briefly() {
    let (_link, meter, _, mut outputs) = best_effort();
    let clock = Clock::system();
    (0..4).for_each(|first| outputs.try_push(one(0, first)).unwrap());
    let begun = clock.now();
    while let Err(TryPushError::Full(_)) = outputs.try_push(one(0, 4)) {
        clock.sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(clock.now().duration_since(begun), BEST_EFFORT_WAIT_MAX);
    assert_eq!(meter.passed_over_records(), 1);
    // Offered again because another edge was full: counted once.
    outputs.try_push(one(0, 4)).unwrap();
    assert_eq!(meter.passed_over_records(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_hears_of_what_is_passed_over() {
    let (_link, _, ledger, mut outputs) = best_effort();
    for first in 0..6 {
        let batch = one(0, first);
        ledger.read(&batch.origin, &batch.raw);
        outputs.push(batch.clone(), &Clock::system(), &status()).await.unwrap();
        ledger.settled(SinkIndex(0), &batch.origin, &[first]);
    }
    assert_eq!(ledger.passed_over_records()[1], ("cache".into(), 2));
    assert!(!ledger.is_idle(), "four are on their way to the cache");
    (0..4).for_each(|first| ledger.settled(SinkIndex(1), &one(0, first).origin, &[]));
    assert!(ledger.is_idle());
    assert_eq!((ledger.totals().written, ledger.totals().unaccounted()), (6, 0));
}
