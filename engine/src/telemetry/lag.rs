//! How far one source is behind, per partition.
//!
//! Lag is the broker's end less the *database's* next offset: it rises while a sink is stuck, and while nobody reads. Who
//! reads says where the log ends, and when nobody does the runtime's probe asks; the probe says what the database has, and
//! the ledger what became durable since. A partition that is revoked, or claimed by another node, has no line any more.
//!
//! Offsets count transaction markers too; a reader at the end passes over them, so they are no lag there. Invariant: no
//! number is negative, whatever a topic made anew or a clock that jumps may say: ages are told by a clock that only goes
//! forward, except for the age of a record, which is as true as its timestamp.
//! Deliberately absent: I/O. Reading the board at scrape time is a lock and a subtraction.

use crate::clock::{Clock, Instant};
use crate::limits::{LAG_LOOK_AFTER, LAG_PROBE_EVERY};
use crate::watchdog::Unread;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Record times, and ends of the log, remembered per partition to say how old the first missing record is.
const MARKS_MAX: usize = 64;
/// Record times closer than this are not worth a place.
const MARK_SPACING_MS: i64 = 250;
/// Ends of the log seen closer than this are not worth a place.
const END_SPACING: Duration = Duration::from_secs(1);
/// Between two looks at a log that is looked at as it should be; after a longer gap nobody can tell when a record came.
const LOOK_GAP_MAX: Duration = LAG_LOOK_AFTER.saturating_add(LAG_PROBE_EVERY);
/// A log that ends before the stored offset so often in a row was made anew or lost records; a new leader may tell an
/// older end for a moment.
const BEYOND_TIMES: u32 = 3;

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
    /// How old the older of both readings is that this was made of, in seconds.
    pub sample_age_seconds: f64,
}

impl Lag {
    /// Nothing is missing.
    pub fn none(topic: Arc<str>, partition: i32) -> Self {
        Self { topic, partition, records: 0, seconds: 0.0, sample_age_seconds: 0.0 }
    }
}

/// What the furthest-behind required sink has of a partition, as the database tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredOffset {
    /// The next offset it needs.
    pub next: i64,
    /// The claim that was written under.
    pub epoch: i64,
    /// How long it has not moved.
    pub resting: Duration,
    /// When the database was asked.
    pub asked: Instant,
}

/// How far the sinks have come since, by partition: the claim, and the next offset the furthest-behind required one needs.
pub type Settled = BTreeMap<(Arc<str>, i32), (i64, i64)>;

#[derive(Clone, Debug)]
struct Line {
    since: Instant,
    log_start: i64,
    log_end: i64,
    /// When both were read; `None` = never.
    log_at: Option<Instant>,
    /// How often in a row the log ended before what is stored.
    beyond: u32,
    stored: Option<StoredOffset>,
    /// Where reading began, until it is known what is stored.
    begins: Option<i64>,
    /// Where the source reads on; `None` = it does not read this partition.
    read_next: Option<i64>,
    /// `(next offset after a batch, time of its first record in ms)`, ascending.
    marks: VecDeque<(i64, i64)>,
    /// `(end of the log, when the records before it began to come)`, ascending.
    ends: VecDeque<(i64, Instant)>,
}

/// By topic and partition.
type Lines = BTreeMap<(Arc<str>, i32), Line>;

#[derive(Debug, Default)]
struct Inner {
    lines: Lines,
    /// When a partition was given back.
    left: BTreeMap<(Arc<str>, i32), Instant>,
}

