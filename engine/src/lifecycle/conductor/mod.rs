//! The one task that owns the supervision tree: it turns exits, commands, signals and timers into events of the pure
//! core, and the core's actions into messages to hosts.
//!
//! It runs on the calling thread and never waits for an actor, so a stuck one cannot stop it. What it does is in four
//! files: the tree's actions and what hosts tell (`actions`), orders and the end (`ending`), what is looked at again and
//! again (`watch`), and the exchange of the graph (`reload`).

mod actions;
mod ending;
mod reload;
mod watch;

use super::idle::Idle;
use super::manifest::ManifestEntry;
use super::signal::Signals;
use super::{Command, EXIT_OK, Outcome};
use crate::claim::OffsetStore;
use crate::clock::Instant;
use crate::graph::{Graph, Place, Shared};
use crate::limits::{CONDUCTOR_TICK, RELOAD_LOOK};
use crate::placement::Seats;
use crate::registry::{Phase, Registry};
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{Blueprint, Host, HostEvent};
use crate::supervisor::tree::{Tree, TreeTimer};
use crate::telemetry::event_ids;
use crate::watchdog::Watchdog;
use actix::Addr;
use reload::Reload;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the conductor lets pass before it acts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) drain: Duration,
    pub(crate) stalled: Duration,
    pub(crate) stuck: Duration,
}

/// An actor's host and where it sits.
struct Hosted {
    blueprint: Arc<Blueprint>,
    address: Addr<Host>,
    seat: usize,
    /// Between Start and its exit.
    on: bool,
    /// What it was told to wait for: the class, and since when in microseconds since 1970 UTC.
    waits: Option<(&'static str, i64)>,
}

/// See the module's page.
pub(crate) struct Conductor {
    registry: Arc<Registry>,
    tree: Tree,
    seats: Seats,
    hosted: Vec<Hosted>,
    events: (mpsc::Sender<HostEvent>, mpsc::Receiver<HostEvent>),
    commands: mpsc::Receiver<Command>,
    signals: Signals,
    timers: BTreeSet<(Duration, TreeTimer)>,
    watchdog: Watchdog,
    patience: Patience,
    idle: Option<Idle>,
    born: Instant,
    shared: Shared,
    /// The graph at work.
    graph: Graph,
    /// Tells the lag probe where offsets live.
    store: Option<tokio::sync::watch::Sender<Arc<dyn OffsetStore>>>,
    reload: Option<Reload>,
    /// What was asked during a reload and waits for its end.
    deferred: Vec<Command>,
    drain_began: Option<Duration>,
    /// When the drain must be over.
    drain_until: Option<Duration>,
    exit_code: u8,
    reasons: Vec<String>,
    manifest: Vec<ManifestEntry>,
    /// How each partition stood when the drain was cut.
    endings: Option<Vec<ManifestEntry>>,
    ended: bool,
}

/// What [`Conductor::new`] is made of.
pub(crate) struct Parts {
    pub(crate) registry: Arc<Registry>,
    pub(crate) graph: Graph,
    pub(crate) shared: Shared,
    pub(crate) store: Option<tokio::sync::watch::Sender<Arc<dyn OffsetStore>>>,
    pub(crate) seats: Seats,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) signals: Signals,
    pub(crate) patience: Patience,
}

impl Conductor {
    pub(crate) fn new(parts: Parts) -> Self {
        let places = parts.graph.places.clone();
        let seats = parts.graph.seats(parts.seats.count(), |_| None);
        let mut conductor = Self::empty(parts);
        for (slot, place) in places {
            let hosted = conductor.host(&place, seats[&slot]);
            conductor.hosted.push(hosted);
        }
        conductor
    }

    /// A host for that actor on that arbiter.
    fn host(&self, place: &Place, seat: usize) -> Hosted {
        let blueprint = place.blueprint.clone();
        let address = self.seats.host(seat, blueprint.clone(), self.events.0.clone());
        Hosted { blueprint, address, seat, on: false, waits: None }
    }

    fn empty(parts: Parts) -> Self {
        Self {
            watchdog: Watchdog::new(parts.graph.slots(), parts.patience.stalled),
            born: parts.registry.clock.now(),
            registry: parts.registry,
            tree: parts.graph.tree(),
            graph: parts.graph,
            shared: parts.shared,
            store: parts.store,
            reload: None,
            deferred: Vec::new(),
            seats: parts.seats,
            hosted: Vec::new(),
            events: mpsc::channel(crate::limits::HOST_EVENTS_MAX),
            commands: parts.commands,
            signals: parts.signals,
            timers: BTreeSet::new(),
            patience: parts.patience,
            idle: None,
            drain_began: None,
            drain_until: None,
            exit_code: EXIT_OK,
            reasons: Vec::new(),
            manifest: Vec::new(),
            endings: None,
            ended: false,
        }
    }

    /// Runs the application from start to end.
    pub(crate) async fn run(mut self) -> Outcome {
        self.registry.alive.store(true, Ordering::Release);
        let actions = self.tree.start(self.now());
        self.perform(actions);
        let mut tick = self.now() + CONDUCTOR_TICK;
        while !self.ended {
            let mut next = self.timers.first().map_or(tick, |&(at, _)| at.min(tick));
            if self.reload.is_some() {
                next = next.min(self.now() + RELOAD_LOOK);
            }
            let wait = next.saturating_sub(self.now());
            let clock = self.registry.clock.clone();
            tokio::select! {
                biased;
                signal = self.signals.next() => self.signalled(signal),
                Some(command) = self.commands.recv() => self.commanded(command),
                Some(event) = self.events.1.recv() => self.hosted_news(event),
                () = clock.sleep(wait) => {
                    self.fire_timers();
                    if self.now() >= tick {
                        tick = self.now() + CONDUCTOR_TICK;
                        self.tick();
                    }
                }
            }
            self.judge_reload();
            self.judge_drain();
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        self.report_drain();
        self.seats.stop();
        self.registry.alive.store(false, Ordering::Release);
        self.registry.enter_phase(Phase::Ended, self.reasons.last().cloned().unwrap_or_default());
        let ledger = self.registry.ledger.rows();
        for row in &ledger {
            let row = serde_json::to_string(row).unwrap_or_default();
            tracing::info!(event = event_ids::LEDGER, row, "ledger");
        }
        Outcome { exit_code: self.exit_code, ledger, reasons: self.reasons, manifest: self.manifest }
    }

    fn now(&self) -> Duration {
        self.registry.clock.now().duration_since(self.born)
    }

    fn tell(&self, actor: usize, what: &'static str, detail: impl Into<String>) {
        let (name, detail) = (self.name(actor), detail.into());
        tracing::info!(event = what, actor = %name, detail, "{what}");
        self.registry.events.enter(&name, what, detail);
    }

    fn tell_exit(&self, actor: usize, exit: &Exit) {
        let (name, detail) = (self.name(actor), exit.to_string());
        tracing::info!(event = event_ids::EXITED, actor = %name, class = exit.class(), detail, "exited");
        self.registry.events.enter(&name, event_ids::EXITED, detail);
    }

    fn name(&self, actor: usize) -> Arc<str> {
        self.hosted[actor].blueprint.identity.name.clone()
    }

    fn tell_all(&self, what: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::info!(event = what, detail, "{what}");
        self.registry.events.enter(&self.registry.topology, what, detail);
    }
}
