//! The partitions whose rows a gate is given: which of them are still this process's, and what it was not given of them.

use aqueduct_engine::{Claims, Origin, PartitionKey};

/// One partition of one source.
struct Partition {
    key: PartitionKey,
    epoch: i64,
    /// Where the next batch should begin.
    next: i64,
    run: u32,
    held: bool,
}

/// A place among the partitions.
pub(super) type Place = usize;

/// See the module.
#[derive(Default)]
pub(super) struct Partitions {
    list: Vec<Partition>,
    missed: u64,
}

/// What a batch is to those before it.
pub(super) struct Continuation {
    pub(super) place: Place,
    /// Another one than before: something in between was not given, or it is read again.
    pub(super) run: u32,
    /// It is read anew, under another claim: what was known of its keys is no longer true.
    pub(super) anew: bool,
}

impl Partitions {
    /// A batch of `origin` comes.
    pub(super) fn given(&mut self, origin: &Origin) -> Continuation {
        let place = self.list.iter().position(|known| known.key == origin.key).unwrap_or_else(|| {
            let (key, epoch, next) = (origin.key.clone(), origin.epoch, origin.first);
            self.list.push(Partition { key, epoch, next, run: 0, held: true });
            self.list.len() - 1
        });
        let partition = &mut self.list[place];
        let anew = partition.epoch != origin.epoch;
        if !anew && origin.first > partition.next {
            self.missed += (origin.first - partition.next) as u64;
        }
        if anew || origin.first != partition.next {
            partition.run = partition.run.wrapping_add(1);
        }
        (partition.epoch, partition.next, partition.held) = (origin.epoch, origin.next, true);
        Continuation { place, run: partition.run, anew }
    }

    /// Records that were not given, because the gate lagged and nobody waited for it.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    /// The number of that partition.
    pub(super) fn number(&self, place: Place) -> i32 {
        self.list[place].key.partition
    }

    /// Whether its rows are still this process's to speak of.
    pub(super) fn is_held(&self, place: Place) -> bool {
        self.list[place].held
    }

    /// Lets go of those that this process has no claim of any more; whether there are such.
    pub(super) fn let_go(&mut self, claims: &Claims) -> bool {
        let mut any = false;
        for partition in self.list.iter_mut().filter(|partition| partition.held) {
            let claimed = claims.get(&partition.key).is_some_and(|claim| claim.epoch == partition.epoch);
            partition.held = claimed;
            any |= !claimed;
        }
        any
    }

    /// Whether rows of a partition of that number are this process's.
    pub(super) fn speaks_of(&self, number: i32) -> bool {
        self.list.iter().any(|partition| partition.held && partition.key.partition == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(epoch: i64, first: i64, next: i64) -> Origin {
        let key = PartitionKey { source: "ticks".into(), topic: "md".into(), partition: 3 };
        Origin { key, epoch, first, next }
    }

    #[test]
    fn a_hole_is_counted_and_begins_another_run() {
        let mut partitions = Partitions::default();
        let runs: Vec<u32> = [origin(1, 5, 10), origin(1, 10, 20), origin(1, 25, 30), origin(1, 30, 31)]
            .iter()
            .map(|origin| partitions.given(origin).run)
            .collect();
        assert_eq!(runs, [0, 0, 1, 1]);
        assert_eq!(partitions.missed(), 5);
    }

    #[test]
    fn another_claim_begins_anew_and_nothing_was_missed() {
        let mut partitions = Partitions::default();
        partitions.given(&origin(1, 0, 100));
        let again = partitions.given(&origin(2, 40, 60));
        assert!(again.anew && again.run == 1);
        assert_eq!(partitions.missed(), 0);
    }
}
