//! A reload, a step a turn: actors that go or change are stopped in the order in which data passes them, the graph is
//! exchanged without an await, what was started must hold for a moment. If it does not, the same steps lead back.
//!
//! Nothing is lost and nothing comes twice, because a link either stays, with what it holds, or goes empty; where it
//! does not get empty in time, the claims of the sources above it are given up, so everything that was on its way is
//! dropped and read again. An epoch of the ledger keeps the sinks it was opened with: a source whose sinks change is
//! among those that restart, and what it had read is decided before its sinks go, or taken back.
//!
//! Deliberately absent: waiting for an actor. Every step is judged once a turn, like a drain.

use super::super::Command;
use super::Conductor;
use crate::graph::Graph;
use crate::lifecycle::reload::{ReloadError, Wanted};
use crate::limits::{RELOAD_CALM_MAX, RELOAD_DRAIN_MAX, RELOAD_GRACE, RELOAD_PROOF};
use crate::registry::Phase;
use crate::status::State;
use crate::supervisor::core::Order;
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{self, Role};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// One reload, or the way back from one.
pub(super) struct Reload {
    /// The graph it leads to.
    to: Graph,
    /// Who has to stop, in order.
    leaving: Vec<usize>,
    /// Of those, whom an operator had stopped before.
    sticky: BTreeSet<usize>,
    /// Sinks that were cut off while they held something of their own.
    cut: BTreeSet<usize>,
    /// Until when it waits for what is on its way.
    patient_until: Duration,
    step: Step,
    /// Why it leads back.
    failure: Option<String>,
    reply: oneshot::Sender<Result<u64, ReloadError>>,
}

enum Step {
    /// `leaving[place]` has its turn.
    Halting { place: usize, since: Duration, halt: Halt },
    /// Everybody has stopped; others may still be on their way up.
    Settling { since: Duration },
    /// The graph was exchanged.
    Proving { back: Box<Graph>, started: Vec<Started>, since: Duration, fault: Option<String> },
}

/// Somebody the reload started.
#[derive(Clone, Copy, Debug)]
struct Started {
    slot: usize,
    /// What it had done in the starts before; the start itself counts once.
    progress: u64,
}

/// How far the actor whose turn it is has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// It works on what is on the links that go.
    Draining,
    /// It was asked to go once it has finished what it holds.
    Asked,
    /// It was told to go at once.
    Told,
    /// A source that is down; what it has read is being decided.
    Deciding,
}

impl Conductor {
    pub(super) fn begin_reload(&mut self, wanted: Wanted) {
        let Wanted { draft, restart, onto, reply } = wanted;
        if let Err(error) = self.may_reload(onto) {
            let _ = reply.send(Err(error));
            return;
        }
        let to = self.graph.next(draft, &self.shared, &restart);
        self.tell_all("reload", "the graph changes");
        self.lead(to, None, reply);
    }

    fn may_reload(&self, onto: u64) -> Result<(), ReloadError> {
        let roster = self.registry.roster();
        if self.reload.is_some() || roster.generation != onto {
            return Err(ReloadError::Busy);
        }
        if self.registry.phase() != Phase::Running || self.drain_until.is_some() {
            return Err(ReloadError::Refused(
                "the node is starting or ending; nothing was changed".to_owned(),
            ));
        }
        let finished = roster.entries().find(|entry| entry.status.state().0 == State::Finished);
        finished.map_or(Ok(()), |entry| {
            let name = &entry.identity.name;
            Err(ReloadError::Refused(format!(
                "the data of `{name}` has ended; start the node with the new file"
            )))
        })
    }

    /// Sets out for `to`.
    fn lead(&mut self, to: Graph, failure: Option<String>, reply: oneshot::Sender<Result<u64, ReloadError>>) {
        let leaving = self.graph.unlike(&to);
        let sticky = leaving.iter().copied().filter(|&slot| self.tree.is_held(slot)).collect();
        let step = Step::Halting { place: 0, since: self.now(), halt: Halt::Draining };
        let patient_until = self.now() + RELOAD_DRAIN_MAX;
        let cut = BTreeSet::new();
        self.reload = Some(Reload { to, leaving, sticky, cut, patient_until, step, failure, reply });
    }

