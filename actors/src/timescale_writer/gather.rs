//! Batches on lease that wait for a transaction, and which of them may share the next one.
//!
//! Rows of many partitions come in turn, so a transaction that took whatever waits would be of all of them and nothing could
//! be written beside it: of what may go, each takes its share of the partitions.
//!
//! Invariants: a partition has at most one transaction in flight, so what waits of it stays until that one has landed;
//! what is taken of a partition is taken in the order in which it came.

use super::positions::Held;
use aqueduct_engine::PartitionKey;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_topology::model::Flush;
use std::collections::{BTreeSet, VecDeque};

/// How much some batches are together.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    rows: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, held: &Held) {
        self.rows += held.lease.rows.num_rows();
        self.bytes += held.lease.bytes();
    }

    fn is_full(&self, flush: &Flush) -> bool {
        self.rows >= flush.rows as usize || self.bytes as u64 >= flush.bytes
    }
}

/// What each of so many transactions takes, so that together they take what one alone would: links bound what is on
/// lease, and a second one could not fill up beside a first that has all of it.
fn part_of(flush: &Flush, transactions: usize) -> Flush {
    let rows = flush.rows.div_ceil(transactions as u32);
    Flush { rows, bytes: flush.bytes.div_ceil(transactions as u64), interval: flush.interval }
}

/// What waits, in the order in which it came.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Transactions that may be in flight at once.
    transactions: usize,
    /// What each of them takes.
    flush: Flush,
    held: VecDeque<Held>,
    /// Partitions with a transaction in flight.
    busy: BTreeSet<PartitionKey>,
    /// What the next transaction would take if it were to leave room for others beside it.
    share: Share,
}

/// Of which partitions a transaction is, and how much of them waits.
#[derive(Debug, Default)]
struct Share {
    keys: BTreeSet<PartitionKey>,
    load: Load,
}

impl Gathered {
    pub(super) fn new(flush: &Flush, transactions: usize) -> Self {
        let (held, busy, share) = Default::default();
        Self { transactions, flush: part_of(flush, transactions), held, busy, share }
    }

