//! What the stores remember of a topology, for people who look at a node: dead letters and drills; and the way to have
//! letters replayed.
//!
//! A node gives it to the application that it builds; the engine itself has no driver. Deliberately absent: anything that
//! probes, metrics or actors wait for. Only who asks for letters or drills waits for the store, and not for long.

use crate::class::Error;
use crate::events::Events;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Dead letters of one actor and one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LetterGroup {
    /// The identity of who rejected them.
    pub actor: String,
    /// A stable word.
    pub reason: String,
    /// How many nobody has replayed.
    pub new: i64,
    /// How many a replay rejected again.
    pub failed_again: i64,
    /// How many are durable by now.
    pub replayed: i64,
    /// When the first was stored, microseconds since 1970 UTC.
    pub oldest_us: i64,
    /// When the last was stored, microseconds since 1970 UTC.
    pub newest_us: i64,
    /// The newest that is not replayed.
    pub sample: Option<LetterSample>,
}

/// One letter, cut to what a person reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LetterSample {
    /// Its number.
    pub id: i64,
    /// Where the record came from.
    pub topic: String,
    /// .. and which partition of it.
    pub partition: i32,
    /// .. and where there.
    pub offset: i64,
    /// Why it was rejected, as a class.
    pub class: String,
    /// Why, for people.
    pub detail: String,
    /// When it was stored, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The record's key, what is no text replaced.
    pub key: Option<String>,
    /// The beginning of its value, what is no text replaced.
    pub value: Option<String>,
    /// How long the value is.
    pub bytes: Option<i64>,
}

/// One drill that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drill {
    /// Which.
    pub drill: String,
    /// Whether it held.
    pub passed: bool,
    /// By which node.
    pub node: String,
    /// Microseconds since 1970 UTC.
    pub started_us: i64,
    /// Microseconds since 1970 UTC.
    pub ended_us: i64,
    /// What was measured.
    pub report: serde_json::Value,
}

/// Which letters shall be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LetterChoice {
    /// Rejected by the actor of this name or identity.
    pub actor: String,
    /// For this reason; without one, for whatever reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// Those too that a replay rejected before.
    #[serde(default)]
    pub again: bool,
}

/// See the module.
pub trait Archive: Send + Sync {
    /// Letters by actor and reason, the most first, [`crate::limits::ARCHIVE_ROWS_MAX`] at most.
    fn letters(&self) -> BoxFuture<'_, Result<Vec<LetterGroup>, Error>>;

    /// Drills, the newest first, as many at most.
    fn drills(&self) -> BoxFuture<'_, Result<Vec<Drill>, Error>>;

    /// The command that replays what `choice` says, to be pasted; `None` = this node does not know its own file.
    fn command(&self, choice: &LetterChoice) -> Option<String>;

    /// Replays them, telling `events` how far it has come; what came of it, for people. One at a time: who calls sees to
    /// that. Dropping it ends the replay, which may be run again.
    fn replay(&self, choice: LetterChoice, events: Events) -> BoxFuture<'_, Result<String, Error>>;
}