    /// Whether the tree's word to stop means: once you have finished what you hold.
    pub(super) fn retires(&self, actor: usize) -> bool {
        let Some(Reload { leaving, step: Step::Halting { place, .. }, .. }) = &self.reload else {
            return false;
        };
        let blueprint = &self.hosted[actor].blueprint;
        leaving.get(*place) == Some(&actor)
            && matches!(blueprint.role, Role::Transform | Role::Sink)
            && blueprint.status.state().0 == State::Running
    }

    /// Takes the next step, if it can be taken.
    pub(super) fn judge_reload(&mut self) {
        while let Some(reload) = self.reload.take() {
            let (reload, goes_on) = match reload.step {
                Step::Halting { .. } => self.halt(reload),
                Step::Settling { .. } => self.settle(reload),
                Step::Proving { .. } => self.prove(reload),
            };
            self.reload = reload;
            if !goes_on {
                return;
            }
        }
    }

    fn halt(&mut self, mut reload: Reload) -> (Option<Reload>, bool) {
        let now = self.now();
        let Step::Halting { place, since, halt } = reload.step else { return (Some(reload), false) };
        if self.drain_waits() && reload.failure.is_none() {
            return (self.give_up(reload, "the node drains; nothing was changed"), true);
        }
        let Some(&slot) = reload.leaving.get(place) else {
            reload.step = Step::Settling { since: now };
            return (Some(reload), true);
        };
        let role = self.hosted[slot].blueprint.role;
        let down = self.tree.is_down(slot) && !self.hosted[slot].on;
        let (passed, patient) = (now.saturating_sub(since), now < reload.patient_until);
        let next = match halt {
            Halt::Draining if patient && self.works_off(slot, &reload.to) => None,
            Halt::Draining => {
                if self.holds_its_own(slot) {
                    reload.cut.insert(slot);
                }
                reload.step = Step::Halting { place, since: now, halt: Halt::Asked };
                self.reload = Some(reload);
                let actions = self.tree.ordered(now, slot, Order::Stop);
                self.perform(actions);
                return (self.reload.take(), true);
            }
            Halt::Asked if !down && passed >= RELOAD_GRACE => {
                reload.cut.insert(slot);
                self.send(slot, host::Stop);
                Some(Halt::Told)
            }
            Halt::Asked | Halt::Told if !down => None,
            Halt::Asked | Halt::Told if role == Role::Source => Some(Halt::Deciding),
            Halt::Deciding if patient && !self.is_decided(slot) => None,
            Halt::Asked | Halt::Told | Halt::Deciding => {
                reload.step = Step::Halting { place: place + 1, since: now, halt: Halt::Draining };
                return (Some(reload), true);
            }
        };
        let goes_on = next.is_some();
        if let Some(halt) = next {
            reload.step = Step::Halting { place, since: now, halt };
        }
        (Some(reload), goes_on)
    }

    /// Whether something is left on the links into it that go, and it can be expected to deal with it.
    fn works_off(&self, slot: usize, to: &Graph) -> bool {
        let at_work = self.hosted[slot].on && self.hosted[slot].blueprint.status.state().0 == State::Running;
        at_work && self.graph.links_lost(slot, to).iter().any(|link| !link.is_empty())
    }

    /// Whether it is a sink that will not get rid of what it took off its links.
    fn holds_its_own(&self, slot: usize) -> bool {
        let blueprint = &self.hosted[slot].blueprint;
        blueprint.role == Role::Sink && blueprint.status.state().0 != State::Running
    }

    fn is_decided(&self, slot: usize) -> bool {
        self.registry.ledger.is_idle_for(&self.hosted[slot].blueprint.identity.id)
    }

