//! Words of other programs, and of earlier drafts: each with ours, so that nothing foreign loads silently.
//!
//! The words are those of Vector, Redpanda Connect and Telegraf first, at the places where their authors write them.

mod actor;
mod file;
mod kinds;
mod parts;

pub(crate) use kinds::{our_kind, our_word};

/// Where a word was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of the file.
    File,
    /// In an actor.
    Actor,
    /// In a field.
    Field,
    /// In `connections`, or one of them.
    Connection,
    /// In a supervisor.
    Supervisor,
    /// In a test.
    Test,
    /// In a node's settings.
    Settings,
}

/// A word and what to write instead.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Where it counts as foreign.
    pub place: Place,
    /// As written.
    pub word: &'static str,
    /// What to write instead, as a sentence's end: `write ..`.
    pub ours: &'static str,
}

const fn foreign(place: Place, word: &'static str, ours: &'static str) -> Foreign {
    Foreign { place, word, ours }
}

/// The words of a node's settings.
const SETTINGS: &[Foreign] = &[
    foreign(Place::Settings, "listen", "`admin: { listen }`"),
    foreign(Place::Settings, "address", "`listen`, under `admin`"),
    foreign(Place::Settings, "api", "`admin: { listen }`"),
    foreign(Place::Settings, "http", "`admin: { listen }`"),
    foreign(Place::Settings, "token", "`token_file`, under `admin`: a secret is in a file of its own"),
    foreign(Place::Settings, "log_level", "`log: { filter }`"),
    foreign(Place::Settings, "log_format", "`log: { format }`"),
    foreign(Place::Settings, "logger", "`log: { filter, format }`"),
    foreign(Place::Settings, "logging", "`log: { filter, format }`"),
    foreign(Place::Settings, "debug", "`log: { filter: debug }`"),
    foreign(Place::Settings, "quiet", "`log: { filter: error }`"),
    foreign(Place::Settings, "agent", "nothing: the settings stand at the top of the file"),
    foreign(Place::Settings, "global", "nothing: the settings stand at the top of the file"),
    foreign(Place::Settings, "metrics", "nothing: metrics are always at `/metrics`"),
    foreign(Place::Settings, "data_dir", "nothing: a node keeps nothing on its disk"),
    foreign(Place::Settings, "shutdown_timeout", "`drain_deadline`"),
    foreign(Place::Settings, "shutdown_delay", "`drain_deadline`"),
    foreign(Place::Settings, "graceful_shutdown_limit_secs", "`drain_deadline`"),
    foreign(Place::Settings, "topology", "it into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "actors", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "connections", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "supervisors", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "memory_limit", "`memory_budget`"),
    foreign(Place::Settings, "level", "`filter`"),
    foreign(Place::Settings, "threads", "`arbiters`"),
    foreign(Place::Settings, "workers", "`arbiters`"),
    foreign(Place::Settings, "hostname", "`node`"),
];

/// The table.
pub const FOREIGN: &[&[Foreign]] = &[file::WORDS, actor::WORDS, parts::WORDS, SETTINGS];

/// What to write instead of `word`, if it is foreign there. Of `inputs.kafka_consumer` the first part counts.
pub(crate) fn ours(place: Place, word: &str) -> Option<&'static str> {
    let find = |word: &str| {
        let mut words = FOREIGN.iter().copied().flatten();
        words.find(|foreign| foreign.place == place && foreign.word == word).map(|foreign| foreign.ours)
    };
    find(word).or_else(|| find(word.split_once('.')?.0))
}
