//! A node's own settings: what belongs to a machine and not to a topology.
//!
//! A setting has one name, the path of its key in `engine.yaml`, from which its variable and its flag are looked up in
//! [`ALL`]. Each of the three may say it; [`resolve`] takes the first in the order flag, environment, file, default. A
//! value is read by the same function wherever it was said, so what the file refuses is refused everywhere.
//!
//! Deliberately absent: the environment and the command line themselves, which the program reads and hands over, and
//! the admin token, which is a secret and no setting.

mod endpoint;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod value;

pub use endpoint::Endpoint;
pub use read::{Layer, load_settings, setting_of};
pub use resolve::{Machine, NodeSettings, Origin, Said, resolve};
pub use value::Value;

use crate::catalog::{Key, Shape};

/// One setting, and where it may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The path of its key in `engine.yaml`: `admin.listen`.
    pub key: &'static str,
    /// Its variable.
    pub variable: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
}

const fn setting(key: &'static str, variable: &'static str, flag: &'static str) -> Setting {
    Setting { key, variable, flag }
}

/// Every setting, in the file's order.
pub const ALL: &[Setting] = &[
    setting("node", "AQUEDUCT_NODE", "node"),
    setting("admin.listen", "AQUEDUCT_ADMIN_LISTEN", "admin-listen"),
    setting("admin.token_file", "AQUEDUCT_ADMIN_TOKEN_FILE", "admin-token-file"),
    setting("admin.redact", "AQUEDUCT_ADMIN_REDACT", "admin-redact"),
    setting("log.filter", "AQUEDUCT_LOG", "log"),
    setting("log.format", "AQUEDUCT_LOG_FORMAT", "log-format"),
    setting("arbiters", "AQUEDUCT_ARBITERS", "arbiters"),
    setting("memory_budget", "AQUEDUCT_MEMORY_BUDGET", "memory-budget"),
    setting("drain_deadline", "AQUEDUCT_DRAIN_DEADLINE", "drain-deadline"),
    setting("watchdog.stalled_after", "AQUEDUCT_STALLED_AFTER", "stalled-after"),
    setting("watchdog.stuck_after", "AQUEDUCT_STUCK_AFTER", "stuck-after"),
    setting("traces.endpoint", "AQUEDUCT_TRACES_ENDPOINT", "traces-endpoint"),
    setting("traces.ratio", "AQUEDUCT_TRACES_RATIO", "traces-ratio"),
];

/// The setting of that name.
pub fn setting_named(key: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.key == key)
}

/// The keys of `engine.yaml`.
pub const SETTINGS: &[Key] = &[
    Key::default(
        "node",
        Shape::Text,
        "this machine's name",
        "The node's stable name: in metrics, in offsets, and how its Kafka group knows it again after a restart.",
    ),
    Key::optional("admin", Shape::Part(ADMIN), "The HTTP side."),
    Key::optional("log", Shape::Part(LOG), "What is logged, and how."),
    Key::default(
        "arbiters",
        Shape::Integer(1, 1024),
        "16, or one per core if there are more",
        "Most threads that run actors; there are never more than actors. Where there are fewer, who shares one follows from `load`.",
    ),
    Key::default(
        "memory_budget",
        Shape::Size,
        "no bound",
        "What a topology may hold in memory at worst, as `aqueduct explain FILE` adds it up; more is refused.",
    ),
    Key::default(
        "drain_deadline",
        Shape::Duration,
        "30s",
        "How long a drain may take; then it is cut, exit code 74, and what will be replayed is said.",
    ),
    Key::optional("watchdog", Shape::Part(WATCHDOG), "When somebody is taken for stuck."),
    Key::optional("traces", Shape::Part(TRACES), "Spans of batches, for an OpenTelemetry collector."),
];

/// `admin`.
pub const ADMIN: &[Key] = &[
    Key::default(
        "listen",
        Shape::Text,
        "127.0.0.1:9464",
        "Where it listens: an IP address and a port; port 0 is any free one.",
    ),
    Key::default(
        "token_file",
        Shape::File,
        "no file",
        "Where the bearer token is, unless the variable `AQUEDUCT_ADMIN_TOKEN` holds it; without a token, commands are off.",
    ),
    Key::default(
        "redact",
        Shape::Text,
        "names of secrets alone",
        "Fields whose values `aqueduct tap` never shows, apart by commas, besides those whose names speak of secrets.",
    ),
];

/// `log`.
pub const LOG: &[Key] = &[
    Key::default("filter", Shape::Text, "info", "Which lines, such as `info,aqueduct_engine=debug`."),
    Key::default("format", Shape::Word(&["text", "json"]), "text", "The form of a line."),
];

/// `watchdog`.
pub const WATCHDOG: &[Key] = &[
    Key::default(
        "stalled_after",
        Shape::Duration,
        "60s",
        "How long an actor may have input and settle nothing; then it makes new connections, then it is restarted.",
    ),
    Key::default(
        "stuck_after",
        Shape::Duration,
        "30s",
        "How long a thread may give no answer; then it is abandoned, and its other actors move.",
    ),
];

/// `traces`.
pub const TRACES: &[Key] = &[
    Key::default(
        "endpoint",
        Shape::Text,
        "nobody traces",
        "The collector that takes spans by OTLP over HTTP: `http://`, a host and a port; `/v1/traces` unless a path is given.",
    ),
    Key::default(
        "ratio",
        Shape::Share,
        "0.01",
        "Of the batches whose records have no `traceparent` header, so many are traced.",
    ),
];
