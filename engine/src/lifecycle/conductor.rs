//! The one task that owns the supervision tree: it turns exits, commands, signals and timers into events of the pure
//! core, and the core's actions into messages to hosts.
//!
//! It runs on the calling thread and never waits for an actor, so a stuck one cannot stop it.

use super::drain::{self, Seen, Verdict};
use super::idle::{self, Idle};
use super::manifest::{ManifestEntry, manifest};
use super::signal::Signals;
use super::{Command, EXIT_CUT, EXIT_ESCALATED, EXIT_OK, Outcome};
use crate::claim::Claims;
use crate::clock::Instant;
use crate::ledger::SinkIndex;
use crate::limits::CONDUCTOR_TICK;
use crate::placement::Seats;
use crate::registry::{Phase, Registry};
use crate::status::State;
use crate::supervisor::core::{Ended, Order, Why};
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{self, Blueprint, Host, HostEvent, HostNews, Role};
use crate::supervisor::tree::{Tree, TreeAction, TreeTimer};
use crate::watchdog::{Observation, Remedy, Watchdog};
use actix::Addr;
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
    claims: Claims,
    /// When the drain must be over.
    drain_until: Option<Duration>,
    exit_code: u8,
    reasons: Vec<String>,
    manifest: Vec<ManifestEntry>,
    ended: bool,
}

/// What [`Conductor::new`] is made of.
pub(crate) struct Parts {
    pub(crate) registry: Arc<Registry>,
    pub(crate) tree: Tree,
    pub(crate) seats: Seats,
    /// Each with its seat.
    pub(crate) blueprints: Vec<(Arc<Blueprint>, usize)>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) signals: Signals,
    pub(crate) patience: Patience,
    pub(crate) claims: Claims,
}

impl Conductor {
    pub(crate) fn new(parts: Parts) -> Self {
        let events = mpsc::channel(crate::limits::HOST_EVENTS_MAX);
        let host = |(blueprint, seat): (Arc<Blueprint>, usize)| Hosted {
            address: parts.seats.host(seat, blueprint.clone(), events.0.clone()),
            blueprint,
            seat,
            on: false,
        };
        let hosted: Vec<_> = parts.blueprints.into_iter().map(host).collect();
        Self {
            watchdog: Watchdog::new(hosted.len(), parts.patience.stalled),
            born: parts.registry.clock.now(),
            registry: parts.registry,
            tree: parts.tree,
            seats: parts.seats,
            hosted,
            events,
            commands: parts.commands,
            signals: parts.signals,
            timers: BTreeSet::new(),
            patience: parts.patience,
            idle: None,
            claims: parts.claims,
            drain_until: None,
            exit_code: EXIT_OK,
            reasons: Vec::new(),
            manifest: Vec::new(),
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
            let next = self.timers.first().map_or(tick, |&(at, _)| at.min(tick));
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
            self.judge_drain();
        }
        self.finish()
    }

    fn finish(self) -> Outcome {
        self.seats.stop();
        self.registry.alive.store(false, Ordering::Release);
        self.registry.enter_phase(Phase::Ended);
        let ledger = self.registry.ledger.rows();
        for row in &ledger {
            let row = serde_json::to_string(row).unwrap_or_default();
            tracing::info!(row, "ledger");
        }
        Outcome { exit_code: self.exit_code, ledger, reasons: self.reasons, manifest: self.manifest }
    }

    fn now(&self) -> Duration {
        self.registry.clock.now().duration_since(self.born)
    }

    fn tell(&self, actor: usize, what: &'static str, detail: impl Into<String>) {
        let (name, detail) = (&self.registry.entries[actor].identity.name, detail.into());
        tracing::info!(actor = %name, what, detail, "actor");
        self.registry.events.enter(name, what, detail);
    }

    fn tell_all(&self, what: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::info!(what, detail, "application");
        self.registry.events.enter(&self.registry.topology, what, detail);
    }
}

