//! What a supervisor is told about its children, in Erlang/OTP's words and meanings.

use std::sync::Arc;
use std::time::Duration;

/// Who is restarted when a child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// That child.
    OneForOne,
    /// All children.
    OneForAll,
    /// That child and those started after it.
    RestForOne,
}

/// Whether a child is started again after it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Only after an abnormal end.
    Transient,
    /// Never.
    Temporary,
}

/// How long a child may take to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// So long, then it is killed.
    After(Duration),
    /// As long as it takes: for supervisors, whose children have their own bounds.
    Infinity,
}

/// One child.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is started again.
    pub restart: Restart,
    /// How long it may take to stop.
    pub shutdown: Shutdown,
}

/// More than `restarts` within `period` escalate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// How many are borne.
    pub restarts: u32,
    /// Within this time.
    pub period: Duration,
}

/// The wait before a restart: `initial`, doubled up to `max`, spread by ± `jitter` (a share).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffSpec {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// 0..=1.
    pub jitter: f64,
}

/// One supervisor.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Who is restarted.
    pub strategy: Strategy,
    /// When it gives up.
    pub intensity: Intensity,
    /// The wait before a restart.
    pub backoff: BackoffSpec,
    /// In start order.
    pub children: Vec<ChildSpec>,
}
