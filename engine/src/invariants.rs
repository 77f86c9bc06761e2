//! What must hold always, as functions of plain values: asserted in production, checked by tests and the simulation.
//!
//! Deliberately absent: any dependency, and any type of this crate.

/// What the fates lack to make up what was read; 0 always.
pub fn unaccounted(read: u64, fates: [u64; 5]) -> i64 {
    read as i64 - fates.iter().map(|&fate| fate as i64).sum::<i64>()
}

/// The ranges `(first, next)` that a sink has settled of one partition in one epoch, in the order it did, leave no gap
/// from `start` on: each begins no later than where the ones before it reached. Repeats are allowed. Gives the first
/// gap, as `(from, to)`.
pub fn gap_in_settlements(start: i64, ranges: &[(i64, i64)]) -> Option<(i64, i64)> {
    let mut reached = start;
    for &(first, next) in ranges {
        if first > reached {
            return Some((reached, first));
        }
        reached = reached.max(next);
    }
    None
}

/// A stored next offset never goes back within an epoch, and epochs never go back. Gives the index of the first step
/// `(epoch, next)` that does.
pub fn step_backwards(steps: &[(i64, i64)]) -> Option<usize> {
    let back =
        |pair: &[(i64, i64)]| pair[1].0 < pair[0].0 || (pair[1].0 == pair[0].0 && pair[1].1 < pair[0].1);
    steps.windows(2).position(back).map(|before| before + 1)
}

/// Offsets delivered to one receiver of one partition in one epoch, redeliveries left out, ascend strictly. Gives the
/// index of the first that does not.
pub fn out_of_order(offsets: &[i64]) -> Option<usize> {
    offsets.windows(2).position(|pair| pair[1] <= pair[0]).map(|before| before + 1)
}

/// Crashes that finding one culprit among so many records may take.
pub fn probation_crashes_max(records: u64) -> u64 {
    2 * u64::from(records.max(1).ilog2() + u32::from(!records.max(1).is_power_of_two())) + 2
}

/// What a charge must say of what it charges: nothing in it, nothing charged.
pub fn charge_is_consistent(batches: usize, bytes: usize) -> bool {
    batches > 0 || bytes == 0
}

/// Rows and their offset are durable together: of the offsets `0..next`, all of which have a row, each is there exactly
/// once, and none from `next` on. `rows` are `(offset, how often)`, ascending. Gives the first offset that is not so.
pub fn misplaced_row(next: i64, rows: &[(i64, usize)]) -> Option<i64> {
    let mut expected = 0;
    for &(offset, count) in rows {
        if offset != expected || offset >= next || count != 1 {
            return Some(offset.min(expected));
        }
        expected += 1;
    }
    (expected < next).then_some(expected)
}

/// What a link is sent of one partition, after what came `before` (its epoch and next offset): under the same claim it
/// goes on where that ended or later, and no claim goes back.
pub fn goes_on(before: (i64, i64), (epoch, first): (i64, i64)) -> bool {
    epoch > before.0 || (epoch == before.0 && first >= before.1)
}

/// Rows (their offsets, ascending) ride with the offset that moves `previous..next` in the same transaction: none lies
/// outside.
pub fn rides_with(offsets: &[i64], (previous, next): (i64, i64)) -> bool {
    let ends = offsets.first().zip(offsets.last());
    ends.is_none_or(|(first, last)| *first >= previous && *last < next)
}

/// Everything a sink settles is durable: the range ends at or below what is stored.
pub fn is_durable(settled_next: i64, durable: i64) -> bool {
    settled_next <= durable
}

/// A link of so many batches and bytes `(batches, bytes)` holds no more than its bounds: one batch may be larger alone,
/// and one that is suspected of killing its receiver is handed out in so many more pieces.
pub fn within_bounds(
    (batches, bytes): (usize, usize),
    (batches_max, bytes_max): (usize, usize),
    pieces: usize,
) -> bool {
    batches <= batches_max + pieces && (bytes <= bytes_max || batches <= 1 + pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_is_broken_by_its_counterexample() {
        assert_eq!(unaccounted(10, [4, 1, 2, 0, 3]), 0);
        assert_eq!(unaccounted(10, [4, 1, 2, 0, 2]), 1);
        assert_eq!(unaccounted(10, [4, 1, 2, 3, 3]), -3);
        assert_eq!(gap_in_settlements(5, &[(5, 8), (5, 8), (7, 12)]), None);
        assert_eq!(gap_in_settlements(5, &[(5, 8), (9, 12)]), Some((8, 9)));
        assert_eq!(gap_in_settlements(5, &[(6, 8)]), Some((5, 6)));
        assert_eq!(step_backwards(&[(1, 5), (1, 5), (2, 0), (2, 9)]), None);
        assert_eq!(step_backwards(&[(1, 5), (1, 4)]), Some(1));
        assert_eq!(step_backwards(&[(2, 5), (1, 6)]), Some(1));
        assert_eq!(out_of_order(&[1, 2, 9]), None);
        assert_eq!(out_of_order(&[1, 2, 2]), Some(2));
        assert_eq!(misplaced_row(2, &[(0, 1), (1, 1)]), None);
        assert_eq!(misplaced_row(0, &[]), None);
        assert_eq!(misplaced_row(2, &[(0, 1), (1, 2)]), Some(1), "doubled");
        assert_eq!(misplaced_row(3, &[(0, 1), (2, 1)]), Some(1), "lost");
        assert_eq!(misplaced_row(3, &[(0, 1), (1, 1)]), Some(2), "lost at the end");
        assert_eq!(misplaced_row(1, &[(0, 1), (1, 1)]), Some(1), "ahead of its offset");
        assert!(goes_on((1, 5), (1, 5)) && goes_on((1, 5), (2, 0)));
        assert!(!goes_on((1, 5), (1, 4)) && !goes_on((2, 5), (1, 9)));
        assert!(rides_with(&[], (5, 5)) && rides_with(&[5, 5, 8], (5, 9)));
        assert!(!rides_with(&[4, 6], (5, 9)) && !rides_with(&[6, 9], (5, 9)));
        assert!(is_durable(9, 9) && !is_durable(9, 8));
        assert!(within_bounds((2, 9), (2, 9), 0) && within_bounds((1, 90), (2, 9), 0));
        assert!(!within_bounds((3, 9), (2, 9), 0) && !within_bounds((2, 10), (2, 9), 0));
        assert!(charge_is_consistent(0, 0) && charge_is_consistent(1, 0) && !charge_is_consistent(0, 1));
    }

    #[test]
    fn the_bound_on_crashes_grows_with_the_logarithm() {
        assert_eq!([1, 2, 3, 4, 8192].map(probation_crashes_max), [2, 4, 6, 6, 28]);
    }
}
