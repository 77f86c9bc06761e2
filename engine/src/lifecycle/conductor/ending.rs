//! Orders and signals, and how it ends: drained, stopped, cut, or because the data ended.

use super::super::drain::{self, Seen, Verdict};
use super::super::manifest::{DrainReport, endings};
use super::super::{Command, EXIT_CUT};
use super::Conductor;
use crate::ledger::SinkIndex;
use crate::lifecycle::idle::Idle;
use crate::registry::{Phase, Roster};
use crate::status::State;
use crate::supervisor::core::Order;
use crate::supervisor::host;
use crate::telemetry::event_ids;
use std::time::Duration;

impl Conductor {
    pub(super) fn signalled(&mut self, signal: &'static str) {
        self.tell_all(event_ids::SIGNAL, signal);
        if self.reload.is_some() && !self.drain_waits() {
            self.defer(Command::Drain);
        } else if self.reload.is_some()
            || self.drain_until.is_some()
            || self.registry.phase() == Phase::Stopping
        {
            self.abort(format!("{signal} while draining"));
        } else {
            self.begin_drain(signal);
        }
    }

    pub(super) fn commanded(&mut self, command: Command) {
        match command {
            Command::Reload(wanted) => self.begin_reload(*wanted),
            Command::Stop => {
                self.reasons.push("asked to stop".to_owned());
                self.stop_all();
            }
            Command::Abort => self.abort("asked to end at once".to_owned()),
            command if self.reload.is_some() => self.defer(command),
            Command::Drain => self.begin_drain("asked to"),
            Command::DrainWhenIdle(lasting) => self.idle = Some(Idle::new(lasting)),
            Command::Order(actor, order, done) => self.order(actor, order, done),
        }
    }

    fn order(&mut self, actor: usize, order: Order, done: tokio::sync::oneshot::Sender<()>) {
        let what = match order {
            Order::Stop => event_ids::STOP_ORDERED,
            Order::Start => event_ids::START_ORDERED,
            Order::Restart => event_ids::RESTART_ORDERED,
        };
        self.tell(actor, what, "by an operator");
        let actions = self.tree.ordered(self.now(), actor, order);
        let roster = self.registry.roster();
        let entry = roster.entry(actor);
        if order == Order::Stop && matches!(entry.status.state().0, State::Backoff { .. }) {
            entry.status.rule(State::Stopped);
        }
        self.perform(actions);
        let _ = done.send(());
    }

    pub(super) fn begin_drain(&mut self, why: &str) {
        if self.drain_until.is_some() || self.registry.phase() == Phase::Stopping {
            return;
        }
        self.reasons.push(format!("drained: {why}"));
        self.tell_all(event_ids::DRAINING, why);
        self.registry.enter_phase(Phase::Draining, why);
        (self.drain_began, self.drain_until) = (Some(self.now()), Some(self.now() + self.patience.drain));
        self.send_all(|| host::Drain);
    }

    pub(super) fn stop_all(&mut self) {
        self.reload = None;
        self.drain_until = None;
        self.idle = None;
        let why = self.reasons.last().cloned().unwrap_or_default();
        self.registry.enter_phase(Phase::Stopping, why);
        let actions = self.tree.shutdown(self.now());
        self.perform(actions);
    }

    /// Ends without waiting for anybody: futures are dropped with their arbiters.
    fn abort(&mut self, why: String) {
        self.send_all(|| host::Kill);
        self.cut(why);
        self.ended = true;
    }

    /// Says in the log what was settled and what will be replayed, of each partition.
    pub(super) fn report_drain(&mut self) {
        let ledger = &self.registry.ledger;
        let partitions = self.endings.take().unwrap_or_else(|| {
            let required = |sink: SinkIndex| ledger.is_required(sink);
            endings(&ledger.rows(), &ledger.positions(), required, &self.shared.claims.all())
        });
        let now = self.now();
        let report = DrainReport {
            finished: partitions.iter().all(|end| end.in_flight == 0),
            reason: self.reasons.last().cloned().unwrap_or_default(),
            seconds: now.saturating_sub(self.drain_began.unwrap_or(now)).as_secs_f64(),
            partitions,
        };
        let json = serde_json::to_string(&report).unwrap_or_default();
        let text = report.to_string();
        if report.finished {
            tracing::info!(event = event_ids::DRAIN_REPORT, report = json, "drain report: {text}");
        } else {
            tracing::warn!(event = event_ids::DRAIN_REPORT, report = json, "drain report: {text}");
        }
    }

    /// Says what will be replayed, and chooses the exit code.
    fn cut(&mut self, why: String) {
        if self.registry.ledger.is_idle() {
            self.reasons.push(format!("{why}; nothing was in flight"));
            return;
        }
        self.exit_code = EXIT_CUT;
        let ledger = &self.registry.ledger;
        let required = |sink: SinkIndex| ledger.is_required(sink);
        let partitions = endings(&ledger.rows(), &ledger.positions(), required, &self.shared.claims.all());
        self.manifest = partitions.iter().filter(|end| end.in_flight > 0).cloned().collect();
        self.endings = Some(partitions);
        self.tell_all(event_ids::CUT, why.clone());
        self.reasons.push(why);
    }
}

impl Conductor {
    pub(super) fn judge_drain(&mut self) {
        if self.reload.is_some() {
            return;
        }
        let data_ended = self.registry.phase() == Phase::Running && self.everybody_finished();
        if data_ended {
            self.reasons.push("the data ended".to_owned());
            self.tell_all(event_ids::FINISHED, "the data ended");
            self.stop_all();
            return;
        }
        let Some(until) = self.drain_until else { return };
        let roster = self.registry.roster();
        let seen = Self::seen(&roster, self.registry.clock.wall_us());
        let verdict = drain::verdict(&seen, until.saturating_sub(self.now()));
        match verdict {
            Verdict::Wait => {}
            Verdict::Done { left_behind } => {
                if !left_behind.is_empty() {
                    let names = left_behind.join(", ");
                    self.tell_all(event_ids::LEFT_BEHIND, format!("{names}: away; heals at the next start"));
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
        let roster = self.registry.roster();
        let mut edged = roster.entries().filter(|entry| !entry.role.is_apart()).peekable();
        edged.peek().is_some() && edged.all(|entry| entry.status.state().0 == State::Finished)
    }

    fn seen(roster: &Roster, now_us: i64) -> Vec<Seen<'_>> {
        let edged = roster.entries().filter(|entry| !entry.role.is_apart());
        edged
            .map(|entry| {
                let (state, since_us) = entry.status.state();
                let age = Duration::from_micros(u64::try_from(now_us - since_us).unwrap_or(0));
                Seen { name: &entry.identity.name, state, age, required: entry.required }
            })
            .collect()
    }
}
