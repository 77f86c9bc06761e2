//! What nobody tells the conductor, so it looks: arbiters that do not answer, actors that get nowhere, idleness.

use super::super::idle;
use super::Conductor;
use crate::clock::Instant;
use crate::limits::READY_STALL_MAX;
use crate::status::{State, Status};
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{self, Role};
use crate::telemetry::event_ids;
use crate::watchdog::{Input, Observation, Remedy, Stall};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Conductor {
    pub(super) fn tick(&mut self) {
        self.watch_arbiters();
        self.watch_progress();
        self.watch_waits();
        let now = self.now();
        let seen = self.idleness();
        let undisturbed = self.drain_until.is_none() && self.reload.is_none();
        if undisturbed && self.idle.as_mut().is_some_and(|idle| idle.observe(now, seen)) {
            self.idle = None;
            self.begin_drain("nothing was left to do");
        }
    }

    fn idleness(&self) -> idle::Observation {
        let roster = self.registry.roster();
        let reading = || roster.entries().filter(|entry| !entry.behind_gate);
        let sources = roster.entries().filter(|entry| entry.role == Role::Source);
        let unfinished = sources.filter(|entry| entry.status.state().0 != State::Finished);
        let looked = |at: Instant| at.saturating_duration_since(self.born);
        let mut said = unfinished.map(|entry| entry.status.caught_up_at().map(looked));
        idle::Observation {
            caught_up: said.try_fold(self.now(), |longest, said| Some(longest.min(said?))),
            empty: self.registry.ledger.is_idle() && !reading().any(|entry| entry.has_input()),
            // A gate goes on for ever: what there is to do is what was read.
            progress: reading()
                .filter(|entry| !matches!(entry.role, Role::Gate | Role::Schedule))
                .map(|entry| entry.status.progress())
                .sum(),
        }
    }

    fn watch_progress(&mut self) {
        let now = self.now();
        let roster = self.registry.roster();
        for actor in roster.occupied() {
            let entry = roster.entry(actor);
            let seen = Observation {
                progress: entry.status.progress(),
                input: match entry.role {
                    Role::Source => Input::Unread(entry.status.lag().unread()),
                    // It has no link: what waits for it is whoever has rejected something.
                    Role::DeadLetter => Input::Batches(self.shared.letters.waiting()),
                    _ => Input::Batches(entry.batches_waiting()),
                },
                beats: Some(entry.status.beats()).filter(|&beats| beats > 0),
                blocked: entry.is_blocked() && self.may_be_held_up(actor),
                at_work: self.hosted[actor].on && entry.status.state().0.is_at_work(),
            };
            let stall = self.watchdog.observe(now, actor, &seen);
            self.show_stall(now, actor, &entry.status, stall.as_ref());
            match stall.and_then(|stall| stall.remedy) {
                Some(Remedy::Discard) => {
                    self.tell(actor, event_ids::STALLED, "asked to make new connections");
                    self.send(actor, host::Rotate);
                }
                Some(Remedy::Restart) => {
                    self.tell(actor, event_ids::STALLED, "restarted by the watchdog");
                    let actions = self.tree.remedy(now, actor);
                    self.perform(actions);
                }
                None => {}
            }
        }
    }

    /// Tells who waits for a server that is away, and who does no more. A wait that no look falls into is not told.
    fn watch_waits(&mut self) {
        let roster = self.registry.roster();
        for actor in roster.occupied() {
            let (state, since_us) = roster.entry(actor).status.own_state();
            let known = self.hosted[actor].waits;
            match (&state, known) {
                (State::Waiting { class, .. }, Some((told, _))) if *class == told => {}
                (State::Waiting { class, reason }, _) => {
                    let since_us = known.map_or(since_us, |(_, since_us)| since_us);
                    self.hosted[actor].waits = Some((class, since_us));
                    let name = self.name(actor);
                    tracing::info!(event = event_ids::WAITING, actor = %name, class, detail = reason, "waiting");
                    self.registry.events.enter(&name, event_ids::WAITING, reason.as_str());
                }
                (_, Some((_, since_us))) => {
                    self.hosted[actor].waits = None;
                    let waited = Duration::from_micros(self.registry.clock.wall_us().abs_diff(since_us));
                    self.tell(actor, event_ids::WAITED, format!("for {waited:.1?}; now {}", state.as_str()));
                }
                (_, None) => {}
            }
        }
    }

    /// Whether there is anything that may hold it up, as it says of itself: one that hangs takes nothing back, and an empty
    /// link has room for any batch.
    fn may_be_held_up(&self, actor: usize) -> bool {
        let outputs = &self.hosted[actor].blueprint.outputs;
        let full = outputs.iter().flat_map(|edge| &edge.links).any(|link| !link.is_empty());
        full || self.shared.letters.waiting() > 0
    }

    /// Readiness is told of a stall that lasts, and of its end.
    fn show_stall(&self, now: Duration, actor: usize, status: &Status, stall: Option<&Stall>) {
        let lasting = stall.filter(|stall| now.saturating_sub(stall.since) >= READY_STALL_MAX);
        let was = matches!(status.state().0, State::Stalled { .. });
        match (lasting, was) {
            (Some(stall), false) => self.tell(actor, event_ids::STALLED, stall.what.clone()),
            (None, true) => self.tell(actor, event_ids::FLOWING, "it gets on again"),
            _ => {}
        }
        let since_us =
            |since: Duration| self.registry.clock.wall_us() - now.saturating_sub(since).as_micros() as i64;
        status.stalled(lasting.map(|stall| (stall.what.clone(), since_us(stall.since))));
    }

    fn watch_arbiters(&mut self) {
        for (seat, culprit) in self.seats.ping(self.now(), self.patience.stuck) {
            if let Err(error) = self.abandon(seat, culprit) {
                tracing::error!(event = event_ids::NO_ARBITER, seat, %error, "cannot start an arbiter in place of a stuck one");
            }
        }
    }

    /// Gives up an arbiter: its actors move to a new one. Fresh link ends cut off what the old one still holds.
    fn abandon(&mut self, seat: usize, culprit: Option<usize>) -> std::io::Result<()> {
        self.seats.replace(seat)?;
        let roster = self.registry.roster();
        let moved: Vec<_> = roster.occupied().filter(|&actor| self.hosted[actor].seat == seat).collect();
        for &actor in &moved {
            let blueprint = self.hosted[actor].blueprint.clone();
            // Whatever the old arbiter still does or says is of a start that no longer speaks.
            blueprint.record.run.fetch_add(1, Ordering::AcqRel);
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
                self.tell(actor, event_ids::DISPLACED, "its arbiter is stuck with another actor");
                let actions = self.tree.displaced(self.now(), actor);
                self.perform(actions);
            }
        }
        Ok(())
    }
}
