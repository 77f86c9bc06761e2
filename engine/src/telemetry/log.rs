//! Logs: one subscriber per process, as text for people or JSON for machines, to stderr.
//!
//! A line has the stable word of its kind of event ([`event_ids`](super::event_ids)); what repeats itself is counted
//! ([`repeats`](super::repeats)). As JSON, every field is a member of the object.
//!
//! Secrets never get here: they are `SecretString`s, which print as nothing, and connection strings are not logged.

use super::repeats::Repeats;
use crate::class::{Class, Error};
use crate::clock::Clock;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static REPEATS: OnceLock<Repeats> = OnceLock::new();

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// `info`, or by target: `info,aqueduct_engine=debug`.
    pub filter: String,
    /// Colours; for terminals.
    pub ansi: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned(), ansi: false }
    }
}

/// Installs the subscriber. Refused when the filter cannot be read, or there is one already.
pub fn install(settings: &LogSettings) -> Result<(), Error> {
    let refused = |error: String| Error::new(Class::Config, error);
    let filter = EnvFilter::try_new(with_quiet_drivers(&settings.filter))
        .map_err(|error| refused(format!("log filter `{}` cannot be read: {error}", settings.filter)))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would say with a panic, in whoever logs, that a line cannot be written: a full disk is no reason to stop.
        .log_internal_errors(false)
        .with_ansi(settings.ansi);
    let repeats = REPEATS.get_or_init(|| Repeats::new(Clock::system())).clone();
    let installed = match settings.format {
        LogFormat::Text => lines.finish().with(repeats).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(repeats).try_init(),
    };
    installed.map_err(|error| refused(format!("cannot install the log: {error}")))
}

/// Says what was left out of the log lately.
pub(super) fn sum_up() {
    if let Some(repeats) = REPEATS.get() {
        repeats.sum_up();
    }
}

/// The Kafka driver logs on its own account what it also returns, and each broken connection of a client that is just
/// ending. Whoever wants to read that names it.
fn with_quiet_drivers(filter: &str) -> String {
    if filter.contains("rdkafka") { filter.to_owned() } else { format!("{filter},rdkafka=off") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_quiet_unless_it_is_named() {
        assert_eq!(with_quiet_drivers("info"), "info,rdkafka=off");
        assert_eq!(with_quiet_drivers("warn,rdkafka=debug"), "warn,rdkafka=debug");
        assert_eq!(with_quiet_drivers("librdkafka=debug"), "librdkafka=debug");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_with_its_text() {
        let settings = LogSettings { filter: "aqueduct=loud".to_owned(), ..LogSettings::default() };
        let error = install(&settings).unwrap_err();
        assert!(error.message.contains("`aqueduct=loud`"), "{error}");
    }
}