/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct LagBoard {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

impl LagBoard {
    /// Nothing is known yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// Where the log of that partition starts and ends (its last stable offset), as of now.
    pub fn log(&self, topic: &Arc<str>, partition: i32, start: i64, end: i64) {
        self.log_asked(topic, partition, start, end, self.clock.now());
    }

    /// The same, asked a moment ago: a sample is as old as its question.
    pub fn log_asked(&self, topic: &Arc<str>, partition: i32, start: i64, end: i64, asked: Instant) {
        self.change(topic, partition, |line, _| line.logged(start, end, asked));
    }

    /// The source reads that partition on from `next`: it begins there, or nothing before it is of interest any more.
    pub fn passed(&self, topic: &Arc<str>, partition: i32, next: i64) {
        self.change(topic, partition, |line, _| {
            line.read_next = Some(next);
            line.begins.get_or_insert(next);
        });
    }

    /// The source has read up to `next`; the first record of that was of `time_ms`.
    pub fn read(&self, topic: &Arc<str>, partition: i32, next: i64, time_ms: i64) {
        self.change(topic, partition, |line, now| {
            line.log_end = line.log_end.max(next);
            line.log_at.get_or_insert(now);
            line.read_next = Some(next);
            // What is read again is judged by its new marks.
            while line.marks.back().is_some_and(|&(last, _)| last >= next) {
                line.marks.pop_back();
            }
            match line.marks.back_mut() {
                // It stands for all of them, by the oldest.
                Some((last, first_ms)) if (time_ms - *first_ms).abs() < MARK_SPACING_MS => *last = next,
                _ => push(&mut line.marks, (next, time_ms)),
            }
        });
    }

    /// What the database has. Ignored for a partition not on the board.
    pub fn stored(&self, topic: &Arc<str>, partition: i32, stored: StoredOffset) {
        if let Some(line) = self.lock().lines.get_mut(&(topic.clone(), partition)) {
            line.stored(stored);
        }
    }

    /// The partition is no longer ours.
    pub fn remove(&self, topic: &Arc<str>, partition: i32) {
        let (now, place) = (self.clock.now(), (topic.clone(), partition));
        let mut inner = self.lock();
        inner.lines.remove(&place);
        inner.left.insert(place, now);
    }

    /// Another node has it, so nothing is said of it here.
    pub(crate) fn leave_to_others(&self, topic: &Arc<str>, partition: i32) {
        let (place, mut inner) = ((topic.clone(), partition), self.lock());
        inner.lines.remove(&place);
        inner.left.remove(&place);
    }

    /// Nobody reads that partition, and it is for this node to tell how far it is behind; unless it was given back less
    /// than `patience` ago: somebody else is about to have it.
    pub(crate) fn adopt(&self, topic: &Arc<str>, partition: i32, patience: Duration) {
        let (now, place) = (self.clock.now(), (topic.clone(), partition));
        let mut inner = self.lock();
        if inner.left.get(&place).is_none_or(|left| now.duration_since(*left) >= patience) {
            inner.left.remove(&place);
            inner.lines.entry(place).or_insert_with(|| Line::new(now));
        }
    }

    /// Drops what is not of `topic`: the source reads another one now.
    pub(crate) fn keep_only(&self, topic: &str) {
        let mut inner = self.lock();
        inner.lines.retain(|(of, _), _| **of == *topic);
        inner.left.retain(|(of, _), _| **of == *topic);
    }

    /// The partitions of lines whose log was not looked at for so long.
    pub(crate) fn unlooked(&self, patience: Duration) -> Vec<i32> {
        let now = self.clock.now();
        let inner = self.lock();
        let is_old = |line: &Line| line.log_at.is_none_or(|at| now.saturating_duration_since(at) >= patience);
        inner.lines.iter().filter(|(_, line)| is_old(line)).map(|((_, partition), _)| *partition).collect()
    }

    /// Whether it has a line.
    pub(crate) fn has(&self, topic: &Arc<str>, partition: i32) -> bool {
        self.lock().lines.contains_key(&(topic.clone(), partition))
    }

    /// Whether it has a line, or was given back a while ago.
    pub(crate) fn knows(&self, topic: &Arc<str>, partition: i32) -> bool {
        let (place, inner) = ((topic.clone(), partition), self.lock());
        inner.lines.contains_key(&place) || inner.left.contains_key(&place)
    }

    /// The source begins anew: it reads nothing until it says so.
    pub(crate) fn restarted(&self) {
        self.lock().lines.values_mut().for_each(|line| line.read_next = None);
    }

    /// Every line whose log was ever looked at. `settled` is what became durable since the database was asked.
    pub fn lines(&self, settled: &Settled) -> Vec<Lag> {
        let (now, wall_us) = (self.clock.now(), self.clock.wall_us());
        let inner = self.lock();
        let lag = |(place, line): (&(Arc<str>, i32), &Line)| {
            let settled = settled.get(place).copied();
            line.lag(place, settled, now, wall_us)
        };
        inner.lines.iter().filter_map(lag).collect()
    }

    /// The sum over its partitions.
    pub fn records(&self) -> i64 {
        self.lines(&Settled::new()).iter().map(|lag| lag.records).sum()
    }

    /// Partitions that are read and not to their end.
    pub(crate) fn unread(&self) -> Vec<Unread> {
        let unread = |((topic, partition), line): (&(Arc<str>, i32), &Line)| {
            let next = line.read_next?;
            let records = line.log_end - next.max(line.log_start);
            (records > 0).then(|| Unread { topic: topic.clone(), partition: *partition, next, records })
        };
        self.lock().lines.iter().filter_map(unread).collect()
    }

    fn change(&self, topic: &Arc<str>, partition: i32, change: impl FnOnce(&mut Line, Instant)) {
        let now = self.clock.now();
        let place = (topic.clone(), partition);
        let mut inner = self.lock();
        inner.left.remove(&place);
        change(inner.lines.entry(place).or_insert_with(|| Line::new(now)), now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            log_start: 0,
            log_end: 0,
            log_at: None,
            beyond: 0,
            stored: None,
            begins: None,
            read_next: None,
            marks: VecDeque::new(),
            ends: VecDeque::new(),
        }
    }

    fn logged(&mut self, start: i64, end: i64, now: Instant) {
        // An answer that was overtaken by a later one says nothing new.
        if self.log_at.is_some_and(|at| at > now) {
            return;
        }
        let is_beyond = self.stored.is_some_and(|stored| end < stored.next);
        self.beyond = if is_beyond { self.beyond.saturating_add(1) } else { 0 };
        // What came since the last look came right behind it where records flow, so that is taken for when it came.
        let earliest = now.checked_sub(LOOK_GAP_MAX).unwrap_or(now);
        let came = self.log_at.map_or(now, |before| before.max(earliest));
        (self.log_start, self.log_end, self.log_at) = (start, end, Some(now));
        match self.ends.back_mut() {
            Some((last, _)) if end < *last => self.ends = VecDeque::from([(end, now)]),
            Some((last, at)) if now.duration_since(*at) < END_SPACING => *last = end,
            Some((last, _)) if end == *last => {}
            _ => push(&mut self.ends, (end, came)),
        }
    }

    fn stored(&mut self, stored: StoredOffset) {
        // What the log had when it was first looked at has been there since the sinks had all of it, at least.
        if self.stored.is_none()
            && let Some((_, at)) = self.ends.front_mut()
        {
            *at = stored.asked.checked_sub(stored.resting).unwrap_or(*at).min(*at);
        }
        self.stored = Some(stored);
        while self.marks.front().is_some_and(|&(next, _)| next <= stored.next) {
            self.marks.pop_front();
        }
        // The last one stays: it says that nothing was there beyond.
        while self.ends.len() > 1 && self.ends.front().is_some_and(|&(end, _)| end <= stored.next) {
            self.ends.pop_front();
        }
    }

    fn lag(
        &self,
        (topic, partition): &(Arc<str>, i32),
        settled: Option<(i64, i64)>,
        now: Instant,
        wall_us: i64,
    ) -> Option<Lag> {
        let log_at = self.log_at?;
        let next = self.next(settled);
        let records = if self.beyond >= BEYOND_TIMES {
            // None of the offsets that are stored is of this log: all of it is missing.
            (self.log_end - self.log_start).max(0)
        } else {
            (self.log_end - next).max(0)
        };
        let seconds = if records > 0 { self.age_of_first(next, now, wall_us) } else { 0.0 };
        let older = self.stored.map_or(self.since, |stored| stored.asked).min(log_at);
        let sample_age_seconds = now.saturating_duration_since(older).as_secs_f64();
        Some(Lag { topic: topic.clone(), partition: *partition, records, seconds, sample_age_seconds })
    }

    /// The first offset the sinks lack, of those the log still has.
    fn next(&self, settled: Option<(i64, i64)>) -> i64 {
        let (stored, epoch) = match self.stored {
            Some(stored) => (Some(stored.next), stored.epoch),
            None => (self.begins, i64::MIN),
        };
        let since = settled.filter(|(claim, _)| *claim >= epoch).map(|(_, next)| next);
        stored.max(since).unwrap_or(self.log_start).max(self.log_start)
    }

    /// Of the record at `next`: by its own time if it was read, else since the log was seen to reach beyond it.
    fn age_of_first(&self, next: i64, now: Instant, wall_us: i64) -> f64 {
        if let Some((_, time_ms)) = self.marks.iter().find(|(end, _)| *end > next) {
            return (wall_us as f64 / 1e6 - *time_ms as f64 / 1e3).max(0.0);
        }
        let seen = self.ends.iter().find(|(end, _)| *end > next).or(self.ends.back());
        seen.map_or(0.0, |(_, at)| now.saturating_duration_since(*at).as_secs_f64())
    }
}

/// Adds `mark`. A full list forgets every second mark but the oldest two, which matter most: one may be passed already.
fn push<T: Copy>(marks: &mut VecDeque<T>, mark: T) {
    if marks.len() >= MARKS_MAX {
        let kept = marks.iter().enumerate().filter(|(index, _)| *index < 2 || index % 2 == 0);
        *marks = kept.map(|(_, mark)| *mark).collect();
    }
    marks.push_back(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn board() -> (LagBoard, Arc<str>, Clock) {
        let clock = Clock::simulated(DAY_US);
        (LagBoard::new(clock.clone()), "md.raw".into(), clock)
    }

    fn at(next: i64) -> StoredOffset {
        StoredOffset { next, epoch: 1, resting: Duration::ZERO, asked: Clock::system().now() }
    }

    fn only(board: &LagBoard) -> Lag {
        let mut lines = board.lines(&Settled::new());
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn lag_is_the_log_end_less_what_the_sinks_have() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 100, 500);
        board.stored(&topic, 0, at(450));
        assert_eq!(board.records(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn what_became_durable_since_counts_under_the_same_claim_or_a_newer_one() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 0, 500);
        board.stored(&topic, 0, StoredOffset { epoch: 3, ..at(450) });
        let lag = |epoch| board.lines(&[((topic.clone(), 0), (epoch, 490))].into())[0].records;
        assert_eq!((lag(2), lag(3), lag(4)), (50, 10, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn records_the_log_no_longer_has_are_no_lag() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 300, 500);
        board.stored(&topic, 0, at(10));
        assert_eq!(board.records(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_from_the_end_lacks_nothing_of_what_was_there_before() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 0, 500);
        board.passed(&topic, 0, 500);
        assert_eq!(board.records(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_made_anew_is_missing_as_a_whole_and_a_leaders_slip_is_not() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 0, 9_000);
        board.stored(&topic, 0, at(9_000));
        board.log(&topic, 0, 0, 40);
        assert_eq!(board.records(), 0, "a new leader may tell an older end");
        board.log(&topic, 0, 0, 40);
        board.log(&topic, 0, 0, 40);
        assert_eq!(board.records(), 40);
        board.stored(&topic, 0, at(40));
        board.log(&topic, 0, 0, 40);
        assert_eq!(board.records(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn seconds_are_the_age_of_the_first_missing_record() {
        let (board, topic, clock) = board();
        let now_ms = clock.wall_us() / 1000;
        board.read(&topic, 0, 10, now_ms - 10_000);
        board.read(&topic, 0, 20, now_ms - 6_000);
        assert_eq!(only(&board).seconds, 10.0);
        board.stored(&topic, 0, at(10));
        assert_eq!(only(&board).seconds, 6.0);
        board.stored(&topic, 0, at(20));
        assert_eq!(only(&board).seconds, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_missing_record_is_remembered_however_many_come_after_it() {
        let (board, topic, clock) = board();
        let now_ms = clock.wall_us() / 1000;
        for batch in 1..10_000 {
            board.read(&topic, 0, batch * 10, now_ms - 20_000_000 + batch * 1000);
        }
        assert_eq!(only(&board).seconds, 19_999.0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_ages_since_it_was_seen_in_the_log() {
        let (board, topic, clock) = board();
        board.log(&topic, 0, 0, 100);
        board.stored(&topic, 0, at(100));
        for _ in 0..60 {
            clock.sleep(Duration::from_secs(1)).await;
            board.log(&topic, 0, 0, 100);
        }
        clock.sleep(Duration::from_secs(1)).await;
        board.log(&topic, 0, 0, 101);
        for _ in 0..200 {
            clock.sleep(Duration::from_secs(2)).await;
            let Lag { records, .. } = only(&board);
            board.log(&topic, 0, 0, 100 + records + 1);
        }
        assert_eq!(only(&board).seconds, 401.0, "it came after the last look that did not show it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missing_at_the_start_is_as_old_as_the_offset_has_rested() {
        let (board, topic, clock) = board();
        clock.sleep(Duration::from_secs(500)).await;
        board.adopt(&topic, 0, Duration::ZERO);
        board.log(&topic, 0, 0, 500);
        board.stored(&topic, 0, StoredOffset { resting: Duration::from_secs(90), ..at(100) });
        assert_eq!(only(&board).seconds, 90.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_sample_is_as_old_as_the_older_reading() {
        let (board, topic, clock) = board();
        board.log(&topic, 0, 0, 5);
        clock.sleep(Duration::from_secs(3)).await;
        board.stored(&topic, 0, at(5));
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(only(&board).sample_age_seconds, 4.0);
        board.log(&topic, 0, 0, 5);
        assert_eq!(only(&board).sample_age_seconds, 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn unread_is_what_the_source_has_not_taken_whatever_sinks_have() {
        let (board, topic, _) = board();
        board.log(&topic, 0, 100, 500);
        assert_eq!(board.unread(), [], "nobody reads it yet");
        board.passed(&topic, 0, 450);
        board.stored(&topic, 0, at(100));
        assert_eq!(board.unread(), [Unread { topic: topic.clone(), partition: 0, next: 450, records: 50 }]);
        board.read(&topic, 0, 500, 1_000);
        assert_eq!(board.unread(), []);
        assert_eq!(board.records(), 400, "sinks lag all the same");
        board.log(&topic, 0, 100, 900);
        board.restarted();
        assert_eq!(board.unread(), [], "a new life reads nothing until it says so");
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_partition_has_no_line_until_it_is_clear_that_nobody_else_takes_it() {
        let (board, topic, clock) = board();
        let patience = Duration::from_secs(10);
        board.log(&topic, 0, 0, 5);
        board.remove(&topic, 0);
        board.stored(&topic, 0, at(3));
        board.adopt(&topic, 0, patience);
        assert!(board.lines(&Settled::new()).is_empty());
        clock.sleep(patience).await;
        board.adopt(&topic, 0, patience);
        assert!(board.lines(&Settled::new()).is_empty(), "nobody has looked at the log yet");
        board.log(&topic, 0, 0, 5);
        board.stored(&topic, 0, at(3));
        assert_eq!(only(&board).records, 2);
        board.leave_to_others(&topic, 0);
        assert!(board.lines(&Settled::new()).is_empty());
    }
}
