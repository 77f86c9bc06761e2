//! A set of offsets made of runs. Nearly always one run that grows, which is kept without allocation.

/// Disjoint runs `first..next` that do not touch; further ones than the first are rare.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    run: Option<(i64, i64)>,
    others: Vec<(i64, i64)>,
}

impl Spans {
    /// Adds `first..next`.
    pub(super) fn add(&mut self, first: i64, next: i64) {
        if first >= next {
            return;
        }
        let added = (first, next);
        match self.run {
            None => self.run = Some(added),
            Some(run) if self.others.is_empty() && touch(run, added) => self.run = Some(join(run, added)),
            Some(run) => {
                // Runs do not touch each other, so one pass finds all that the new one joins.
                self.others.push(run);
                let mut whole = added;
                self.others.retain(|&run| {
                    let joins = touch(run, added);
                    if joins {
                        whole = join(run, whole);
                    }
                    !joins
                });
                self.run = Some(whole);
            }
        }
    }

    /// Whether all of `first..next` is in the set.
    pub(super) fn covers(&self, first: i64, next: i64) -> bool {
        first >= next || self.runs().any(|(from, to)| from <= first && next <= to)
    }

    /// The end of the run that holds `first`; `first` itself when none does.
    pub(super) fn reached_from(&self, first: i64) -> i64 {
        self.runs().find(|&(from, to)| from <= first && first < to).map_or(first, |(_, to)| to)
    }

    fn runs(&self) -> impl Iterator<Item = (i64, i64)> {
        self.run.into_iter().chain(self.others.iter().copied())
    }
}

fn touch(a: (i64, i64), b: (i64, i64)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn join(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    (a.0.min(b.0), a.1.max(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_runs_is_the_set_of_its_offsets(
            runs in prop::collection::vec((0i64..40, 0i64..8), 0..20),
            (first, length) in (0i64..40, 0i64..12),
        ) {
            let (mut spans, mut offsets) = (Spans::default(), BTreeSet::new());
            for (first, length) in runs {
                spans.add(first, first + length);
                offsets.extend(first..first + length);
            }
            prop_assert_eq!(spans.covers(first, first + length), (first..first + length).all(|at| offsets.contains(&at)));
            let reached = (first..).find(|at| !offsets.contains(at)).unwrap();
            prop_assert_eq!(spans.reached_from(first), reached);
        }
    }
}
