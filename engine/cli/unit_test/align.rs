//! Which of the expected things were found, in order, with as few differences as can be.

/// One step through both lists, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// As expected.
    Same(usize, usize),
    /// In place of the expected one there is another.
    Other(usize, usize),
    /// Expected, and not there.
    Missing(usize),
    /// There, and not expected.
    Extra(usize),
}

/// Beyond so many comparisons, lists are compared place by place.
const COMPARISONS_MAX: usize = 4_000_000;

/// Walks through both lists. Between two places that agree, what is left over is paired in order.
pub(super) fn in_order(expected: usize, found: usize, same: impl Fn(usize, usize) -> bool) -> Vec<Step> {
    let agreed = if expected.saturating_mul(found) > COMPARISONS_MAX {
        (0..expected.min(found)).filter(|&at| same(at, at)).map(|at| (at, at)).collect()
    } else {
        longest(expected, found, &same)
    };
    let mut steps = Vec::new();
    let (mut left, mut right) = (0, 0);
    for (next_left, next_right) in agreed.into_iter().chain([(expected, found)]) {
        while left < next_left && right < next_right {
            steps.push(Step::Other(left, right));
            (left, right) = (left + 1, right + 1);
        }
        steps.extend((left..next_left).map(Step::Missing));
        steps.extend((right..next_right).map(Step::Extra));
        if next_left < expected {
            steps.push(Step::Same(next_left, next_right));
        }
        (left, right) = (next_left + 1, next_right + 1);
    }
    steps
}

/// The longest list of agreeing places that rise in both.
fn longest(expected: usize, found: usize, same: &impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let width = found + 1;
    let mut length = vec![0u32; (expected + 1) * width];
    for left in (0..expected).rev() {
        for right in (0..found).rev() {
            length[left * width + right] = if same(left, right) {
                length[(left + 1) * width + right + 1] + 1
            } else {
                length[(left + 1) * width + right].max(length[left * width + right + 1])
            };
        }
    }
    let (mut left, mut right, mut agreed) = (0, 0, Vec::new());
    while left < expected && right < found {
        if same(left, right) {
            agreed.push((left, right));
            (left, right) = (left + 1, right + 1);
        } else if length[(left + 1) * width + right] >= length[left * width + right + 1] {
            left += 1;
        } else {
            right += 1;
        }
    }
    agreed
}

/// Like [`in_order`] for lists whose order means nothing: each expected thing takes the first that is left.
pub(super) fn in_any_order(expected: usize, found: usize, same: impl Fn(usize, usize) -> bool) -> Vec<Step> {
    let mut left: Vec<usize> = (0..found).collect();
    let mut steps = Vec::new();
    for wanted in 0..expected {
        match left.iter().position(|one| same(wanted, *one)) {
            Some(place) => steps.push(Step::Same(wanted, left.remove(place))),
            None => steps.push(Step::Missing(wanted)),
        }
    }
    steps.extend(left.into_iter().map(Step::Extra));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(expected: &str, found: &str) -> Vec<Step> {
        let (expected, found) = (expected.as_bytes(), found.as_bytes());
        in_order(expected.len(), found.len(), |left, right| expected[left] == found[right])
    }

    #[test]
    fn one_that_is_missing_or_too_many_leaves_the_others_as_they_are() {
        use Step::{Extra, Missing, Other, Same};
        assert_eq!(steps("abc", "ac"), [Same(0, 0), Missing(1), Same(2, 1)]);
        assert_eq!(steps("ac", "abc"), [Same(0, 0), Extra(1), Same(1, 2)]);
        assert_eq!(steps("abc", "axc"), [Same(0, 0), Other(1, 1), Same(2, 2)]);
        assert_eq!(steps("ab", "xyab"), [Extra(0), Extra(1), Same(0, 2), Same(1, 3)]);
        assert_eq!(steps("ab", ""), [Missing(0), Missing(1)]);
        assert_eq!(steps("", "a"), [Extra(0)]);
        assert_eq!(steps("", ""), []);
    }

    #[test]
    fn without_an_order_every_one_is_found_once() {
        use Step::{Extra, Missing, Same};
        let (expected, found) = (b"aab", b"bca");
        let steps = in_any_order(3, 3, |left, right| expected[left] == found[right]);
        assert_eq!(steps, [Same(0, 2), Missing(1), Same(2, 0), Extra(1)]);
    }
}
