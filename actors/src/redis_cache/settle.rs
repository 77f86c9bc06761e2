//! What waits until values are in Redis: whole leases of a required cache, mere ranges of a best-effort one.
//!
//! A lease keeps its place on the link, so a required cache that cannot write holds up its source. A best-effort cache
//! settles the lease at once and remembers the range: neighbours join, and the offsets of their rows are kept only up
//! to a bound, so that an outage of any length costs little.

use aqueduct_engine::{Lease, Origin};

/// Most row offsets remembered with the ranges of one best-effort cache; beyond it a range keeps only its ends.
pub(crate) const RANGE_OFFSETS_MAX: usize = 262_144;

/// See the module.
#[derive(Debug)]
pub(crate) enum Owed {
    /// Of a required cache.
    Lease(Lease),
    /// Of a best-effort cache.
    Range(Range),
}

/// Offsets of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// From where to where.
    pub(crate) origin: Origin,
    /// The offsets that had rows, as far as remembered.
    pub(crate) offsets: Vec<i64>,
    /// Kafka times of its first and its last record, in ms.
    pub(crate) times_ms: [Option<i64>; 2],
}

/// Adds `range` to `owed`, joining it to what it continues.
pub(crate) fn owe_range(owed: &mut Vec<Owed>, range: Range) {
    let remembered: usize = owed
        .iter()
        .map(|owed| match owed {
            Owed::Range(range) => range.offsets.len(),
            Owed::Lease(_) => 0,
        })
        .sum();
    let forget = remembered + range.offsets.len() > RANGE_OFFSETS_MAX;
    let continued = owed.iter_mut().rev().find_map(|owed| match owed {
        Owed::Range(last)
            if last.origin.key == range.origin.key
                && last.origin.epoch == range.origin.epoch
                && last.origin.next == range.origin.first =>
        {
            Some(last)
        }
        _ => None,
    });
    match continued {
        Some(last) => {
            last.origin.next = range.origin.next;
            last.times_ms = [last.times_ms[0].or(range.times_ms[0]), range.times_ms[1].or(last.times_ms[1])];
            if !forget {
                last.offsets.extend(range.offsets);
            }
        }
        None if forget => owed.push(Owed::Range(Range { offsets: Vec::new(), ..range })),
        None => owed.push(Owed::Range(range)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::PartitionKey;

    fn range(partition: i32, first: i64, next: i64) -> Range {
        let key = PartitionKey { source: "s".into(), topic: "t".into(), partition };
        let times_ms = [Some(first), Some(next - 1)];
        Range { origin: Origin { key, epoch: 1, first, next }, offsets: (first..next).collect(), times_ms }
    }

    fn ranges(owed: &[Owed]) -> Vec<(i32, i64, i64, usize)> {
        owed.iter()
            .map(|owed| match owed {
                Owed::Range(range) => {
                    let origin = &range.origin;
                    (origin.key.partition, origin.first, origin.next, range.offsets.len())
                }
                Owed::Lease(_) => panic!("no lease here"),
            })
            .collect()
    }

    #[test]
    fn neighbours_join_and_gaps_do_not() {
        let mut owed = Vec::new();
        for range in [range(0, 0, 5), range(1, 0, 5), range(0, 5, 9), range(0, 10, 11)] {
            owe_range(&mut owed, range);
        }
        assert_eq!(ranges(&owed), [(0, 0, 9, 9), (1, 0, 5, 5), (0, 10, 11, 1)]);
        let Owed::Range(joined) = &owed[0] else { panic!("no lease here") };
        assert_eq!(joined.times_ms, [Some(0), Some(8)]);
    }

    #[test]
    fn a_long_outage_keeps_the_range_and_forgets_the_rows() {
        let mut owed = Vec::new();
        for part in 0..100 {
            owe_range(&mut owed, range(0, part * 8192, (part + 1) * 8192));
        }
        let [(_, first, next, offsets)] = ranges(&owed)[..] else { panic!("one range") };
        assert_eq!((first, next), (0, 819_200));
        assert!(offsets <= RANGE_OFFSETS_MAX, "{offsets}");
    }
}