    pub(super) fn add(&mut self, held: Held) {
        let (may_go, shares) = (self.may_go(&held), self.share.keys.contains(&held.claim.key));
        if may_go && shares {
            self.share.load.add(&held);
        }
        self.held.push_back(held);
        // Of a partition in flight it changes nothing yet.
        if may_go && !shares {
            self.weigh();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether what may go is as much as a transaction takes; more is of no use then. What waits for those in flight is
    /// bounded by the links, on which it is on lease.
    pub(super) fn is_full(&self) -> bool {
        self.share.load.is_full(&self.flush)
    }

    /// Takes what the next transaction is to write: the oldest that may go, until it is enough. Where that is enough
    /// without some of the partitions, those stay for a transaction beside it. What is taken is busy until it has
    /// [landed](Self::landed).
    pub(super) fn take(&mut self) -> Vec<Held> {
        let mut taken = Vec::new();
        let mut load = Load::default();
        let mut left = VecDeque::with_capacity(self.held.len());
        let shared = self.is_full();
        for held in std::mem::take(&mut self.held) {
            let fits = !shared || self.share.keys.contains(&held.claim.key);
            if fits && self.may_go(&held) && !load.is_full(&self.flush) {
                load.add(&held);
                taken.push(held);
            } else {
                left.push_back(held);
            }
        }
        self.held = left;
        self.busy.extend(taken.iter().map(|held| held.claim.key.clone()));
        self.weigh();
        taken
    }

    /// The transaction of `held` is over.
    pub(super) fn landed(&mut self, held: &[Held]) {
        for Held { claim, .. } in held {
            self.busy.remove(&claim.key);
        }
        self.weigh();
    }

    /// A transaction's part of the partitions that wait or are being written, those of the oldest batches, and what of
    /// them may go.
    fn weigh(&mut self) {
        let mut all: BTreeSet<&PartitionKey> = self.held.iter().map(|held| &held.claim.key).collect();
        all.extend(&self.busy);
        let most = all.len().div_ceil(self.transactions);
        let mut share = Share::default();
        for held in self.held.iter().filter(|held| self.may_go(held)) {
            if share.keys.contains(&held.claim.key) {
                share.load.add(held);
            } else if share.keys.len() < most {
                share.keys.insert(held.claim.key.clone());
                share.load.add(held);
            }
        }
        self.share = share;
    }

    fn may_go(&self, held: &Held) -> bool {
        !self.busy.contains(&held.claim.key) || planted(Bug::WritesAPartitionTwiceAtOnce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
    use aqueduct_engine::link::{Bounds, Link};
    use aqueduct_engine::port::Inputs;
    use aqueduct_engine::testing::{partition, raw_batch};
    use aqueduct_engine::{Claim, Claims, Owner};
    use arrow_array::RecordBatch;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    /// Waits for transactions of so many rows together; each batch is of five.
    struct Bench {
        gathered: Gathered,
        link: Arc<Link>,
        inputs: Inputs,
        claims: Claims,
    }

    impl Bench {
        fn new(rows: u32, transactions: usize) -> Self {
            let flush = Flush { rows, bytes: 1 << 30, interval: Duration::ZERO };
            let link = Link::new(Bounds { batches: 100, bytes: 1 << 30 });
            let inputs = Inputs::new(vec![link.receiver()]);
            let claims = Claims::default();
            Self { gathered: Gathered::new(&flush, transactions), link, inputs, claims }
        }

        fn add(&mut self, number: i32, first: i64) {
            let claim = Claim {
                key: partition(number),
                epoch: 1,
                owner: Owner(1),
                start: 0,
                sinks: BTreeMap::new(),
                skipped: BTreeMap::new(),
            };
            self.claims.insert(claim);
            let raw = raw_batch(number, first, &["x"; 5]);
            let hidden = hidden_columns((first..first + 5).collect(), vec![0; 5]).to_vec();
            let rows = RecordBatch::try_new(with_hidden_columns([]), hidden).unwrap();
            assert!(self.link.sender().try_push(raw.with_rows(rows)).is_ok());
            let lease = self.inputs.try_lease(&self.claims).unwrap();
            let claim = self.claims.get(&lease.origin.key).unwrap();
            self.gathered.add(Held { lease, claim, encoded: None });
        }

        fn take(&mut self) -> (Vec<Held>, Vec<(i32, i64)>) {
            let taken = self.gathered.take();
            let told = taken.iter().map(|held| (held.claim.key.partition, held.lease.origin.first)).collect();
            (taken, told)
        }
    }

    #[test]
    fn one_transaction_takes_the_oldest_of_all_partitions() {
        let mut bench = Bench::new(10, 1);
        for (number, first) in [(0, 0), (1, 0), (2, 0)] {
            assert_eq!(bench.gathered.is_full(), number == 2);
            bench.add(number, first);
        }
        let (taken, told) = bench.take();
        assert_eq!(told, [(0, 0), (1, 0)]);
        assert!(!bench.gathered.is_full() && !bench.gathered.is_empty());
        bench.gathered.landed(&taken);
    }

    #[test]
    fn of_several_each_takes_its_share_of_the_partitions_in_order() {
        let mut bench = Bench::new(10, 2);
        for (number, first) in [(0, 0), (1, 0), (2, 0), (3, 0), (2, 5), (0, 5)] {
            bench.add(number, first);
        }
        let (first, told) = bench.take();
        assert_eq!(told, [(0, 0)], "half of ten rows are enough");
        assert!(bench.gathered.is_full(), "beside it others have enough");
        let (second, told) = bench.take();
        assert_eq!(told, [(1, 0)]);
        bench.gathered.landed(&first);
        let (third, told) = bench.take();
        assert_eq!(told, [(2, 0)], "the oldest first");
        bench.gathered.landed(&second);
        bench.gathered.landed(&third);
        assert_eq!(bench.take().1, [(3, 0)]);
    }

    #[test]
    fn a_batch_waits_for_what_is_in_flight_of_its_partition() {
        let mut bench = Bench::new(10, 2);
        bench.add(0, 0);
        let (taken, _) = bench.take();
        bench.add(0, 5);
        assert!(!bench.gathered.is_full(), "nothing of it may go");
        assert_eq!(bench.take().1, []);
        bench.gathered.landed(&taken);
        assert!(bench.gathered.is_full());
        assert_eq!(bench.take().1, [(0, 5)]);
    }

    #[test]
    fn what_is_less_than_enough_goes_whole() {
        let mut bench = Bench::new(1000, 8);
        for number in 0..4 {
            bench.add(number, 0);
        }
        assert!(!bench.gathered.is_full());
        assert_eq!(bench.take().1, [(0, 0), (1, 0), (2, 0), (3, 0)]);
    }
}
