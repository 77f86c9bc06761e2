//! How far one source is behind, per partition.
//!
//! Lag is the broker's end less the *database's* next offset: it rises while a sink is stuck. Sources say where the log
//! ends, the runtime's probe says what the sinks have. A revoked partition is removed, and its series with it.
//! Deliberately absent: I/O. Reading the board at scrape time is a lock and a subtraction.

use crate::watchdog::Unread;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Record times remembered per partition, to say how old the first missing record is.
const MARKS_MAX: usize = 64;
/// Marks closer than this are not worth a place.
const MARK_SPACING_MS: i64 = 250;

/// One line of the board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Records the log has and the furthest-behind required sink has not.
    pub records: i64,
    /// How old the first of them is, in seconds; 0 without any.
    pub seconds: f64,
}

#[derive(Clone, Debug, Default)]
struct Line {
    log_start: i64,
    log_end: i64,
    next_offset: Option<i64>,
    /// Where the source reads on; `None` = it does not read this partition.
    read_next: Option<i64>,
    /// `(next offset after a batch, time of its last record in ms)`, ascending.
    marks: VecDeque<(i64, i64)>,
}

/// By topic and partition.
type Lines = BTreeMap<(Arc<str>, i32), Line>;

/// Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct LagBoard {
    lines: Arc<Mutex<Lines>>,
}

impl LagBoard {
    /// The source learned where the log of that partition starts and ends (high watermark, or last stable offset).
    pub fn log(&self, topic: &Arc<str>, partition: i32, start: i64, end: i64) {
        self.change(topic, partition, |line| (line.log_start, line.log_end) = (start, end));
    }

    /// The source reads that partition on from `next`: it begins there, or nothing before it is of interest any more.
    pub fn passed(&self, topic: &Arc<str>, partition: i32, next: i64) {
        self.change(topic, partition, |line| line.read_next = Some(next));
    }

    /// The source has read up to `next`; the last record of that was of `time_ms`.
    pub fn read(&self, topic: &Arc<str>, partition: i32, next: i64, time_ms: i64) {
        self.change(topic, partition, |line| {
            line.log_end = line.log_end.max(next);
            line.read_next = Some(next);
            if line.marks.back().is_some_and(|&(_, last)| (time_ms - last).abs() < MARK_SPACING_MS) {
                return;
            }
            if line.marks.len() == MARKS_MAX {
                line.marks.pop_front();
            }
            line.marks.push_back((next, time_ms));
        });
    }

    /// The furthest-behind required sink has everything below `next_offset`. Ignored for a partition not on the board.
    pub fn stored(&self, topic: &Arc<str>, partition: i32, next_offset: i64) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&(topic.clone(), partition)) {
            line.next_offset = Some(next_offset);
            while line.marks.front().is_some_and(|&(next, _)| next <= next_offset) {
                line.marks.pop_front();
            }
        }
    }

    /// The partition is no longer ours.
    pub fn remove(&self, topic: &Arc<str>, partition: i32) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(&(topic.clone(), partition));
    }

    /// Every line, with `now_us` in microseconds since 1970 UTC.
    pub fn lines(&self, now_us: i64) -> Vec<Lag> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|((topic, partition), line)| line.lag(topic, *partition, now_us)).collect()
    }

    /// The sum over its partitions.
    pub fn records(&self) -> i64 {
        self.lines(0).iter().map(|lag| lag.records).sum()
    }

    /// Partitions that are read and not to their end.
    pub(crate) fn unread(&self) -> Vec<Unread> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = |((topic, partition), line): (&(Arc<str>, i32), &Line)| {
            let next = line.read_next?;
            let records = line.log_end - next.max(line.log_start);
            (records > 0).then(|| Unread { topic: topic.clone(), partition: *partition, next, records })
        };
        lines.iter().filter_map(unread).collect()
    }

    fn change(&self, topic: &Arc<str>, partition: i32, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        change(lines.entry((topic.clone(), partition)).or_default());
    }
}

impl Line {
    fn lag(&self, topic: &Arc<str>, partition: i32, now_us: i64) -> Lag {
        let next = self.next_offset.unwrap_or(self.log_start).max(self.log_start);
        let records = (self.log_end - next).max(0);
        let oldest_ms = self.marks.front().map(|&(_, time_ms)| time_ms);
        let seconds = match oldest_ms {
            Some(time_ms) if records > 0 => (now_us as f64 / 1e6 - time_ms as f64 / 1e3).max(0.0),
            _ => 0.0,
        };
        Lag { topic: topic.clone(), partition, records, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (LagBoard, Arc<str>) {
        (LagBoard::default(), "md.raw".into())
    }

    #[test]
    fn lag_is_the_log_end_less_what_the_sinks_have() {
        let (board, topic) = board();
        board.log(&topic, 0, 100, 500);
        board.stored(&topic, 0, 450);
        assert_eq!(board.records(), 50);
    }

    #[test]
    fn records_the_log_no_longer_has_are_no_lag() {
        let (board, topic) = board();
        board.log(&topic, 0, 300, 500);
        board.stored(&topic, 0, 10);
        assert_eq!(board.records(), 200);
    }

    #[test]
    fn seconds_are_the_age_of_the_first_missing_record() {
        let (board, topic) = board();
        board.read(&topic, 0, 10, 1_000);
        board.read(&topic, 0, 20, 5_000);
        assert_eq!(board.lines(11_000_000)[0].seconds, 10.0);
        board.stored(&topic, 0, 10);
        assert_eq!(board.lines(11_000_000)[0].seconds, 6.0);
        board.stored(&topic, 0, 20);
        assert_eq!(board.lines(11_000_000)[0].seconds, 0.0);
    }

    #[test]
    fn unread_is_what_the_source_has_not_taken_whatever_sinks_have() {
        let (board, topic) = board();
        board.log(&topic, 0, 100, 500);
        assert_eq!(board.unread(), [], "nobody reads it yet");
        board.passed(&topic, 0, 450);
        assert_eq!(board.unread(), [Unread { topic: topic.clone(), partition: 0, next: 450, records: 50 }]);
        board.read(&topic, 0, 500, 1_000);
        assert_eq!(board.unread(), []);
        assert_eq!(board.records(), 400, "sinks lag all the same");
    }

    #[test]
    fn a_revoked_partition_has_no_line() {
        let (board, topic) = board();
        board.log(&topic, 0, 0, 5);
        board.remove(&topic, 0);
        board.stored(&topic, 0, 3);
        assert!(board.lines(0).is_empty());
    }
}
