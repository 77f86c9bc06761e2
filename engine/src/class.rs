//! The one classification of errors. What happens next depends on the class alone.

use std::borrow::Cow;

/// What an error means for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Goes away by itself: wait, retry.
    Transient,
    /// The other side is full (disk, memory): pause, alert, never dead-letter.
    Capacity,
    /// The record is at fault: reject it.
    Data,
    /// Somebody newer owns the partition: release it.
    Fenced,
    /// Somebody must change something (missing table, bad password): wait, not ready, alert.
    Config,
    /// We are at fault: crash, and let the supervisor decide.
    Bug,
}

impl Class {
    /// The word used in metrics, dead letters and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Capacity => "capacity",
            Class::Data => "data",
            Class::Fenced => "fenced",
            Class::Config => "config",
            Class::Bug => "bug",
        }
    }
}

/// An error that knows its class. `message` says where, what and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What happens next.
    pub class: Class,
    /// For people; never holds a secret.
    pub message: Cow<'static, str>,
}

impl Error {
    /// An error of `class`.
    pub fn new(class: Class, message: impl Into<Cow<'static, str>>) -> Self {
        Self { class, message: message.into() }
    }

    /// Our own fault.
    pub fn bug(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Bug, message)
    }
}