    fn settle(&mut self, reload: Reload) -> (Option<Reload>, bool) {
        let Step::Settling { since } = reload.step else { return (Some(reload), false) };
        if self.tree.is_calm() {
            return (self.exchange(reload), true);
        }
        let late = self.now().saturating_sub(since) >= RELOAD_CALM_MAX;
        if late && reload.failure.is_none() {
            let why = "other actors are being restarted again and again; nothing was changed";
            return (self.give_up(reload, why), true);
        }
        (Some(reload), false)
    }

    /// Lets go of whom it had stopped: they start again as they were.
    fn give_up(&mut self, reload: Reload, why: &str) -> Option<Reload> {
        for &slot in reload.leaving.iter().filter(|slot| !reload.sticky.contains(slot)) {
            let actions = self.tree.ordered(self.now(), slot, Order::Start);
            self.perform(actions);
        }
        self.tell_all("reload_refused", why);
        let _ = reload.reply.send(Err(ReloadError::Refused(why.to_owned())));
        self.resume_commands();
        None
    }

    /// Puts the new graph in the place of the old one. Nothing is awaited here, so no event falls in between.
    fn exchange(&mut self, reload: Reload) -> Option<Reload> {
        let Reload { to, leaving, sticky, cut, patient_until, failure, reply, .. } = reload;
        let now = self.now();
        let started = to.unlike(&self.graph);
        self.give_up_claims(&leaving, &cut, &to);
        self.shared.ledger.set_sinks(&to.sinks);
        for &slot in leaving.iter().filter(|slot| !to.places.contains_key(slot)) {
            self.hosted[slot].blueprint.record.run.fetch_add(1, Ordering::AcqRel);
        }
        for &slot in &started {
            let place = &to.places[&slot];
            let seat = self.seats.seat_of(place.depth, place.blueprint.identity.clone);
            let hosted = self.seat(seat, place.blueprint.clone());
            match slot < self.hosted.len() {
                true => self.hosted[slot] = hosted,
                false => self.hosted.push(hosted),
            }
            self.watchdog.begin(slot);
        }
        let mut tree = to.tree();
        let fresh = started.iter().copied().collect();
        let actions = tree.succeed(now, &self.tree, &fresh, &sticky);
        self.tree = tree;
        // The old tree was calm: no timer of it is wanted any more.
        self.timers.clear();
        let before = self.registry.roster();
        let mut roster = to.roster(&self.tree, before.generation);
        roster.canonical.clone_from(&before.canonical);
        self.registry.replace_roster(roster);
        if let (Some(store), Some(offsets)) = (&self.store, &to.offsets) {
            store.send_replace(offsets.clone());
        }
        let mut back = std::mem::replace(&mut self.graph, to);
        back.remember_slots(&self.graph);
        let on = started.into_iter().filter(|slot| !sticky.contains(slot));
        let started = on
            .map(|slot| Started { slot, progress: self.hosted[slot].blueprint.status.progress() })
            .collect();
        self.perform(actions);
        if let Some(reason) = failure {
            self.tell_all("rolled_back", reason.clone());
            let _ = reply.send(Err(ReloadError::RolledBack(reason)));
            self.resume_commands();
            return None;
        }
        let step = Step::Proving { back: Box::new(back), started, since: now, fault: None };
        let to = self.graph.clone();
        Some(Reload { to, leaving: Vec::new(), sticky, cut, patient_until, step, failure: None, reply })
    }

    /// What is on links that go, or was in the hands of a best-effort sink that was cut off, is read again. A source
    /// that stopped has its claims released, so what it had read and nobody decided is taken back.
    fn give_up_claims(&self, leaving: &[usize], cut: &BTreeSet<usize>, to: &Graph) {
        let mut renounced = BTreeSet::new();
        for &slot in leaving {
            let lost = self.graph.links_lost(slot, to).iter().any(|link| !link.is_empty());
            let place = &self.graph.places[&slot];
            let kept_back = place.blueprint.role == Role::Sink && !place.required && cut.contains(&slot);
            if lost || kept_back {
                renounced.append(&mut self.graph.sources_of(slot));
            }
        }
        for source in &renounced {
            tracing::info!(source = &**source, "claims anew: what was on its way is read again");
            self.shared.claims.renounce(source);
        }
        let stopped = leaving.iter().map(|slot| &self.graph.places[slot].blueprint);
        for source in stopped.filter(|blueprint| blueprint.role == Role::Source) {
            for claim in self.shared.claims.all() {
                if claim.key.source == source.identity.id {
                    self.shared.claims.release(&claim.key, claim.epoch);
                    self.shared.ledger.release(&claim.key, claim.epoch);
                }
            }
        }
    }