/// The tree's actions.
impl Conductor {
    fn perform(&mut self, actions: Vec<TreeAction>) {
        for action in actions {
            match action {
                TreeAction::Start(actor) => self.start(actor),
                TreeAction::Stop(actor) => self.send(actor, host::Stop),
                TreeAction::Kill(actor) => {
                    self.tell(actor, "killed", "it did not stop in time");
                    self.send(actor, host::Kill);
                }
                TreeAction::Waits(actor, wait) => self.back_off(actor, wait),
                TreeAction::Arm(timer, after) => {
                    self.timers.insert((self.now() + after, timer));
                }
                TreeAction::GaveUp { supervisor, child } => self.gave_up(&supervisor, &child),
                TreeAction::Up => {
                    if self.registry.phase() == Phase::Starting {
                        self.registry.enter_phase(Phase::Running);
                    }
                    self.tell_all("up", "every actor was started");
                }
                TreeAction::Down(why) => self.down(why),
            }
        }
    }

    fn start(&mut self, actor: usize) {
        let hosted = &mut self.hosted[actor];
        hosted.on = true;
        let run = hosted.blueprint.run.fetch_add(1, Ordering::AcqRel) + 1;
        let status = hosted.blueprint.status.next_start();
        status.rule(State::Starting);
        if run > 1 {
            self.registry.entries[actor].restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.send(actor, host::Start { run, status });
    }

    /// Control messages have a bound; a host that has let it fill is stuck, and the watchdog's business.
    fn send<M>(&self, actor: usize, message: M)
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Host: actix::Handler<M>,
    {
        if let Err(error) = self.hosted[actor].address.try_send(message) {
            let name = &self.registry.entries[actor].identity.name;
            tracing::warn!(actor = %name, %error, "control message not taken");
        }
    }

    fn back_off(&mut self, actor: usize, wait: Duration) {
        let entry = &self.registry.entries[actor];
        let last = entry.last_exit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let reason = last.map_or_else(|| "restarted by its supervisor".to_owned(), |exit| exit.to_string());
        entry.status.rule(State::Backoff { reason });
        self.tell(actor, "backoff", format!("starts again in {wait:?}"));
    }

    fn gave_up(&mut self, supervisor: &Arc<str>, child: &Arc<str>) {
        let last = self.registry.position(child).and_then(|actor| {
            let last = &self.registry.entries[actor].last_exit;
            last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
        });
        let last = last.map_or(String::new(), |exit| format!("; its last exit: {exit}"));
        let reason = format!("supervisor `{supervisor}` gave up: `{child}` ended too often{last}");
        tracing::error!(supervisor = %supervisor, child = %child, "{reason}");
        self.registry.events.enter(supervisor, "gave_up", reason.clone());
        for entry in self.registry.entries.iter().filter(|entry| entry.supervisor == *supervisor) {
            entry.status.rule(State::Failed { reason: reason.clone() });
        }
        self.reasons.push(reason);
    }

    fn down(&mut self, why: Why) {
        if let Why::Escalated(_) = why {
            self.exit_code = EXIT_ESCALATED;
        }
        self.ended = true;
    }

    fn fire_timers(&mut self) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > self.now() {
                return;
            }
            self.timers.pop_first();
            let actions = self.tree.elapsed(self.now(), timer);
            self.perform(actions);
        }
    }
}

/// What hosts tell.
impl Conductor {
    fn hosted_news(&mut self, HostEvent { actor, run, what }: HostEvent) {
        if self.hosted[actor].blueprint.run.load(Ordering::Acquire) != run || !self.hosted[actor].on {
            return;
        }
        match what {
            HostNews::Started => {
                self.tell(actor, "started", format!("start {run}"));
                let actions = self.tree.started(self.now(), actor);
                self.perform(actions);
            }
            HostNews::Exited(exit, ended) => self.exited(actor, exit, ended),
        }
    }

    fn exited(&mut self, actor: usize, exit: Exit, ended: Ended) {
        self.hosted[actor].on = false;
        let entry = &self.registry.entries[actor];
        // Provisional: the tree says `Backoff` next if it means to start it again.
        match entry.status.state().0 {
            State::Failed { .. } => {}
            _ if exit == Exit::Finished => entry.status.rule(State::Finished),
            _ => entry.status.rule(State::Stopped),
        }
        self.tell(actor, "exited", exit.to_string());
        *entry.last_exit.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(exit);
        let actions = self.tree.exited(self.now(), actor, ended);
        self.perform(actions);
    }
}

