//! Restart accounting for one supervisor.
//!
//! Invariant: `restarts` never holds more than `intensity + 1` moments.
//! Deliberately absent: clocks and tasks. The caller passes `now`, so tests need no sleep.

use super::spec::Intensity;
use std::collections::VecDeque;
use std::time::Duration;

/// What a restart means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is borne.
    Restart,
    /// It was one too many.
    Escalate,
}

/// The restarts of the last period.
#[derive(Clone, Debug)]
pub struct Window {
    intensity: Intensity,
    restarts: VecDeque<Duration>,
}

impl Window {
    /// No restart yet.
    pub fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Enters a restart at `now` (time since any fixed moment) and judges it. A restart exactly `period` ago still
    /// counts, as in OTP.
    pub fn record(&mut self, now: Duration) -> Verdict {
        let period = self.intensity.period;
        while self.restarts.front().is_some_and(|&at| now.saturating_sub(at) > period) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        assert!(
            self.restarts.len() <= self.intensity.restarts as usize + 1,
            "a window outlived its escalation"
        );
        if self.restarts.len() > self.intensity.restarts as usize {
            self.restarts.clear();
            return Verdict::Escalate;
        }
        Verdict::Restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(restarts: u32, period_ms: u64, at_ms: &[u64]) -> Vec<Verdict> {
        let mut window = Window::new(Intensity { restarts, period: Duration::from_millis(period_ms) });
        at_ms.iter().map(|&at| window.record(Duration::from_millis(at))).collect()
    }

    #[test]
    fn one_more_than_the_intensity_within_the_period_escalates() {
        use Verdict::{Escalate, Restart};
        assert_eq!(verdicts(3, 5000, &[0, 1, 2, 3]), [Restart, Restart, Restart, Escalate]);
        assert_eq!(verdicts(0, 5000, &[0]), [Escalate]);
        assert_eq!(verdicts(1, 5000, &[0, 5000]), [Restart, Escalate], "exactly a period ago still counts");
        assert_eq!(verdicts(1, 5000, &[0, 5001]), [Restart, Restart], "longer ago does not");
        assert_eq!(verdicts(2, 10, &[0, 5, 11, 16, 22]), [Restart; 5], "the window slides");
    }
}
