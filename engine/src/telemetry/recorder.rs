//! The process's recorder for what kinds measure through the `metrics` crate (how long a flush took).
//!
//! One per process, as that crate wants it. Histograms keep raw samples until they are rendered or tidied, so
//! [`upkeep`] belongs to every running application: nobody may be scraping.

use super::names;
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::limits::RECORDER_UPKEEP_EVERY;
use crate::task::{self, Task};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Upper bounds of a flush's histogram, in seconds.
const FLUSH_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Installs the recorder; later calls find it there. Refused where the program has installed one of its own.
pub fn install() -> Result<(), Error> {
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let bug =
        |error: String| Error::new(Class::Config, format!("cannot install the metrics recorder: {error}"));
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::FLUSH_SECONDS.name.to_owned()), &FLUSH_BUCKETS)
        .map_err(|error| bug(error.to_string()))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| bug(error.to_string()))?;
    let _ = RECORDER.set(handle);
    metrics::describe_histogram!(
        names::FLUSH_SECONDS.name,
        metrics::Unit::Seconds,
        names::FLUSH_SECONDS.help
    );
    for gauge in [names::DEAD_LETTERS, names::DEAD_LETTER_AGE_SECONDS] {
        metrics::describe_gauge!(gauge.name, gauge.help);
    }
    metrics::describe_counter!(
        names::DEAD_LETTERS_DELETED_TOTAL.name,
        names::DEAD_LETTERS_DELETED_TOTAL.help
    );
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