/// Commands and signals.
impl Conductor {
    fn signalled(&mut self, signal: &'static str) {
        self.tell_all("signal", signal);
        if self.drain_until.is_some() || self.registry.phase() == Phase::Stopping {
            self.abort(format!("{signal} while draining"));
        } else {
            self.begin_drain(signal);
        }
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Drain => self.begin_drain("asked to"),
            Command::Stop => {
                self.reasons.push("asked to stop".to_owned());
                self.stop_all();
            }
            Command::Abort => self.abort("asked to end at once".to_owned()),
            Command::DrainWhenIdle(lasting) => self.idle = Some(Idle::new(lasting)),
            Command::Order(actor, order, done) => self.order(actor, order, done),
            Command::Rotate => (0..self.hosted.len()).for_each(|actor| self.send(actor, host::Rotate)),
        }
    }

    fn order(&mut self, actor: usize, order: Order, done: tokio::sync::oneshot::Sender<()>) {
        let what = match order {
            Order::Stop => "stop_ordered",
            Order::Start => "start_ordered",
            Order::Restart => "restart_ordered",
        };
        self.tell(actor, what, "by an operator");
        let actions = self.tree.ordered(self.now(), actor, order);
        let entry = &self.registry.entries[actor];
        if order == Order::Stop && matches!(entry.status.state().0, State::Backoff { .. }) {
            entry.status.rule(State::Stopped);
        }
        self.perform(actions);
        let _ = done.send(());
    }

    fn begin_drain(&mut self, why: &str) {
        if self.drain_until.is_some() || self.registry.phase() == Phase::Stopping {
            return;
        }
        self.reasons.push(format!("drained: {why}"));
        self.tell_all("draining", why);
        self.registry.enter_phase(Phase::Draining);
        self.drain_until = Some(self.now() + self.patience.drain);
        for actor in 0..self.hosted.len() {
            self.send(actor, host::Drain);
        }
    }

    fn stop_all(&mut self) {
        self.drain_until = None;
        self.idle = None;
        self.registry.enter_phase(Phase::Stopping);
        let actions = self.tree.shutdown(self.now());
        self.perform(actions);
    }

    /// Ends without waiting for anybody: futures are dropped with their arbiters.
    fn abort(&mut self, why: String) {
        for actor in 0..self.hosted.len() {
            self.send(actor, host::Kill);
        }
        self.cut(why);
        self.ended = true;
    }

    /// Says what will be replayed, and chooses the exit code.
    fn cut(&mut self, why: String) {
        if self.registry.ledger.is_idle() {
            self.reasons.push(format!("{why}; nothing was in flight"));
            return;
        }
        self.exit_code = EXIT_CUT;
        let ledger = &self.registry.ledger;
        let required = |sink: SinkIndex| self.registry.required_sinks[sink.0];
        self.manifest = manifest(&ledger.rows(), &ledger.positions(), required, &self.claims.all());
        for entry in &self.manifest {
            let entry = serde_json::to_string(entry).unwrap_or_default();
            tracing::warn!(entry, "will be replayed");
        }
        self.tell_all("cut", why.clone());
        self.reasons.push(why);
    }
}

/// What is looked at again and again.
impl Conductor {
    fn tick(&mut self) {
        self.watch_arbiters();
        self.watch_progress();
        let now = self.now();
        let seen = self.idleness();
        if self.drain_until.is_none() && self.idle.as_mut().is_some_and(|idle| idle.observe(now, seen)) {
            self.idle = None;
            self.begin_drain("nothing was left to do");
        }
    }

    fn idleness(&self) -> idle::Observation {
        let entries = &self.registry.entries;
        let mut sources = entries.iter().filter(|entry| entry.role == Role::Source);
        idle::Observation {
            caught_up: sources
                .all(|entry| entry.status.is_caught_up() || entry.status.state().0 == State::Finished),
            empty: self.registry.ledger.is_idle() && !entries.iter().any(|entry| entry.has_input()),
            progress: entries.iter().map(|entry| entry.status.progress()).sum(),
        }
    }

