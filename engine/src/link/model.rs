//! The link's protocol under loom: every interleaving of two or three threads, up to three preemptions.
//!
//! The same source as the link's own, built from loom's types. They are found beside this module instead of beside the
//! real link, so no `--cfg loom` is needed (tokio changes its shape under that one) and the models run with the other
//! tests: `cargo test --release -p aqueduct-engine --lib loom`.
//!
//! With the feature `planted` one of them is part of the library: a lost wake-up is a bug that only a model shows.
//!
//! crossbeam's queue knows nothing of loom, so a twin stands in for it. It is no stronger: as in the real one, what a
//! push wrote is seen by the pop that takes it, and what that pop wrote by the push that comes round to the slot; its
//! counters order nothing. The real queue runs in the stress test.
#![allow(
    clippy::unwrap_used,
    reason = "a model is a test, also where a feature makes it part of the library"
)]

mod sync {
    use loom::sync::atomic::Ordering::Relaxed;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize};
    pub(super) use loom::sync::{Mutex, MutexGuard};

    /// The twin of crossbeam's queue, for one pushing and one popping thread at a time.
    pub(super) struct Queue<T> {
        slots: Vec<Mutex<Option<T>>>,
        popped: AtomicUsize,
        pushed: AtomicUsize,
    }

    impl<T> super::protocol::Ring<T> for Queue<T> {
        fn with_capacity(capacity: usize) -> Self {
            let slots = (0..capacity).map(|_| Mutex::new(None)).collect();
            Self { slots, popped: AtomicUsize::new(0), pushed: AtomicUsize::new(0) }
        }

        fn push(&self, item: T) -> Result<(), T> {
            let at = self.pushed.load(Relaxed);
            let mut slot = self.slots[at % self.slots.len()].lock().unwrap();
            if slot.is_some() {
                return Err(item);
            }
            *slot = Some(item);
            self.pushed.store(at + 1, Relaxed);
            Ok(())
        }

        fn pop(&self) -> Option<T> {
            let at = self.popped.load(Relaxed);
            let item = self.slots[at % self.slots.len()].lock().unwrap().take()?;
            self.popped.store(at + 1, Relaxed);
            Some(item)
        }
    }
}

#[allow(clippy::duplicate_mod, reason = "the point of it: the same source, built from loom's types")]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the models use a part of it")]
#[path = "protocol/mod.rs"]
mod protocol;

/// A link of one batch hands over all in order and ends, under every interleaving.
///
/// # Panics
/// If there is one under which it does not.
pub fn hands_over_all_and_ends() {
    loom_models::a_link_of_one_batch_hands_over_all_in_order_and_ends();
}

#[cfg_attr(not(test), expect(unused_imports, reason = "outside of tests one model is run, by name"))]
mod loom_models {
    use super::protocol::{Bounds, Closed, Flow, Link};
    use loom::future::block_on;
    use loom::thread;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;

    /// One record, by its offset; its weight is its own.
    #[derive(Clone, Debug)]
    struct Item {
        offset: i64,
        weight: usize,
    }

    impl Flow for Item {
        type Key = ();

        fn key(&self) -> &() {
            &()
        }
        fn epoch(&self) -> i64 {
            1
        }
        fn first(&self) -> i64 {
            self.offset
        }
        fn next(&self) -> i64 {
            self.offset + 1
        }
        fn weight(&self) -> usize {
            self.weight
        }
        fn records(&self) -> usize {
            1
        }
        fn first_record(&self) -> Option<i64> {
            Some(self.offset)
        }
        fn starting_at(&self, _: i64) -> Self {
            unreachable!("a single record is not cut")
        }
        fn halves(&self) -> Option<(Self, Self)> {
            None
        }
        fn emptied(&self) -> Self {
            self.clone()
        }
    }

    fn item(offset: i64) -> Item {
        Item { offset, weight: 1 }
    }

    fn link(batches: usize, bytes: usize) -> Arc<Link<Item>> {
        Link::new(Bounds { batches, bytes })
    }

    fn model(check: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(check);
    }

    /// Sends `items` and closes, on a thread of its own.
    fn sending(link: &Arc<Link<Item>>, items: Vec<Item>) -> thread::JoinHandle<()> {
        let mut sender = link.sender();
        thread::spawn(move || {
            for item in items {
                block_on(sender.push(item)).unwrap();
            }
            sender.close();
        })
    }

    /// Leases and settles until the end.
    fn received(link: &Arc<Link<Item>>) -> Vec<i64> {
        let (mut receiver, mut offsets) = (link.receiver(), Vec::new());
        while let Some(lease) = block_on(receiver.lease()) {
            offsets.push(lease.offset);
            lease.settle();
        }
        offsets
    }

    #[cfg_attr(test, test)]
    pub(super) fn a_link_of_one_batch_hands_over_all_in_order_and_ends() {
        model(|| {
            let link = link(1, 10);
            let sender = sending(&link, vec![item(1), item(2)]);
            assert_eq!(received(&link), [1, 2]);
            sender.join().unwrap();
            assert!(link.is_empty());
        });
    }

