//! What can go wrong with a stack, said so that the reader knows what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::part::Part;

/// A failure to provision, start, drive or end a stack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks tools or rights; all of them in one message. Said before anything is fetched or started, and never
    /// later: whoever can do without the stack may go by that.
    #[error("the stack cannot run on this machine yet:\n{}", list(.0))]
    Missing(Vec<Missing>),
    /// A file operation failed.
    #[error("{doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done, such as "read".
        doing: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Software could not be fetched or unpacked.
    #[error("provision {what}: {why}")]
    Provision {
        /// Name and version of the software.
        what: String,
        /// The reason, with the tail of the tool's own output.
        why: String,
    },
    /// A downloaded file is not the one this crate was written for.
    #[error("provision {what}: {problem}; nothing of this download was used")]
    Checksum {
        /// Name and version of the software.
        what: String,
        /// Which file, and what is wrong with it.
        problem: String,
    },
    /// A part did not become healthy.
    #[error("{part} did not start: {why}\n--- last lines of {} ---\n{tail}", log.display())]
    Start {
        /// The part concerned.
        part: Part,
        /// What was seen.
        why: String,
        /// Where the whole log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// One of the user's own servers does not answer.
    #[error(
        "{part} at {place} (from {variable}) does not answer: {why}; check the address, or unset {variable} to use a private one"
    )]
    External {
        /// The part concerned.
        part: Part,
        /// The variable that named it.
        variable: &'static str,
        /// The address, without its password.
        place: String,
        /// The client's answer.
        why: String,
    },
    /// A part was asked to do what only a private part can.
    #[error("{part} is your own (from {variable}); only a part that the stack started can be {verb}")]
    NotOurs {
        /// The part concerned.
        part: Part,
        /// The variable that named it.
        variable: &'static str,
        /// "killed", "paused" ...
        verb: &'static str,
    },
    /// A name, address or folder that cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A request to a running part failed.
    #[error("{doing}: {why}")]
    Request {
        /// What was asked.
        doing: String,
        /// The server's or client's answer.
        why: String,
    },
}

/// One thing the machine lacks, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing and what it is for.
    pub what: String,
    /// The command or setting that cures it.
    pub remedy: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n      {}", self.what, self.remedy)
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(|one| format!("  - {one}")).collect::<Vec<_>>().join("\n")
}

impl Error {
    /// Wraps an I/O error with what was done to which path; for `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { doing, path, source }
    }

    /// Wraps a client's error; for `map_err`.
    pub(crate) fn request<E: fmt::Display>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
        let doing = doing.into();
        move |why| Error::Request { doing, why: why.to_string() }
    }
}
