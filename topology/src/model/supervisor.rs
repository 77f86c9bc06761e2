//! Supervision, in Erlang/OTP's words and meanings.

use crate::{Span, Spanned};
use std::time::Duration;

/// Who is restarted when a child ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// That child.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// That child and those started after it.
    RestForOne,
}

/// Whether a child is started again after it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal end.
    Transient,
    /// Never.
    Temporary,
}

/// The wait before a restart: `initial`, doubled each time up to `max`, spread by `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// Share of the wait by which it varies, 0..=1.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(100), max: Duration::from_secs(10), jitter: 0.2 }
    }
}

/// One supervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct Supervisor {
    /// Its name; the implicit root is called `root`.
    pub name: Spanned<String>,
    /// Who is restarted.
    pub strategy: Strategy,
    /// More restarts than this within `period` escalate.
    pub intensity: u32,
    /// The window in which restarts count.
    pub period: Duration,
    /// The wait before a restart.
    pub backoff: Backoff,
    /// Actors and supervisors, in start order.
    pub children: Vec<Spanned<String>>,
    /// The whole entry.
    pub span: Span,
}
