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
use crate::telemetry::event_ids;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// One reload, or the way back from one.
pub(super) struct Reload {
    errand: Errand,
    step: Step,
}

/// What stays the same from the first step to the last.
struct Errand {
    /// Whom an operator had stopped before.
    sticky: BTreeSet<usize>,
    /// Why it leads back.
    failure: Option<String>,
    reply: oneshot::Sender<Result<u64, ReloadError>>,
}

enum Step {
    /// Those that have to stop do so, one after the other.
    Halting(Way, Turn),
    /// Everybody has stopped, since then; others may still be on their way up.
    Settling(Way, Duration),
    /// The graph was exchanged.
    Proving(Proof),
}

/// The way from the graph at work to another.
struct Way {
    /// Where it leads.
    to: Graph,
    /// Who has to stop, in order.
    leaving: Vec<usize>,
    /// Sinks that were cut off while they held something of their own.
    cut: BTreeSet<usize>,
    /// Until when it waits for what is on its way.
    patient_until: Duration,
}

/// Whose turn it is to stop.
#[derive(Clone, Copy)]
struct Turn {
    /// Its place in [`Way::leaving`].
    place: usize,
    halt: Halt,
    /// How long it has come so far.
    since: Duration,
}

/// What was started, until it has held for a moment.
struct Proof {
    /// Where it leads if it does not hold.
    back: Box<Graph>,
    started: Vec<Started>,
    since: Duration,
    /// What has ended meanwhile, and how.
    fault: Option<String>,
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
    /// A source or gate that is down; what it has given is being decided.
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
        self.tell_all(event_ids::RELOAD, "the graph changes");
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
        let finished = roster.entries().find(|entry| entry.status.own_state().0 == State::Finished);
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
        let way = Way { to, leaving, cut: BTreeSet::new(), patient_until: self.now() + RELOAD_DRAIN_MAX };
        let turn = Turn { place: 0, halt: Halt::Draining, since: self.now() };
        self.go_on(Errand { sticky, failure, reply }, Step::Halting(way, turn));
    }

    fn go_on(&mut self, errand: Errand, step: Step) {
        self.reload = Some(Reload { errand, step });
    }

    /// Whether the tree's word to stop means: once you have finished what you hold.
    pub(super) fn retires(&self, actor: usize) -> bool {
        let Some(Reload { step: Step::Halting(way, turn), .. }) = &self.reload else { return false };
        let blueprint = &self.hosted[actor].blueprint;
        way.leaving.get(turn.place) == Some(&actor)
            && matches!(blueprint.role, Role::Transform | Role::Gate | Role::Sink)
            && blueprint.status.own_state().0 == State::Running
    }

    /// Takes the next steps, as far as they can be taken.
    pub(super) fn judge_reload(&mut self) {
        while let Some(Reload { errand, step }) = self.reload.take() {
            let moved = match step {
                Step::Halting(way, turn) => self.halt(errand, way, turn),
                Step::Settling(way, since) => self.settle(errand, way, since),
                Step::Proving(proof) => self.prove(errand, proof),
            };
            if !moved {
                return;
            }
        }
    }

    /// Whether anything moved; so the other steps.
    fn halt(&mut self, errand: Errand, mut way: Way, turn: Turn) -> bool {
        let now = self.now();
        if self.drain_waits() && errand.failure.is_none() {
            self.give_up(errand, &way, "the node drains; nothing was changed");
            return true;
        }
        let Some(&slot) = way.leaving.get(turn.place) else {
            self.go_on(errand, Step::Settling(way, now));
            return true;
        };
        let role = self.hosted[slot].blueprint.role;
        let down = self.tree.is_down(slot) && !self.hosted[slot].on;
        let (passed, patient) = (now.saturating_sub(turn.since), now < way.patient_until);
        let next = match turn.halt {
            Halt::Draining if patient && self.works_off(slot, &way.to) => None,
            Halt::Draining => Some(Halt::Asked),
            Halt::Asked if !down && passed >= RELOAD_GRACE => Some(Halt::Told),
            Halt::Asked | Halt::Told if !down => None,
            Halt::Asked | Halt::Told if role.begins() => Some(Halt::Deciding),
            Halt::Deciding if patient && !self.is_decided(slot) => None,
            Halt::Asked | Halt::Told | Halt::Deciding => {
                let turn = Turn { place: turn.place + 1, halt: Halt::Draining, since: now };
                self.go_on(errand, Step::Halting(way, turn));
                return true;
            }
        };
        let Some(halt) = next else {
            self.go_on(errand, Step::Halting(way, turn));
            return false;
        };
        if halt == Halt::Told || (halt == Halt::Asked && self.holds_its_own(slot)) {
            way.cut.insert(slot);
        }
        let since = if halt == Halt::Asked { now } else { turn.since };
        self.go_on(errand, Step::Halting(way, Turn { halt, since, ..turn }));
        match halt {
            Halt::Asked => {
                let actions = self.tree.ordered(now, slot, Order::Stop);
                self.perform(actions);
            }
            Halt::Told => self.send(slot, host::Stop),
            Halt::Draining | Halt::Deciding => {}
        }
        true
    }

    /// Whether something is left on the links into it that go, and it can be expected to deal with it.
    fn works_off(&self, slot: usize, to: &Graph) -> bool {
        let at_work =
            self.hosted[slot].on && self.hosted[slot].blueprint.status.own_state().0 == State::Running;
        at_work && self.graph.links_lost(slot, to).iter().any(|link| !link.is_empty())
    }

    /// Whether it is a sink that will not get rid of what it took off its links.
    fn holds_its_own(&self, slot: usize) -> bool {
        let blueprint = &self.hosted[slot].blueprint;
        blueprint.role == Role::Sink && blueprint.status.own_state().0 != State::Running
    }

    fn is_decided(&self, slot: usize) -> bool {
        self.registry.ledger.is_idle_for(&self.hosted[slot].blueprint.identity.id)
    }

    fn settle(&mut self, errand: Errand, way: Way, since: Duration) -> bool {
        if self.tree.is_calm() {
            self.exchange(errand, way);
            return true;
        }
        let late = self.now().saturating_sub(since) >= RELOAD_CALM_MAX;
        if late && errand.failure.is_none() {
            let why = "other actors are being restarted again and again; nothing was changed";
            self.give_up(errand, &way, why);
            return true;
        }
        self.go_on(errand, Step::Settling(way, since));
        false
    }

    /// Lets go of whom it had stopped: they start again as they were.
    fn give_up(&mut self, Errand { sticky, reply, .. }: Errand, way: &Way, why: &str) {
        for &slot in way.leaving.iter().filter(|slot| !sticky.contains(slot)) {
            let actions = self.tree.ordered(self.now(), slot, Order::Start);
            self.perform(actions);
        }
        self.tell_all(event_ids::RELOAD_REFUSED, why);
        let _ = reply.send(Err(ReloadError::Refused(why.to_owned())));
        self.resume_commands();
    }

    /// Puts the new graph in the place of the old one. Nothing is awaited here, so no event falls in between.
    fn exchange(&mut self, errand: Errand, Way { to, leaving, cut, .. }: Way) {
        let now = self.now();
        let started = to.unlike(&self.graph);
        self.give_up_claims(&leaving, &cut, &to);
        self.shared.ledger.set_sinks(&to.sinks);
        for &slot in leaving.iter().filter(|slot| !to.places.contains_key(slot)) {
            self.hosted[slot].blueprint.record.run.fetch_add(1, Ordering::AcqRel);
        }
        if let Err(error) = self.seats.grow_for(&to) {
            tracing::warn!(event = event_ids::NO_ARBITER, %error, "cannot start more arbiters: actors share those there are");
        }
        let stays = |slot: usize| self.hosted.get(slot).filter(|_| !started.contains(&slot));
        let seats = to.seats(self.seats.count(), |slot| stays(slot).map(|hosted| hosted.seat));
        for &slot in &started {
            let hosted = self.host(&to.places[&slot], seats[&slot]);
            match slot < self.hosted.len() {
                true => self.hosted[slot] = hosted,
                false => self.hosted.push(hosted),
            }
            self.watchdog.begin(slot);
        }
        let mut tree = to.tree();
        let fresh = started.iter().copied().collect();
        let actions = tree.succeed(now, &self.tree, &fresh, &errand.sticky);
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
        let on = started.into_iter().filter(|slot| !errand.sticky.contains(slot));
        let started = on
            .map(|slot| Started { slot, progress: self.hosted[slot].blueprint.status.progress() })
            .collect();
        self.perform(actions);
        if let Some(reason) = errand.failure {
            self.tell_all(event_ids::ROLLED_BACK, reason.clone());
            let _ = errand.reply.send(Err(ReloadError::RolledBack(reason)));
            self.resume_commands();
            return;
        }
        let proof = Proof { back: Box::new(back), started, since: now, fault: None };
        self.go_on(errand, Step::Proving(proof));
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
            tracing::info!(
                event = event_ids::CLAIMED_ANEW,
                actor = &**source,
                "claims anew: what was on its way is read again"
            );
            self.shared.claims.renounce(source);
        }
        let stopped = leaving.iter().map(|slot| &self.graph.places[slot].blueprint);
        for source in stopped.filter(|blueprint| blueprint.role.begins()) {
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
        let Some(Reload { step: Step::Proving(proof), .. }) = &mut self.reload else { return };
        let ended_itself = !matches!(exit, Exit::Stopped | Exit::Finished);
        let ours = proof.started.iter().any(|started| started.slot == actor);
        if ended_itself && ours && proof.fault.is_none() {
            proof.fault = Some(format!("`{}` {exit}", self.hosted[actor].blueprint.identity.name));
        }
    }

    fn prove(&mut self, errand: Errand, mut proof: Proof) -> bool {
        let passed = self.now().saturating_sub(proof.since);
        let unfit = || proof.started.iter().find_map(|started| self.unfit(started.slot));
        let late_fault = if passed >= RELOAD_PROOF { unfit() } else { None };
        if let Some(reason) = proof.fault.take().or(late_fault) {
            tracing::error!(
                event = event_ids::ROLLED_BACK,
                reason,
                "the reload did not hold; back to what was there before"
            );
            self.lead(*proof.back, Some(reason), errand.reply);
            return true;
        }
        let unproven = || proof.started.iter().any(|started| self.has_shown_nothing(started));
        if passed < RELOAD_PROOF || (passed < RELOAD_CALM_MAX && unproven()) {
            self.go_on(errand, Step::Proving(proof));
            return false;
        }
        let generation = self.registry.generation() + 1;
        self.registry.replace_roster(self.graph.roster(&self.tree, generation));
        self.tell_all(event_ids::RELOADED, format!("generation {generation}"));
        let _ = errand.reply.send(Ok(generation));
        self.resume_commands();
        true
    }

    /// Whether nothing can be said of it yet: it has not begun, or something waits for it and it has dealt with nothing.
    fn has_shown_nothing(&self, started: &Started) -> bool {
        let blueprint = &self.hosted[started.slot].blueprint;
        match blueprint.status.own_state().0 {
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
        match self.hosted[slot].blueprint.status.own_state().0 {
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
        assert!(self.reload.is_none(), "commands wait for the end of a reload");
        for command in std::mem::take(&mut self.deferred) {
            self.commanded(command);
        }
    }
}