    fn watch_progress(&mut self) {
        let now = self.now();
        for actor in 0..self.hosted.len() {
            let entry = &self.registry.entries[actor];
            let seen = Observation {
                progress: entry.status.progress(),
                has_input: match entry.role {
                    Role::Source => entry.status.lag().records() > 0,
                    _ => entry.has_input(),
                },
                blocked: entry.is_blocked(),
                at_work: self.hosted[actor].on
                    && matches!(entry.status.state().0, State::Running | State::Draining),
            };
            match self.watchdog.observe(now, actor, seen) {
                Some(Remedy::Discard) => {
                    self.tell(actor, "stalled", "asked to make new connections");
                    self.send(actor, host::Rotate);
                }
                Some(Remedy::Restart) => {
                    self.tell(actor, "stalled", "restarted by the watchdog");
                    let actions = self.tree.remedy(now, actor);
                    self.perform(actions);
                }
                None => {}
            }
        }
    }

    fn watch_arbiters(&mut self) {
        for (seat, culprit) in self.seats.ping(self.now(), self.patience.stuck) {
            if let Err(error) = self.abandon(seat, culprit) {
                tracing::error!(seat, %error, "cannot start an arbiter in place of a stuck one");
            }
        }
    }

    /// Gives up an arbiter: its actors move to a new one. Fresh link ends cut off what the old one still holds.
    fn abandon(&mut self, seat: usize, culprit: Option<usize>) -> std::io::Result<()> {
        self.seats.replace(seat)?;
        let moved: Vec<_> = (0..self.hosted.len()).filter(|&actor| self.hosted[actor].seat == seat).collect();
        for &actor in &moved {
            let blueprint = self.hosted[actor].blueprint.clone();
            // Whatever the old arbiter still does or says is of a start that no longer speaks.
            blueprint.run.fetch_add(1, Ordering::AcqRel);
            blueprint.status.next_start();
            self.hosted[actor].address = self.seats.host(seat, blueprint, self.events.0.clone());
            if self.drain_until.is_some() {
                self.send(actor, host::Drain);
            }
        }
        for actor in moved.into_iter().filter(|&actor| self.hosted[actor].on).collect::<Vec<_>>() {
            if culprit == Some(actor) {
                let exit = Exit::Stuck { after: self.patience.stuck };
                let ended = exit.ended();
                self.exited(actor, exit, ended);
            } else {
                self.hosted[actor].on = false;
                self.tell(actor, "displaced", "its arbiter is stuck with another actor");
                let actions = self.tree.displaced(self.now(), actor);
                self.perform(actions);
            }
        }
        Ok(())
    }

    fn judge_drain(&mut self) {
        let data_ended = self.registry.phase() == Phase::Running && self.everybody_finished();
        if data_ended {
            self.reasons.push("the data ended".to_owned());
            self.tell_all("finished", "the data ended");
            self.stop_all();
            return;
        }
        let Some(until) = self.drain_until else { return };
        let verdict = drain::verdict(&self.seen(), until.saturating_sub(self.now()));
        match verdict {
            Verdict::Wait => {}
            Verdict::Done { left_behind } => {
                if !left_behind.is_empty() {
                    let names = left_behind.join(", ");
                    self.tell_all("left_behind", format!("{names}: away; heals at the next start"));
                }
                self.stop_all();
            }
            Verdict::Cut { reason } => {
                self.cut(reason);
                self.stop_all();
            }
        }
    }

    fn everybody_finished(&self) -> bool {
        let mut edged =
            self.registry.entries.iter().filter(|entry| entry.role != Role::DeadLetter).peekable();
        edged.peek().is_some() && edged.all(|entry| entry.status.state().0 == State::Finished)
    }

    fn seen(&self) -> Vec<Seen<'_>> {
        let now_us = self.registry.clock.wall_us();
        let edged = self.registry.entries.iter().filter(|entry| entry.role != Role::DeadLetter);
        edged
            .map(|entry| {
                let (state, since_us) = entry.status.state();
                let age = Duration::from_micros(u64::try_from(now_us - since_us).unwrap_or(0));
                Seen { name: &entry.identity.name, state, age, required: entry.required }
            })
            .collect()
    }
}