    #[test]
    fn a_wider_link_hands_over_all_in_order_and_ends() {
        model(|| {
            let link = link(2, 10);
            let sender = sending(&link, vec![item(1), item(2)]);
            assert_eq!(received(&link), [1, 2]);
            sender.join().unwrap();
        });
    }

    #[test]
    fn bytes_hold_the_sender_back_and_settling_lets_it_go() {
        model(|| {
            let link = link(4, 3);
            let heavy = Item { offset: 2, weight: 9 };
            let sender = sending(&link, vec![item(1), heavy]);
            assert_eq!(received(&link), [1, 2]);
            sender.join().unwrap();
            assert_eq!(link.fill().bytes, 0);
        });
    }

    #[test]
    fn a_cancelled_lease_loses_nothing() {
        model(|| {
            let link = link(1, 10);
            let sender = sending(&link, vec![item(1), item(2)]);
            let mut receiver = link.receiver();
            // Asks once, lets its waker be registered, and goes away.
            let first = block_on(poll_fn(|cx| Poll::Ready(receiver.poll_lease(cx))));
            let mut offsets = Vec::new();
            if let Poll::Ready(Some(lease)) = first {
                offsets.push(lease.offset);
                lease.settle();
            }
            while let Some(lease) = block_on(receiver.lease()) {
                offsets.push(lease.offset);
                lease.settle();
            }
            assert_eq!(offsets, [1, 2]);
            sender.join().unwrap();
        });
    }

    #[test]
    fn a_cancelled_push_is_not_sent_and_may_be_repeated() {
        model(|| {
            let link = link(1, 10);
            let mut sender = link.sender();
            let pushing = thread::spawn(move || {
                for offset in [1, 2] {
                    let mut slot = Some(item(offset));
                    let polled = block_on(poll_fn(|cx| Poll::Ready(sender.poll_push(cx, &mut slot))));
                    if polled.is_pending() {
                        block_on(sender.push(item(offset))).unwrap();
                    }
                }
                sender.close();
            });
            assert_eq!(received(&link), [1, 2]);
            pushing.join().unwrap();
        });
    }

    #[test]
    fn a_replaced_receiver_ends_and_its_successor_gets_what_it_had_not_settled() {
        model(|| {
            let link = link(2, 10);
            let mut old = link.receiver();
            let sender = link.sender();
            sender.try_push(item(1)).unwrap();
            let replaced = thread::spawn(move || {
                // Whatever it gets hold of, it dies with.
                while let Some(lease) = block_on(old.lease()) {
                    drop(lease);
                    thread::yield_now();
                }
            });
            let mut new = link.receiver();
            let lease = block_on(new.lease()).unwrap();
            assert_eq!(lease.offset, 1);
            lease.settle();
            sender.try_push(item(2)).unwrap();
            let lease = block_on(new.lease()).unwrap();
            assert_eq!(lease.offset, 2);
            lease.settle();
            replaced.join().unwrap();
            assert!(link.is_empty());
        });
    }

    #[test]
    fn a_lease_dropped_unsettled_comes_again_first_and_its_room_is_not_given_away() {
        model(|| {
            let link = link(1, 10);
            let sender = sending(&link, vec![item(1), item(2)]);
            let (mut receiver, mut offsets) = (link.receiver(), Vec::new());
            let dropped = block_on(receiver.lease()).unwrap();
            assert_eq!(link.fill().batches, 1);
            offsets.push(dropped.offset);
            drop(dropped);
            while let Some(lease) = block_on(receiver.lease()) {
                offsets.push(lease.offset);
                lease.settle();
            }
            assert_eq!(offsets, [1, 1, 2]);
            sender.join().unwrap();
            assert_eq!(link.fill().bytes, 0);
        });
    }

    #[test]
    fn a_replaced_sender_waiting_for_room_is_told_and_cannot_take_its_successors_wake_up() {
        model(|| {
            let link = link(1, 10);
            let mut old = link.sender();
            old.try_push(item(1)).unwrap();
            let replaced = thread::spawn(move || block_on(old.push(item(2))));
            let mut new = link.sender();
            let mut receiver = link.receiver();
            let settling = thread::spawn(move || receiver.try_lease().unwrap().settle());
            let sent = block_on(new.push(item(2)));
            let replaced = replaced.join().unwrap();
            settling.join().unwrap();
            assert!(matches!((replaced, sent), (Err(Closed) | Ok(()), Ok(()))));
            assert_eq!(link.fill().batches, 1);
        });
    }

    #[test]
    fn a_waiting_receiver_hears_of_the_end() {
        model(|| {
            let link = link(1, 10);
            let sender = link.sender();
            let closing = thread::spawn(move || sender.close());
            assert!(received(&link).is_empty());
            closing.join().unwrap();
        });
    }
}
