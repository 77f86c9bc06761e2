//! Plays one test: sends, faults, and a look at everything when it is over.

use super::script::{Event, Script};
use crate::rehearsal::{Rehearsal, Stage};
use anyhow::Result;
use aqueduct_actors::replay_source::Message;
use aqueduct_actors::stand_in::{Content, Crash, Handover, StandIns, Trouble};
use aqueduct_engine::application::Handle;
use aqueduct_engine::ledger::Counts;
use aqueduct_engine::registry::{ActorView, Phase};
use aqueduct_engine::{Clock, Error, Letter, Position};
use aqueduct_topology::model::{Fault, FaultKind, Test, Topology};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// When a test begins whose records have no time: 2026-01-01T00:00:00Z, so that every run is alike.
const BEGINS_MS: i64 = 1_767_225_600_000;
/// How often it is looked whether everything is decided.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A test without `lasts` is judged so long after its last event at the latest, in virtual time.
const SETTLING_MAX: Duration = Duration::from_secs(600);
/// What goes wrong at a moment does so at most so long after it, by the seed: in the midst of what was sent then.
const LATE_MAX: Duration = Duration::from_millis(20);

/// What is seen when a test is over.
pub(super) struct Seen {
    pub(super) contents: BTreeMap<String, Content>,
    pub(super) letters: Vec<Letter>,
    pub(super) actors: Vec<ActorView>,
    pub(super) ledger: Counts,
    pub(super) positions: Vec<Position>,
    /// The exit code, if the run has ended by itself.
    pub(super) exit: Option<u8>,
    /// Why it has.
    pub(super) reasons: Vec<String>,
}

/// Runs `test` under `seed`; files are looked for beside the topology, in `folder`.
pub(super) fn play(topology: &Topology, test: &Test, folder: &Path, seed: u64) -> Result<Seen> {
    let script = Script::of(topology, test, folder)?;
    let rehearsal = Rehearsal {
        topology: script.topology.clone(),
        starts_us: script.earliest_ms.unwrap_or(BEGINS_MS).saturating_mul(1000),
        partitions: script.partitions.clone(),
        seed,
        has_other: script.has_other,
    };
    let judged = (test.lasts, test.last_event());
    let (outcome, (mut seen, ended)) = rehearsal.run(async |stage| {
        let seen = act(&stage, script, judged).await;
        // Told to end only now.
        let ended = stage.handle.registry().phase() == Phase::Ended;
        stage.handle.abort().await;
        (seen, ended)
    })?;
    if let (Ok(seen), true) = (&mut seen, ended) {
        seen.exit = Some(outcome.exit_code);
        seen.reasons = outcome.reasons;
    }
    Ok(seen?)
}

async fn act(
    stage: &Stage,
    script: Script,
    (lasts, last_event): (Option<Duration>, Duration),
) -> Result<Seen, Error> {
    let Stage { handle, around, clock, chance, .. } = stage;
    let began = clock.now();
    let until = |at: Duration| (began + at).saturating_duration_since(clock.now());
    let mut events = script.events;
    for (at, event) in &mut events {
        // What is sent keeps its order, and what is wrong from the start is so from the start.
        if !matches!(event, Event::Send { .. }) && !at.is_zero() {
            *at += chance.up_to_wait(LATE_MAX);
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let end = lasts.unwrap_or(last_event + SETTLING_MAX);
    for (writer, declared) in script.tables {
        around.declare(&writer, declared);
    }
    for (at, event) in events.into_iter().filter(|(at, _)| *at <= end) {
        if !until(at).is_zero() {
            clock.sleep(until(at)).await;
        }
        happen(around, clock, event)?;
    }
    if lasts.is_some() {
        clock.sleep(until(end)).await;
    } else {
        while !until(end).is_zero() && handle.registry().phase() != Phase::Ended {
            clock.sleep(LOOK_EVERY).await;
            if is_decided(stage) {
                break;
            }
        }
    }
    Ok(Seen {
        contents: around.contents().into_iter().collect(),
        letters: around.letters(),
        actors: handle.registry().actors(),
        ledger: handle.registry().ledger().totals(),
        positions: around.positions(),
        exit: None,
        reasons: Vec::new(),
    })
}

fn happen(around: &StandIns, clock: &Clock, event: Event) -> Result<(), Error> {
    match event {
        Event::Send { to, messages } => {
            let feed = around.feed(&to).expect("invariant: checked to be a source");
            let now_ms = clock.wall_us().div_euclid(1000);
            for message in messages {
                feed.send(Message { time_ms: message.time_ms.or(Some(now_ms)), ..message });
            }
            Ok(())
        }
        Event::Fault(fault) => begin(around, &fault),
        Event::Healed(fault) => match fault.kind {
            FaultKind::Revoke | FaultKind::Takeover => {
                around.hand_over(&fault.actor.value, fault.partition, 0, Handover::Graceful);
                Ok(())
            }
            _ => around.set_trouble(&fault.actor.value, None),
        },
    }
}

fn begin(around: &StandIns, fault: &Fault) -> Result<(), Error> {
    let actor = &fault.actor.value;
    match (fault.kind, fault.offset) {
        (FaultKind::Panic, Some(offset)) => around.poison(actor, fault.partition.unwrap_or(0), offset),
        (FaultKind::Crash, _) => around.crash(actor, Crash::Error),
        (FaultKind::Panic, None) => around.crash(actor, Crash::Panic),
        (FaultKind::Revoke, _) => {
            let to = usize::from(fault.lasting.is_some());
            around.hand_over(actor, fault.partition, to, Handover::Graceful);
        }
        (FaultKind::Takeover, _) if fault.lasting.is_none() => around.usurp(actor, fault.partition),
        (FaultKind::Takeover, _) => around.hand_over(actor, fault.partition, 1, Handover::Unnoticed),
        (FaultKind::RedisDown, _) => around.set_trouble(actor, Some(Trouble::Away))?,
        (FaultKind::SinkTimeout, _) => around.set_trouble(actor, Some(Trouble::Silent))?,
        (FaultKind::DiskFull, _) => around.set_trouble(actor, Some(Trouble::Full))?,
    }
    Ok(())
}

/// Whether every sink has come to the end of what was sent, and everybody is well.
fn is_decided(stage: &Stage) -> bool {
    let is_quiet =
        |handle: &Handle| handle.registry().not_ready().is_empty() && handle.registry().ledger().is_idle();
    if !is_quiet(&stage.handle) || stage.other.as_ref().is_some_and(|other| !is_quiet(other)) {
        return false;
    }
    stage.around.is_at_end()
}
