//! `aqueduct run FILE`.

use crate::exit::Exit;
use crate::output::Format;
use crate::reload::Origin;
use crate::settings::Flags;
use crate::{file, node, output};
use anyhow::Result;
use aqueduct_engine::Outcome;
use aqueduct_engine::application::Handle;
use aqueduct_engine::telemetry::log;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// With `--fail-fast`: how long dependencies may take to be there.
const READY_MAX: Duration = Duration::from_secs(15);
/// With `--fail-fast`: how long they must have stayed there.
const READY_FOR: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Drain and exit 0 once nothing has been left to do for so long, such as `5s`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until_idle: Option<Duration>,
    /// Exit 69 if a dependency is not available at start, instead of waiting for it.
    #[arg(long)]
    fail_fast: bool,
    /// Apply changes of the file as they come, as `aqueduct reload` does.
    #[arg(long)]
    watch: bool,
    /// The form of the ledger that is printed at the end.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    flags: Flags,
}

/// `500ms`, `5s`, `1m`: as in a topology.
fn duration(text: &str) -> Result<Duration, String> {
    aqueduct_topology::duration(text).ok_or_else(|| format!("`{text}` is no duration; write 500ms, 5s or 1m"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let settings = arguments.flags.settings()?;
    log::install(&settings.log)?;
    let topology = file::read(&arguments.file)?.within(settings.memory_budget_bytes).accepted()?;
    let unavailable = Arc::new(AtomicBool::new(false));
    let (until_idle, fail_fast, given_up) = (arguments.until_idle, arguments.fail_fast, unavailable.clone());
    let origin = Origin { file: arguments.file.clone(), watch: arguments.watch };
    let outcome = node::run(topology, &settings, Some(origin), |handle| async move {
        if let Some(lasting) = until_idle {
            handle.drain_when_idle(lasting).await;
        }
        if fail_fast && !ready_in_time(&handle).await {
            given_up.store(true, Ordering::Relaxed);
            handle.abort().await;
        }
    })?;
    // How it ended is told by the exit code, whether or not somebody can read the rest.
    if let Err(error) = report(&outcome, arguments.format) {
        crate::output::say!("the ledger cannot be printed: {error:#}");
    }
    Ok(if unavailable.load(Ordering::Relaxed) { Exit::Unavailable } else { Exit::Runtime(outcome.exit_code) })
}

/// Whether everything got ready within the bound and stayed so for a while: an actor that has only just begun to ask
/// its dependency is ready too. Says who was not.
async fn ready_in_time(handle: &Handle) -> bool {
    let clock = aqueduct_engine::Clock::system();
    let deadline = clock.now() + READY_MAX;
    let mut ready_since = None;
    loop {
        clock.sleep(Duration::from_millis(100)).await;
        let waiting = handle.registry().not_ready();
        if waiting.is_empty() {
            let since = *ready_since.get_or_insert_with(|| clock.now());
            if clock.now() - since >= READY_FOR {
                return true;
            }
            continue;
        }
        ready_since = None;
        // What somebody must change does not come by waiting.
        if clock.now() >= deadline {
            for one in waiting {
                crate::output::say!("error: {} is {}: {}", one.actor, one.state, one.reason);
            }
            return false;
        }
    }
}

/// Prints how it ended: the ledger on standard output, reasons and what will be replayed on standard error.
pub(crate) fn report(outcome: &Outcome, format: Format) -> Result<()> {
    for reason in &outcome.reasons {
        crate::output::say!("{reason}");
    }
    for entry in &outcome.manifest {
        crate::output::say!("will be replayed: {}", serde_json::to_string(entry)?);
    }
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&outcome.ledger)?)?,
        Format::Text => write!(out, "{}", output::ledger(&outcome.ledger))?,
    }
    Ok(())
}
