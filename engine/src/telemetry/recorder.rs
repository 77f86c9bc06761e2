//! The process's recorder, for what is measured through the `metrics` crate: of the process itself, and by libraries.
//!
//! One per process, as that crate wants it, so its series outlive what they describe: figures of actors are on boards that
//! go with them ([`super::figures`]). Histograms keep raw samples until they are rendered or tidied, so
//! [`upkeep`] belongs to every running application: nobody may be scraping.

use super::names;
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::limits::RECORDER_UPKEEP_EVERY;
use crate::task::{self, Task};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder; later calls find it there. Refused where the program has installed one of its own.
pub fn install() -> Result<(), Error> {
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let bug =
        |error: String| Error::new(Class::Config, format!("cannot install the metrics recorder: {error}"));
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| bug(error.to_string()))?;
    let _ = RECORDER.set(handle);
    metrics::describe_counter!(names::ADMIN_REQUESTS_TOTAL.name, names::ADMIN_REQUESTS_TOTAL.help);
    Ok(())
}

/// What was recorded, in Prometheus' text format.
pub(super) fn render() -> String {
    RECORDER.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Tidies the recorder again and again, and sums up what the log left out.
pub(crate) fn upkeep(clock: Clock) -> Task {
    task::spawn("metrics upkeep", async move {
        loop {
            clock.sleep(RECORDER_UPKEEP_EVERY).await;
            super::log::sum_up();
            if let Some(handle) = RECORDER.get() {
                handle.run_upkeep();
            }
        }
    })
}
