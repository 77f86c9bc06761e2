//! Who may ask a node to reload: SIGHUP, `POST /api/reload`, and with `--watch` the file itself. One at a time.

use super::apply::{Reloader, TAKEN_BACK};
use super::watched::Watched;
use crate::archive::NodeArchive;
use anyhow::{Context, Result};
use aqueduct_actors::Connected;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Handle, ReloadAnswer, ReloadOutcome, ReloadRequest};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often watched files are looked at. A change is applied once they have been the same for so long.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a node's topology comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whether a change of it is applied without being asked.
    pub(crate) watch: bool,
}

/// Serves whoever asks for a reload, for as long as it is polled. Listens for SIGHUP from the moment it returns.
pub(crate) fn serve(
    origin: Origin,
    memory_budget_bytes: Option<u64>,
    (connected, archive): (Connected, Arc<NodeArchive>),
    handle: Handle,
    requests: mpsc::Receiver<ReloadRequest>,
) -> Result<impl Future<Output = ()>> {
    let hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let reloader = Reloader { file: origin.file, memory_budget_bytes, connected, archive };
    Ok(attend(reloader, origin.watch, handle, requests, hangups))
}

async fn attend(
    mut reloader: Reloader,
    watch: bool,
    handle: Handle,
    mut requests: mpsc::Receiver<ReloadRequest>,
    mut hangups: tokio::signal::unix::Signal,
) {
    let clock = reloader.connected.services().clock.clone();
    let mut watched = watch.then(|| Watched::new(&reloader.file));
    loop {
        tokio::select! {
            biased;
            Some(request) = requests.recv() => {
                if !request.apply {
                    let _ = request.reply.send(reloader.plan(&handle));
                    continue;
                }
                let answer = reload(&mut reloader, &handle, "asked to").await;
                // Whoever asked may have gone away.
                let _ = request.reply.send(answer);
            }
            Some(()) = hangups.recv() => drop(reload(&mut reloader, &handle, "SIGHUP").await),
            () = clock.sleep(LOOK_EVERY), if watch => {
                if watched.as_mut().is_some_and(Watched::has_changed) {
                    reload(&mut reloader, &handle, "the file changed").await;
                }
                continue;
            }
            else => return,
        }
        // Whatever was on disk was just read.
        watched = watch.then(|| Watched::new(&reloader.file));
    }
}

/// Reloads; what came of it is counted and told.
async fn reload(reloader: &mut Reloader, handle: &Handle, why: &str) -> ReloadAnswer {
    let answer = reloader.reload(handle).await;
    handle.registry().reloads().count(match answer.status {
        200 => ReloadOutcome::Applied,
        TAKEN_BACK => ReloadOutcome::RolledBack,
        _ => ReloadOutcome::Refused,
    });
    tell(&answer, why);
    answer
}

/// Says in the log what came of it.
fn tell(answer: &ReloadAnswer, why: &str) {
    let body = &answer.body;
    let generation = body["generation"].as_u64().unwrap_or_default();
    match body["error"].as_str() {
        None => tracing::info!(event = event_ids::RELOAD_ASKED, why, generation, "reload"),
        Some(error) => {
            let findings = body["findings"].as_str().unwrap_or_default();
            tracing::error!(
                event = event_ids::RELOAD_ASKED,
                why,
                generation,
                error,
                "reload not applied{}{findings}",
                if findings.is_empty() { "" } else { ":\n" }
            );
        }
    }
}
