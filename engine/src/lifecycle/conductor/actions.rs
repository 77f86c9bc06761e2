//! The tree's actions become messages to hosts; what hosts tell becomes events of the tree.

use super::super::EXIT_ESCALATED;
use super::Conductor;
use crate::registry::Phase;
use crate::status::State;
use crate::supervisor::core::{Ended, Why};
use crate::supervisor::exit::Exit;
use crate::supervisor::host::{self, Host, HostEvent, HostNews};
use crate::supervisor::tree::TreeAction;
use crate::telemetry::event_ids;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Conductor {
    pub(super) fn perform(&mut self, actions: Vec<TreeAction>) {
        for action in actions {
            match action {
                TreeAction::Start(actor) => self.start(actor),
                TreeAction::Stop(actor) if self.retires(actor) => self.send(actor, host::Retire),
                TreeAction::Stop(actor) => self.send(actor, host::Stop),
                TreeAction::Kill(actor) => {
                    self.tell(actor, event_ids::KILLED, "it did not stop in time");
                    self.send(actor, host::Kill);
                }
                TreeAction::Waits(actor, wait) => self.back_off(actor, wait),
                TreeAction::Arm(timer, after) => {
                    self.timers.insert((self.now() + after, timer));
                }
                TreeAction::GaveUp { supervisor, child } => self.gave_up(&supervisor, &child),
                TreeAction::Up => {
                    if self.registry.phase() == Phase::Starting {
                        self.registry.enter_phase(Phase::Running, "every actor was started");
                    }
                    self.tell_all(event_ids::UP, "every actor was started");
                }
                TreeAction::Down(why) => self.down(why),
            }
        }
    }

    fn start(&mut self, actor: usize) {
        let hosted = &mut self.hosted[actor];
        hosted.on = true;
        let run = hosted.blueprint.record.run.fetch_add(1, Ordering::AcqRel) + 1;
        let status = hosted.blueprint.status.next_start();
        status.rule(State::Starting);
        if run > 1 {
            self.registry.roster().entry(actor).record.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.send(actor, host::Start { run, status });
    }

    /// Control messages have a bound; a host that has let it fill is stuck, and the watchdog's business.
    pub(super) fn send<M>(&self, actor: usize, message: M)
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Host: actix::Handler<M>,
    {
        if let Err(error) = self.hosted[actor].address.try_send(message) {
            let name = self.name(actor);
            tracing::warn!(event = event_ids::ORDER_NOT_TAKEN, actor = %name, %error, "control message not taken");
        }
    }

    /// To everybody there is.
    pub(super) fn send_all<M>(&self, message: impl Fn() -> M)
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Host: actix::Handler<M>,
    {
        self.registry.roster().occupied().for_each(|actor| self.send(actor, message()));
    }

    fn back_off(&mut self, actor: usize, wait: Duration) {
        let roster = self.registry.roster();
        let entry = roster.entry(actor);
        let reason = entry
            .record
            .last_exit()
            .map_or_else(|| "restarted by its supervisor".to_owned(), |exit| exit.to_string());
        entry.status.rule(State::Backoff { reason });
        self.tell(actor, event_ids::BACKOFF, format!("starts again in {wait:.1?}"));
    }

    fn gave_up(&mut self, supervisor: &Arc<str>, child: &Arc<str>) {
        let roster = self.registry.roster();
        let last = roster.position(child).and_then(|actor| roster.entry(actor).record.last_exit());
        let last = last.map_or(String::new(), |exit| format!("; its last exit: {exit}"));
        let reason = format!("supervisor `{supervisor}` gave up: `{child}` ended too often{last}");
        tracing::error!(event = event_ids::GAVE_UP, supervisor = %supervisor, child = %child, "{reason}");
        self.registry.events.enter(supervisor, event_ids::GAVE_UP, reason.clone());
        for entry in roster.entries().filter(|entry| entry.supervisor == *supervisor) {
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

    pub(super) fn fire_timers(&mut self) {
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

impl Conductor {
    pub(super) fn hosted_news(&mut self, HostEvent { actor, run, what }: HostEvent) {
        if self.hosted[actor].blueprint.record.run.load(Ordering::Acquire) != run || !self.hosted[actor].on {
            return;
        }
        match what {
            HostNews::Started => {
                self.tell(actor, event_ids::STARTED, format!("start {run}"));
                let actions = self.tree.started(self.now(), actor);
                self.perform(actions);
            }
            HostNews::Exited(exit, ended) => self.exited(actor, exit, ended),
        }
    }

    pub(super) fn exited(&mut self, actor: usize, exit: Exit, ended: Ended) {
        self.hosted[actor].on = false;
        let roster = self.registry.roster();
        let entry = roster.entry(actor);
        // Provisional: the tree says `Backoff` next if it means to start it again.
        match entry.status.state().0 {
            State::Failed { .. } => {}
            _ if exit == Exit::Finished => entry.status.rule(State::Finished),
            _ => entry.status.rule(State::Stopped),
        }
        self.tell_exit(actor, &exit);
        self.reload_saw(actor, &exit);
        entry.record.exited(exit);
        let actions = self.tree.exited(self.now(), actor, ended);
        self.perform(actions);
    }
}
