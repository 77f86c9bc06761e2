//! The link's own source, with the real queue, without the rest of the engine. See the README.

#[allow(dead_code, reason = "the link uses a few")]
#[path = "../../src/invariants.rs"]
pub mod invariants;
#[allow(dead_code, reason = "the link uses a few")]
#[path = "../../src/limits.rs"]
pub mod limits;
#[allow(dead_code, reason = "nothing is planted here")]
#[path = "../../src/planted.rs"]
pub mod planted;
#[allow(dead_code, reason = "the tests use a part of it")]
#[path = "../../src/link/protocol/mod.rs"]
pub mod protocol;
#[path = "../../src/link/sync.rs"]
mod sync;

#[cfg(test)]
mod tests {
    use super::protocol::{Bounds, Flow, Link};
    use futures::executor::block_on;
    use std::sync::Arc;
    use std::thread;

    const ITEMS: i64 = 24;

    /// One record by its offset, with something on the heap to be leaked or freed twice.
    #[derive(Clone, Debug)]
    struct Item(i64, Arc<String>);

    impl Flow for Item {
        type Key = ();

        fn key(&self) -> &() {
            &()
        }
        fn epoch(&self) -> i64 {
            1
        }
        fn first(&self) -> i64 {
            self.0
        }
        fn next(&self) -> i64 {
            self.0 + 1
        }
        fn weight(&self) -> usize {
            1
        }
        fn records(&self) -> usize {
            1
        }
        fn first_record(&self) -> Option<i64> {
            Some(self.0)
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

    fn sending(link: &Arc<Link<Item>>) -> thread::JoinHandle<()> {
        let mut sender = link.sender();
        thread::spawn(move || {
            for offset in 0..ITEMS {
                block_on(sender.push(Item(offset, Arc::new(offset.to_string())))).unwrap();
            }
            sender.close();
        })
    }

    #[test]
    fn two_threads_hand_over_all_in_order_at_every_capacity() {
        for batches in [1, 2, 5] {
            let link = Link::new(Bounds { batches, bytes: 3 });
            let sender = sending(&link);
            let (mut receiver, mut expected) = (link.receiver(), 0);
            while let Some(lease) = block_on(receiver.lease()) {
                assert_eq!((lease.0, &**lease.1), (expected, expected.to_string().as_str()));
                expected += 1;
                lease.settle();
            }
            sender.join().unwrap();
            assert_eq!(expected, ITEMS);
        }
    }

    #[test]
    fn leases_that_are_dropped_or_whose_receiver_is_replaced_come_again() {
        let link = Link::new(Bounds { batches: 3, bytes: 100 });
        let sender = sending(&link);
        let (mut receiver, mut expected, mut deliveries) = (link.receiver(), 0, 0);
        while let Some(lease) = block_on(receiver.lease()) {
            deliveries += 1;
            if deliveries % 3 == 0 {
                drop(lease);
                if deliveries % 2 == 0 {
                    receiver = link.receiver();
                }
                continue;
            }
            assert_eq!(lease.0, expected);
            expected += 1;
            lease.settle();
        }
        sender.join().unwrap();
        assert_eq!(expected, ITEMS);
    }

    #[test]
    fn what_is_left_in_a_link_is_freed_with_it() {
        let link = Link::new(Bounds { batches: 8, bytes: 100 });
        let sender = link.sender();
        for offset in 0..5 {
            sender.try_push(Item(offset, Arc::new(offset.to_string()))).unwrap();
        }
        let mut receiver = link.receiver();
        let held = receiver.try_lease();
        assert!(held.is_some());
    }
}
