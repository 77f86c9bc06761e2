//! What keeps a migration from being applied, said so that somebody can act on it.

use super::lexer::Unterminated;
use super::report::Finding;
use aqueduct_engine::Class;
use std::fmt;
use std::time::Duration;

/// Why a command of the migrator ended without having done its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A file, or the folder, is not as it must be. Nothing was sent to the database.
    #[error("{place}: {wrong}")]
    File {
        /// The file or folder.
        place: String,
        /// What is wrong, and what to do.
        wrong: String,
    },
    /// The files and the database tell different histories. Nothing was applied.
    #[error("files and database disagree, so nothing was applied:\n{}", lines(.0))]
    Drift(Vec<Finding>),
    /// Another session migrates this database and did not finish in time.
    #[error(
        "another session still migrates this database after {} s: {holder}; wait for it, or end it and run \
         `aqueduct migrate up` again",
        waited.as_secs()
    )]
    Busy {
        /// Who.
        holder: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The database refused a statement of a file.
    #[error(transparent)]
    Statement(Box<StatementError>),
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] aqueduct_engine::Error),
}

impl Error {
    pub(super) fn file(place: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self::File { place: place.into(), wrong: wrong.into() }
    }

    pub(in crate::timescale) fn unterminated(place: &str, error: &Unterminated) -> Self {
        Self::File {
            place: format!("{place}:{}", error.line),
            wrong: format!("{} that begins here does not end", error.what),
        }
    }

    /// What happens next.
    pub fn class(&self) -> Class {
        match self {
            Error::File { .. } | Error::Drift(_) => Class::Config,
            Error::Busy { .. } => Class::Transient,
            Error::Statement(error) => error.class,
            Error::Database(error) => error.class,
        }
    }
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    lines.join("\n")
}

/// A statement of a file that the database refused.
#[derive(Clone, Debug, thiserror::Error)]
pub struct StatementError {
    /// The file, with its folder.
    pub place: String,
    /// The line of the fault if the server said where, else the statement's first.
    pub line: u32,
    /// Which statement of the file, from 1, of how many.
    pub statement: (usize, usize),
    /// SQLSTATE; `None` = the connection failed.
    pub state: Option<String>,
    /// The server's message, with its detail and hint.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
    /// What became of the statements before it.
    pub outcome: Outcome,
    /// What happens next.
    pub class: Class,
}

impl fmt::Display for StatementError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, count) = self.statement;
        write!(formatter, "{}:{}: statement {number} of {count}: {}", self.place, self.line, self.message)?;
        if let Some(state) = &self.state {
            write!(formatter, " (SQLSTATE {state})")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(formatter, "\n  {remedy}")?;
        }
        write!(formatter, "\n  {}", self.outcome)
    }
}

/// What a failed file leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran in a transaction.
    RolledBack,
    /// It ran outside one: what came before the failed statement stays, and is met again by the next run.
    Partial,
    /// The connection was lost while committing.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Outcome::RolledBack => "nothing of this file was kept; files before it are applied",
            Outcome::Partial => {
                "statements before it are done (the file runs outside a transaction); the next `aqueduct migrate up` \
                 runs the file again from its start"
            }
            Outcome::Unknown => {
                "the connection was lost before the answer; `aqueduct migrate status` tells whether the file is applied"
            }
        })
    }
}
