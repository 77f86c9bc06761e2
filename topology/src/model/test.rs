//! The examples of a file: what is sent, what goes wrong, and what is expected to come of it.

use crate::{Span, Spanned};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One entry of `tests`.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What it shows.
    pub name: Spanned<String>,
    /// What is sent.
    pub sends: Vec<Send>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// It is judged after so long; `None` = once everything sent has been decided.
    pub lasts: Option<Duration>,
    /// What must hold then.
    pub expect: Expect,
}

impl Test {
    /// When the last thing happens that the test itself brings about.
    pub fn last_event(&self) -> Duration {
        let faults = self.faults.iter().map(|fault| fault.at + fault.lasting.unwrap_or_default());
        self.sends.iter().map(|send| send.at).chain(faults).max().unwrap_or_default()
    }
}

/// Records for one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// When, from the start.
    pub at: Duration,
    /// To which source.
    pub to: Spanned<String>,
    /// What.
    pub records: Vec<TestRecord>,
}

/// One element of `records`.
#[derive(Clone, Debug, PartialEq)]
pub enum TestRecord {
    /// A record.
    Record(Spanned<Record>),
    /// Each line of a file, beside the topology, is a value.
    File(Spanned<PathBuf>),
}

/// A record as it is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// `None` = tombstone.
    pub value: Option<Vec<u8>>,
    /// Its key.
    pub key: Option<String>,
    /// Its partition; the first one unless said.
    pub partition: Option<u32>,
    /// Its time, microseconds since 1970 UTC; that of its event unless said.
    pub time_us: Option<i64>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When, from the start.
    pub at: Duration,
    /// To whom.
    pub actor: Spanned<String>,
    /// What.
    pub kind: FaultKind,
    /// For how long; `None` = to the end. Means nothing to what happens at once.
    pub lasting: Option<Duration>,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The actor ends with an error.
    Crash,
    /// The actor panics.
    Panic,
    /// Redis is away.
    RedisDown,
    /// The sink gets no answer.
    SinkTimeout,
    /// The sink's disk is full.
    DiskFull,
    /// A source loses its partitions, and claims them anew.
    Revoke,
}

/// What must hold. A part that is not written is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Of each sink.
    pub sinks: Vec<(Spanned<String>, SinkExpect)>,
    /// Exactly these letters, in order of partition and offset.
    pub dead_letter: Option<Spanned<Vec<ExpectedLetter>>>,
    /// The next offset of a sink in a partition.
    pub offsets: Vec<(Spanned<String>, u32, Spanned<i64>)>,
    /// How often an actor was restarted.
    pub restarts: Vec<(Spanned<String>, Spanned<i64>)>,
    /// The state of an actor.
    pub states: Vec<(Spanned<String>, Spanned<String>)>,
    /// Counts of records by fate.
    pub ledger: Vec<(Spanned<String>, Spanned<i64>)>,
}

/// What must hold of one sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkExpect {
    /// Exactly these rows, in order.
    pub rows: Option<Spanned<Vec<ExpectedRow>>>,
    /// So many rows or keys.
    pub count: Option<Spanned<i64>>,
    /// These keys of a cache; `None` = the key has no value.
    pub keys: Vec<(Spanned<String>, Option<ExpectedRow>)>,
}

/// The fields that are looked at, each as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRow {
    /// By name.
    pub fields: Vec<(Spanned<String>, Spanned<String>)>,
    /// The whole row.
    pub span: Span,
}

/// The parts of a letter that are looked at, each as text.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedLetter {
    /// `actor`, `reason`, `offset`, ..
    pub parts: BTreeMap<&'static str, Spanned<String>>,
    /// The whole entry.
    pub span: Span,
}