    /// Something that the reload started has ended.
    pub(super) fn reload_saw(&mut self, actor: usize, exit: &Exit) {
        let Some(Reload { step: Step::Proving { started, fault, .. }, .. }) = &mut self.reload else {
            return;
        };
        let ended_itself = !matches!(exit, Exit::Stopped | Exit::Finished);
        let ours = started.iter().any(|started| started.slot == actor);
        if ended_itself && ours && fault.is_none() {
            *fault = Some(format!("`{}` {exit}", self.hosted[actor].blueprint.identity.name));
        }
    }

    fn prove(&mut self, mut reload: Reload) -> (Option<Reload>, bool) {
        let now = self.now();
        let Step::Proving { back, started, since, fault } = reload.step else { return (Some(reload), false) };
        let passed = now.saturating_sub(since);
        let unfit = started.iter().find_map(|started| self.unfit(started.slot));
        let fault = fault.or(if passed >= RELOAD_PROOF { unfit } else { None });
        if let Some(reason) = fault {
            tracing::error!(reason, "the reload did not hold; back to what was there before");
            self.lead(*back, Some(reason), reload.reply);
            return (self.reload.take(), true);
        }
        let unproven = started.iter().any(|started| self.has_shown_nothing(started));
        if passed < RELOAD_PROOF || (unproven && passed < RELOAD_CALM_MAX) {
            reload.step = Step::Proving { back, started, since, fault: None };
            return (Some(reload), false);
        }
        let before = self.registry.roster();
        let generation = before.generation + 1;
        self.registry.replace_roster(self.graph.roster(&self.tree, generation));
        self.tell_all("reloaded", format!("generation {generation}"));
        let _ = reload.reply.send(Ok(generation));
        self.resume_commands();
        (None, true)
    }

    /// Whether nothing can be said of it yet: it has not begun, or something waits for it and it has dealt with nothing.
    fn has_shown_nothing(&self, started: &Started) -> bool {
        let blueprint = &self.hosted[started.slot].blueprint;
        match blueprint.status.state().0 {
            State::Starting => true,
            State::Running => {
                let waits = blueprint.inputs.iter().any(|input| !input.link.is_empty());
                waits && blueprint.status.progress() <= started.progress + 1
            }
            _ => false,
        }
    }

    /// Why it cannot do its work until somebody changes something. An outage is no such reason.
    fn unfit(&self, slot: usize) -> Option<String> {
        let name = &self.hosted[slot].blueprint.identity.name;
        match self.hosted[slot].blueprint.status.state().0 {
            State::Waiting { class, reason } if class == crate::class::Class::Config.as_str() => {
                Some(format!("`{name}` waits: {reason}"))
            }
            State::Failed { reason } | State::Backoff { reason } => Some(format!("`{name}`: {reason}")),
            _ => None,
        }
    }

    /// Whether a drain was asked for meanwhile.
    pub(super) fn drain_waits(&self) -> bool {
        self.deferred.iter().any(|command| matches!(command, Command::Drain))
    }

    /// Keeps a command until the reload is over.
    pub(super) fn defer(&mut self, command: Command) {
        self.deferred.push(command);
    }

    fn resume_commands(&mut self) {
        debug_assert!(self.reload.is_none(), "only after a reload");
        for command in std::mem::take(&mut self.deferred) {
            self.commanded(command);
        }
    }

    /// A host on that seat.
    pub(super) fn seat(&self, seat: usize, blueprint: Arc<host::Blueprint>) -> super::Hosted {
        let address = self.seats.host(seat, blueprint.clone(), self.events.0.clone());
        super::Hosted { blueprint, address, seat, on: false }
    }
}
