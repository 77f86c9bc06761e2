//! Something kept per part of a sliding window, so that what is older than the window falls out part by part.
//!
//! Invariant: what was noted at some moment is seen for the whole window less one part, and never for longer than the
//! window. Deliberately absent: a clock.

/// Parts of a window.
const PARTS: usize = 8;

/// How a moment becomes a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    part_us: i64,
}

impl Window {
    pub(super) fn new(window: std::time::Duration) -> Self {
        let window_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        Self { part_us: (window_us / PARTS as i64).max(1) }
    }

    fn part(self, now_us: i64) -> i64 {
        now_us.div_euclid(self.part_us)
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Windowed<T> {
    /// The part that was written last.
    newest: i64,
    parts: [T; PARTS],
}

impl<T: Copy + Default> Windowed<T> {
    /// The part of `now_us`, to be changed.
    pub(super) fn now(&mut self, window: Window, now_us: i64) -> &mut T {
        let part = window.part(now_us).max(self.newest);
        if part - self.newest >= PARTS as i64 {
            self.parts = [T::default(); PARTS];
        } else {
            for passed in self.newest + 1..=part {
                self.parts[slot(passed)] = T::default();
            }
        }
        self.newest = part;
        &mut self.parts[slot(part)]
    }

    /// What the parts hold that are within the window at `now_us`.
    pub(super) fn seen(&self, window: Window, now_us: i64) -> impl Iterator<Item = T> {
        let oldest = window.part(now_us).max(self.newest) - PARTS as i64 + 1;
        (oldest..=self.newest).map(|part| self.parts[slot(part)])
    }
}

impl Windowed<u32> {
    pub(super) fn add(&mut self, window: Window, now_us: i64, count: u32) {
        let now = self.now(window, now_us);
        *now = now.saturating_add(count);
    }

    pub(super) fn sum(&self, window: Window, now_us: i64) -> u64 {
        self.seen(window, now_us).map(u64::from).sum()
    }
}

impl Windowed<f32> {
    pub(super) fn raise(&mut self, window: Window, now_us: i64, to: f32) {
        let now = self.now(window, now_us);
        *now = now.max(to);
    }

    pub(super) fn max(&self, window: Window, now_us: i64) -> f32 {
        self.seen(window, now_us).fold(0.0, f32::max)
    }
}

fn slot(part: i64) -> usize {
    part.rem_euclid(PARTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn what_is_older_than_the_window_is_not_seen() {
        let window = Window::new(Duration::from_secs(8));
        let mut counts = Windowed::<u32>::default();
        counts.add(window, 0, 1);
        counts.add(window, 3 * SECOND, 10);
        assert_eq!(counts.sum(window, 7 * SECOND), 11);
        assert_eq!(
            counts.sum(window, 8 * SECOND),
            10,
            "the first has left, though nothing was written since"
        );
        assert_eq!(counts.sum(window, 11 * SECOND), 0);
        counts.add(window, 100 * SECOND, 5);
        assert_eq!(counts.sum(window, 100 * SECOND), 5, "a long silence leaves nothing behind");
    }

    #[test]
    fn a_clock_that_goes_back_counts_into_the_newest_part() {
        let window = Window::new(Duration::from_secs(8));
        let mut counts = Windowed::<u32>::default();
        counts.add(window, 20 * SECOND, 1);
        counts.add(window, 2 * SECOND, 1);
        assert_eq!(counts.sum(window, 20 * SECOND), 2);
    }
}
