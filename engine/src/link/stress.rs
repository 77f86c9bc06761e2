//! The link with its real queue, on real threads.

use super::protocol::Bounds;
use super::{Link, TryPushError};
use crate::testing::raw_batch;
use futures::executor::block_on;
use std::thread;

const BATCHES: i64 = 20_000;

/// Sends `BATCHES` batches of three records, waiting where there is no room.
fn send_all(link: &std::sync::Arc<Link>) -> thread::JoinHandle<()> {
    let mut sender = link.sender();
    thread::spawn(move || {
        for batch in 0..BATCHES {
            block_on(sender.push(raw_batch(0, batch * 3, &["a", "b", "c"]))).unwrap();
        }
        sender.close();
    })
}

#[test]
fn two_threads_hand_over_all_in_order_at_every_capacity() {
    for batches in [1, 2, 64] {
        let link = Link::new(Bounds { batches, bytes: 1 << 20 });
        let sender = send_all(&link);
        let (mut receiver, mut expected) = (link.receiver(), 0);
        while let Some(lease) = block_on(receiver.lease()) {
            assert_eq!(lease.origin.first, expected);
            expected = lease.origin.next;
            lease.settle();
        }
        sender.join().unwrap();
        assert_eq!(expected, BATCHES * 3);
        assert!(link.is_empty() && link.fill().bytes == 0);
    }
}

#[test]
fn receivers_that_die_with_their_leases_lose_nothing() {
    let link = Link::new(Bounds { batches: 8, bytes: 1 << 20 });
    let sender = send_all(&link);
    let mut expected = 0;
    let mut generation = 0;
    let mut ended = false;
    while !ended {
        generation += 1;
        let mut receiver = link.receiver();
        let mut held = Vec::new();
        // Each generation takes some, settles the first few of those, and dies.
        for _ in 0..(generation % 7) + 1 {
            match receiver.try_lease() {
                Some(lease) => held.push(lease),
                None => break,
            }
        }
        ended = held.is_empty() && link.is_finished();
        let settled = held.len().min(generation % 5);
        for lease in held.drain(..settled) {
            assert_eq!(lease.origin.first, expected);
            expected = lease.origin.next;
            lease.settle();
        }
    }
    sender.join().unwrap();
    assert_eq!(expected, BATCHES * 3);
}

#[test]
fn senders_that_are_replaced_lose_and_double_nothing() {
    let link = Link::new(Bounds { batches: 4, bytes: 1 << 20 });
    let sending = {
        let link = link.clone();
        thread::spawn(move || {
            let mut first = 0;
            // Each generation begins again a little before where the last one stopped, with other cuts.
            for generation in 0.. {
                let sender = link.sender();
                for _ in 0..5 {
                    let batch = raw_batch(0, first, &["a", "b", "c"]);
                    match sender.try_push(batch) {
                        Ok(()) => first += 3,
                        Err(TryPushError::Full(_)) => break,
                        Err(TryPushError::Closed(_)) => panic!("nobody else sends"),
                    }
                }
                if first >= BATCHES * 3 {
                    return sender.close();
                }
                first = (first - generation % 4).max(0);
                thread::yield_now();
            }
        })
    };
    let (mut receiver, mut expected) = (link.receiver(), 0);
    while let Some(lease) = block_on(receiver.lease()) {
        assert_eq!(lease.origin.first, expected, "no gap and nothing twice");
        assert_eq!(lease.raw.len() as i64, lease.origin.next - lease.origin.first);
        expected = lease.origin.next;
        lease.settle();
    }
    sending.join().unwrap();
    assert!(expected >= BATCHES * 3);
}
