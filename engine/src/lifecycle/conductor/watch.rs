//! What nobody tells the conductor, so it looks: arbiters that do not answer, actors that get nowhere, idleness.

use super::super::idle;
use super::Conductor;
use crate::status::State;
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{self, Role};
use crate::watchdog::{Observation, Remedy};
use std::sync::atomic::Ordering;

impl Conductor {
    pub(super) fn tick(&mut self) {
        self.watch_arbiters();
        self.watch_progress();
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
        let mut sources = roster.entries().filter(|entry| entry.role == Role::Source);
        idle::Observation {
            caught_up: sources
                .all(|entry| entry.status.is_caught_up() || entry.status.state().0 == State::Finished),
            empty: self.registry.ledger.is_idle() && !roster.entries().any(|entry| entry.has_input()),
            progress: roster.entries().map(|entry| entry.status.progress()).sum(),
        }
    }

    fn watch_progress(&mut self) {
        let now = self.now();
        let roster = self.registry.roster();
        for actor in roster.occupied() {
            let entry = roster.entry(actor);
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
                self.tell(actor, "displaced", "its arbiter is stuck with another actor");
                let actions = self.tree.displaced(self.now(), actor);
                self.perform(actions);
            }
        }
        Ok(())
    }
}
