//! The examples of a file: what is sent, what goes wrong, and what is expected to come of it.

use super::{Expr, FieldType};
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
    /// What the tables behind writers are like.
    pub tables: Vec<(Spanned<String>, Table)>,
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

/// Records, or rows, for one actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// When, from the start.
    pub at: Duration,
    /// To whom.
    pub to: Spanned<String>,
    /// What. The value of a row is a JSON object of its columns.
    pub records: Vec<TestRecord>,
    /// They are rows for a sink.
    pub are_rows: bool,
}

/// What a table is like, beyond the topology's own columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Columns of another type than the topology's field.
    pub columns: Vec<(Spanned<String>, FieldType)>,
    /// Columns that refuse NULL.
    pub not_null: Vec<Spanned<String>>,
    /// Columns that are unique together.
    pub unique: Vec<Spanned<String>>,
    /// Conditions on a row, by the constraint's name.
    pub check: Vec<(Spanned<String>, Expr)>,
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
    /// Which partition; `None` = all.
    pub partition: Option<u32>,
    /// The record that makes the actor panic whenever it is given it.
    pub offset: Option<i64>,
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
    /// Another node claims a source's partitions, and it is not told.
    Takeover,
}

/// What must hold. A part that is not written is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Of each sink.
    pub sinks: Vec<(Spanned<String>, SinkExpect)>,
    /// Exactly these letters, in order of partition and offset.
    pub dead_letter: Option<Spanned<Vec<ExpectedLetter>>>,
    /// The next offset of a sink in a partition.
    pub offsets: Vec<ExpectedOffset>,
    /// How often an actor was restarted.
    pub restarts: Vec<(Spanned<String>, Spanned<i64>)>,
    /// The state of an actor.
    pub states: Vec<(Spanned<String>, Spanned<String>)>,
    /// Counts of records by fate.
    pub ledger: Vec<(Spanned<String>, Spanned<i64>)>,
    /// The code with which the run has ended by itself.
    pub exit: Option<Spanned<i64>>,
}

/// Where a sink stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedOffset {
    /// Which sink.
    pub sink: Spanned<String>,
    /// Of which source; `None` = of its first.
    pub source: Option<Spanned<String>>,
    /// In which partition.
    pub partition: u32,
    /// The next offset it needs.
    pub next: Spanned<i64>,
}

/// In which order rows are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// By partition and offset of their records.
    #[default]
    Read,
    /// As they arrived.
    Arrival,
    /// In none.
    Any,
}

/// What must hold of one sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkExpect {
    /// Exactly these rows.
    pub rows: Option<Spanned<Vec<ExpectedRow>>>,
    /// In that order.
    pub order: RowOrder,
    /// A row that is there more than once counts once.
    pub doubles: bool,
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
