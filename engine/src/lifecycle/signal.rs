//! SIGTERM and SIGINT: the first drains, the second ends at once.

use crate::class::{Class, Error};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a node. Installed once, by the conductor.
#[derive(Debug)]
pub(crate) struct Signals {
    streams: Option<(Signal, Signal)>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn install() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Error::new(Class::Config, format!("cannot listen for signals: {error}")))
        };
        Ok(Self { streams: Some((listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)) })
    }

    /// Hears nothing: for applications inside a test or another program.
    pub(crate) fn deaf() -> Self {
        Self { streams: None }
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        let Some((terminate, interrupt)) = &mut self.streams else { return std::future::pending().await };
        tokio::select! {
            biased;
            Some(()) = terminate.recv() => "SIGTERM",
            Some(()) = interrupt.recv() => "SIGINT",
            else => std::future::pending().await,
        }
    }
}
