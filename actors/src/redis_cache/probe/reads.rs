//! How many of a cache's reads found their key: counts that only rise, and the share of the last minute.
//!
//! Deliberately absent: Redis and clocks.

use std::collections::{BTreeMap, VecDeque};

/// Beats that the share is taken over.
const BEATS_KEPT: usize = 12;

/// Reads since some beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Those that found their key.
    pub(crate) hits: u64,
    /// Those that did not.
    pub(crate) misses: u64,
}

impl Reads {
    /// What came after `before`; a counter that went back has begun anew.
    fn since(self, before: Self) -> Self {
        let came = |now: u64, before: u64| if now >= before { now - before } else { now };
        Self { hits: came(self.hits, before.hits), misses: came(self.misses, before.misses) }
    }

    fn less(self, other: Self) -> Self {
        Self { hits: self.hits.saturating_sub(other.hits), misses: self.misses.saturating_sub(other.misses) }
    }

    fn plus(self, other: Self) -> Self {
        Self { hits: self.hits.saturating_add(other.hits), misses: self.misses.saturating_add(other.misses) }
    }

    /// The share that found its key; `None` without a read.
    pub(crate) fn ratio(self) -> Option<f64> {
        let all = self.hits.saturating_add(self.misses);
        (all > 0).then(|| self.hits as f64 / all as f64)
    }
}

/// Follows one counter from beat to beat.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    last: Option<Reads>,
    recent: VecDeque<Reads>,
    total: Reads,
}

impl Follower {
    /// The counter stands at `now`.
    pub(crate) fn stands(&mut self, now: Reads) {
        // What was read before we began to look says nothing about now.
        let came = self.last.map(|last| now.since(last)).unwrap_or_default();
        self.last = Some(now);
        self.came(came);
    }

    fn came(&mut self, came: Reads) {
        self.total = self.total.plus(came);
        if self.recent.len() == BEATS_KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(came);
    }

    /// Everything since the first look.
    pub(crate) fn total(&self) -> Reads {
        self.total
    }

    /// The last minute.
    pub(crate) fn recent(&self) -> Reads {
        self.recent.iter().fold(Reads::default(), |sum, came| sum.plus(*came))
    }
}

/// The server's statistics, less what every cache updater looked up itself: what is left are readers.
#[derive(Debug, Default)]
pub(crate) struct OthersReads {
    server: Option<Reads>,
    writers: BTreeMap<String, Reads>,
    follower: Follower,
}

impl OthersReads {
    /// The server counts `server` look-ups; each writer says how many of them were its own.
    pub(crate) fn stand(&mut self, server: Reads, writers: BTreeMap<String, Reads>) {
        let own = writers.iter().map(|(writer, now)| match self.writers.get(writer) {
            Some(before) => now.since(*before),
            // One that is new here began after our last look, if we had one.
            None => *now,
        });
        let own = own.fold(Reads::default(), Reads::plus);
        if let Some(before) = self.server {
            self.follower.came(server.since(before).less(own));
        }
        (self.server, self.writers) = (Some(server), writers);
    }

    /// What readers did.
    pub(crate) fn readers(&self) -> &Follower {
        &self.follower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(hits: u64, misses: u64) -> Reads {
        Reads { hits, misses }
    }

    fn writers(of: &[(&str, Reads)]) -> BTreeMap<String, Reads> {
        of.iter().map(|(writer, reads)| ((*writer).to_owned(), *reads)).collect()
    }

    #[test]
    fn only_what_comes_after_the_first_look_counts() {
        let mut follower = Follower::default();
        follower.stands(reads(1_000, 1_000));
        assert_eq!(follower.recent().ratio(), None);
        follower.stands(reads(1_009, 1_001));
        assert_eq!(follower.recent().ratio(), Some(0.9));
    }

    #[test]
    fn a_server_that_was_restarted_counts_from_nothing() {
        let mut follower = Follower::default();
        follower.stands(reads(500, 500));
        follower.stands(reads(3, 1));
        assert_eq!(follower.total(), reads(3, 1));
    }

    #[test]
    fn the_share_is_that_of_the_last_minute() {
        let mut follower = Follower::default();
        let mut now = reads(0, 0);
        for beat in 0..=BEATS_KEPT as u64 * 2 {
            follower.stands(now);
            let found = beat >= BEATS_KEPT as u64;
            now = now.plus(if found { reads(1, 0) } else { reads(0, 1) });
        }
        assert_eq!(follower.recent().ratio(), Some(1.0));
        assert_eq!(follower.total(), reads(12, 12));
    }

    #[test]
    fn what_writers_look_up_is_no_read() {
        let mut others = OthersReads::default();
        others.stand(reads(100, 10), writers(&[("a", reads(90, 10))]));
        others.stand(reads(180, 40), writers(&[("a", reads(150, 15)), ("b", reads(10, 5))]));
        assert_eq!(others.readers().total(), reads(10, 20));
    }

    #[test]
    fn writers_that_say_more_than_the_server_leave_no_negative_reads() {
        let mut others = OthersReads::default();
        others.stand(reads(0, 0), writers(&[]));
        others.stand(reads(5, 0), writers(&[("a", reads(9, 3))]));
        assert_eq!(others.readers().total(), reads(0, 0));
    }
}
