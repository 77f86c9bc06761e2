//! What the migrator says, for people a line each, for programs as JSON.

use super::schema::Drift;
use serde::Serialize;
use std::fmt;

/// A disagreement between the files and what the database remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `engine` or `topology/<name>`.
    pub set: String,
    /// The file, with its folder.
    pub file: String,
    /// Its number.
    pub version: i32,
    /// What is wrong.
    pub problem: Problem,
    /// In words, with what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file, self.message)
    }
}

/// The kinds of disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The file's text is not the one that was applied.
    Changed,
    /// The file was renamed after being applied.
    Renamed,
    /// Applied, but the file is gone.
    Missing,
    /// Applied by a newer release: the database is ahead of these files.
    Ahead,
    /// The same, by a migration after which these files' release must not go on.
    TooNew,
    /// A number is left out.
    Gap,
    /// Not applied, though a later one is.
    OutOfOrder,
}

impl Problem {
    /// Whether `up` refuses because of it. A database ahead of an older release is met in every rolling upgrade, and
    /// there is nothing to apply then.
    pub fn blocks(self) -> bool {
        self != Problem::Ahead
    }
}

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Files looked at.
    pub files: usize,
    /// Of them applied, unchanged.
    pub applied: usize,
    /// Not yet applied.
    pub pending: usize,
    /// Things of the live schema that were held against what migrations made.
    pub things: usize,
    /// Empty = files and records agree.
    pub findings: Vec<Finding>,
    /// Empty = what migrations made is what is live.
    pub drift: Vec<Drift>,
    /// Sets whose live schema was not compared: they were applied by a version that did not note what they made.
    pub not_noted: Vec<String>,
}

impl Verified {
    /// Whether the verification fails: what stands in the way of `up`, or a difference in the live schema.
    pub fn fails(&self) -> bool {
        !self.drift.is_empty() || self.findings.iter().any(|finding| finding.problem.blocks())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        for drift in &self.drift {
            writeln!(formatter, "{drift}")?;
        }
        for set in &self.not_noted {
            writeln!(
                formatter,
                "{set}: the live schema is not compared; `aqueduct migrate up` notes it as it is now"
            )?;
        }
        match self.drift.len() {
            0 => writeln!(formatter, "live schema: {} things as their migrations made them", self.things)?,
            count => {
                writeln!(formatter, "live schema: {count} differences, {} things compared", self.things)?
            }
        }
        let verdict =
            if self.findings.is_empty() { "files and database agree" } else { "files and database disagree" };
        write!(
            formatter,
            "{verdict}: {} files, {} applied, {} pending",
            self.files, self.applied, self.pending
        )
    }
}

/// What `up` would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order in which they would be applied.
    pub pending: Vec<Pending>,
    /// What stands in the way, and what is merely worth knowing.
    pub findings: Vec<Finding>,
}

/// A file to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// `engine` or `topology/<name>`.
    pub set: String,
    /// The file, with its folder.
    pub file: String,
    /// Its number.
    pub version: i32,
    /// How many statements it has.
    pub statements: usize,
    /// Whether they are one transaction.
    pub transactional: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        for one in &self.pending {
            let how = if one.transactional { "in one transaction" } else { "outside a transaction" };
            let plural = if one.statements == 1 { "" } else { "s" };
            writeln!(formatter, "{}: {} statement{plural}, {how}", one.file, one.statements)?;
        }
        match self.pending.len() {
            0 => write!(formatter, "nothing to apply"),
            1 => write!(formatter, "1 file to apply"),
            count => write!(formatter, "{count} files to apply"),
        }
    }
}

/// What `up` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// In order.
    pub applied: Vec<AppliedFile>,
    /// Files that were applied before.
    pub already: usize,
    /// What did not stand in the way: a database ahead of these files.
    pub findings: Vec<Finding>,
}

/// A file that `up` applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedFile {
    /// `engine` or `topology/<name>`.
    pub set: String,
    /// The file, with its folder.
    pub file: String,
    /// Its number.
    pub version: i32,
    /// How long it took.
    pub duration_ms: i64,
}

impl fmt::Display for AppliedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "applied {} in {} ms", self.file, self.duration_ms)
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        match self.applied.len() {
            0 => write!(formatter, "nothing to apply; {} files are applied", self.already),
            count => write!(formatter, "{count} applied, {} were applied before", self.already),
        }
    }
}

/// Every file and every applied migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// By set, then number.
    pub migrations: Vec<StatusLine>,
}

/// One migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusLine {
    /// `engine` or `topology/<name>`.
    pub set: String,
    /// Its number.
    pub version: i32,
    /// The file's name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// RFC 3339 UTC; absent while pending.
    pub applied_at: Option<String>,
    /// Role and session.
    pub applied_by: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i64>,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Applied as the file says.
    Applied,
    /// To be applied.
    Pending,
    /// Applied, and the file changed since.
    Changed,
    /// Applied, and the file is not there.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Changed => "changed",
            State::Missing => "missing",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.migrations.is_empty() {
            return write!(formatter, "no migrations");
        }
        let width = |of: fn(&StatusLine) -> usize| self.migrations.iter().map(of).max().unwrap_or(0);
        let (set, name) = (width(|line| line.set.len()), width(|line| line.name.len()));
        for (index, line) in self.migrations.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(formatter, "{end}{:set$}  {:name$}  {:7}", line.set, line.name, line.state)?;
            if let (Some(at), Some(by), Some(took)) = (&line.applied_at, &line.applied_by, line.duration_ms) {
                write!(formatter, "  {at}  {took} ms  {by}")?;
            }
        }
        Ok(())
    }
}

/// What happens while `up` is at work, for whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another session migrates; we wait our turn.
    WaitingForTurn {
        /// Who.
        holder: String,
    },
    /// A file begins.
    Started(Pending),
    /// A statement waits for a lock.
    WaitingForLock {
        /// File and line of the statement.
        place: String,
        /// Who holds the lock.
        holder: String,
    },
    /// A statement was carried out, and the server warns of something.
    Warned {
        /// File and line of the statement.
        place: String,
        /// The server's words.
        warning: String,
    },
    /// A file is applied.
    Finished(AppliedFile),
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::WaitingForTurn { holder } => {
                write!(formatter, "waiting: another session migrates this database: {holder}")
            }
            Event::Started(pending) => write!(formatter, "applying {}", pending.file),
            Event::WaitingForLock { place, holder } => {
                write!(formatter, "{place}: waiting for a lock held by {holder}")
            }
            Event::Warned { place, warning } => write!(formatter, "{place}: warning: {warning}"),
            Event::Finished(file) => file.fmt(formatter),
        }
    }
}
