//! Why one start of an actor ended, as a value.

use super::core::Ended;
use crate::class::{Class, Error};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Why one start of an actor ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "exit", rename_all = "snake_case")]
pub enum Exit {
    /// Its data ended: a source has no more, or every input is closed and empty. Its outputs were closed.
    Finished,
    /// It returned `Ok` although nobody asked and more data may come.
    Returned,
    /// It was asked to.
    Stopped,
    /// `run` returned an error.
    Crashed {
        /// The error's class.
        class: &'static str,
        /// The error.
        message: String,
    },
    /// `run`, or building the actor, panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// File and line, where known.
        location: String,
    },
    /// It did not stop within its shutdown time and was dropped.
    Killed {
        /// How long it had.
        after: Duration,
    },
    /// It never yielded, so its arbiter was abandoned with it.
    Stuck {
        /// How long its arbiter gave no answer.
        after: Duration,
    },
}

impl Exit {
    /// The exit of a `run` that returned `error` on its own.
    pub fn crashed(error: &Error) -> Self {
        Exit::Crashed { class: error.class.as_str(), message: error.message.to_string() }
    }

    /// What it means to a supervisor.
    pub fn ended(&self) -> Ended {
        match self {
            Exit::Finished => Ended::Finished,
            Exit::Returned | Exit::Stopped => Ended::Normal,
            Exit::Crashed { .. } | Exit::Panicked { .. } | Exit::Killed { .. } | Exit::Stuck { .. } => {
                Ended::Abnormal
            }
        }
    }

    /// The class of a crash; a panic is a bug.
    pub(crate) fn class(&self) -> Option<&'static str> {
        match self {
            Exit::Crashed { class, .. } => Some(class),
            Exit::Panicked { .. } => Some(Class::Bug.as_str()),
            _ => None,
        }
    }

    /// Whether the actor's own code, or the record it had, is to blame: only then does a batch it held count as
    /// delivered. An output that was closed, a stop or a lost claim says nothing about a record.
    pub fn is_own_fault(&self) -> bool {
        match self {
            Exit::Panicked { .. } => true,
            Exit::Crashed { class, .. } => [Class::Bug.as_str(), Class::Data.as_str()].contains(class),
            _ => false,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Finished => write!(f, "finished: its data ended"),
            Exit::Returned => write!(f, "returned although more data may come"),
            Exit::Stopped => write!(f, "stopped as asked"),
            Exit::Crashed { class, message } => write!(f, "crashed ({class}): {message}"),
            Exit::Panicked { message, location } => write!(f, "panicked at {location}: {message}"),
            Exit::Killed { after } => write!(f, "killed: did not stop within {after:?}"),
            Exit::Stuck { after } => write!(f, "abandoned: did not yield for {after:?}"),
        }
    }
}
