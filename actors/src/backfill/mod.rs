//! Filling a range of a table again: from the log, or from a file, beside the live topology.
//!
//! A backfill finds its [`Way`] to the table and looks at the [`Ground`]; it [plans](plan) which records to read and
//! [begins](begin) in one snapshot with the live writer's offsets. Then a part of the topology ([`Lane`]) runs: the records
//! are sources of their own, `backfill:<id>:<source>`, with claims of their own; the normalizers are the topology's; an actor
//! lets only rows of the range pass; the writer is the topology's, in a session that also counts. So live offsets, members
//! and claims are untouched, it may be killed anywhere, and whoever gives the same command again goes on.
//!
//! What becomes of rows that are there is the [`Mode`].

mod file;
mod ground;
mod judge;
mod kafka;
mod lane;
mod plan;
mod rows;
mod run;
mod source;
mod state;
mod store;
mod table_rows;
mod throttle;

pub use file::{FileRecords, Form};
pub use ground::Ground;
pub use judge::Counts;
pub use lane::{Lane, ROWS, Source, Way};
pub use plan::{Part, Slack, plan};
pub use run::{Backfill, Judged, Records};
pub use state::{
    Entry, Wish, abandon, as_begun, begin, count, exclude_others, finish, get, left, letters, take_up,
    unfinished,
};
pub use table_rows::normalizer_of_rows;
pub use throttle::Throttle;

/// What the identity of a backfill's source begins with; its number and the source in whose place it reads follow.
pub const SOURCE_PREFIX: &str = "backfill:";

/// The origin of a backfill from the topology's own topics.
pub const KAFKA: &str = "kafka";

/// What becomes of rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There are none, and rows have no key: whatever is read is added, once.
    IntoEmpty,
    /// They are deleted first.
    Replace,
    /// They stay: a unique index tells which they are.
    Unique,
    /// They stay: they are looked up by a key that has no unique index.
    LookedUp,
}

impl Mode {
    /// Every mode.
    const ALL: [Mode; 4] = [Mode::IntoEmpty, Mode::Replace, Mode::Unique, Mode::LookedUp];

    /// As it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::IntoEmpty => "into_empty",
            Mode::Replace => "replace",
            Mode::Unique => "unique",
            Mode::LookedUp => "looked_up",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}
