//! The polling thread: the only place that polls the client and answers the group.
//!
//! Each turn obeys the actor's orders, answers the group's rebalances in order (each exactly once), takes messages and
//! hands on batches. A grant is answered at once with nothing: a partition is assigned later, by itself, when its claim
//! is there, so a slow database never holds up the group. A revocation is answered when nothing of the partition is in
//! flight, or after [`group::REVOKE_MAX`].
//!
//! No room: for [`HOLD_MAX`] the thread takes nothing and tries again (pausing throws away what the client has
//! fetched); after that the partitions without room are paused, and polling goes on for the others and for the group.
//!
//! Memory: per partition one batch being gathered ([`crate::kafka::records::BATCH_BYTES_MAX`], or one larger message), and
//! over all of them what one taking held, which is at most the client's own queue ([`crate::kafka::config`]).
//! Deliberately absent: databases, tasks, questions to the broker; the thread never blocks for longer than a poll.

mod group;
mod orders;
mod take;

use super::context::{Notes, SourceContext};
use super::partition::{Handed, Partition, Reading};
use super::talk::{End, Grant, Order, Report};
use crate::credentials::Login;
use crate::kafka::class::{About, classify};
use crate::kafka::client::Client;
use crate::kafka::intake::Intake;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::port::Outputs;
use aqueduct_engine::{Clock, Error, Ledger, Status};
pub(super) use group::REVOKE_MAX;
use group::Revocation;
use rdkafka::error::KafkaError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a full link is waited for before its partition is paused.
const HOLD_MAX: Duration = Duration::from_millis(200);
/// How often a full link is tried.
const RETRY_EVERY: Duration = Duration::from_millis(1);

/// What the thread is given.
pub(super) struct Setup {
    pub(super) client: Client<SourceContext>,
    pub(super) notes: Arc<Notes>,
    /// What the client was made with.
    pub(super) login: Login,
    pub(super) source: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) bootstrap: String,
    pub(super) batch_rows: usize,
    pub(super) linger: Duration,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) outputs: Outputs,
    pub(super) orders: Receiver<Order>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) status: Status,
}

/// The thread's state.
pub(super) struct Poll {
    /// Goes before the client.
    intake: Intake<SourceContext>,
    /// When every partition was last led to the intake.
    led_at: Instant,
    setup: Setup,
    /// What the group lets us have.
    partitions: BTreeMap<i32, Partition>,
    grants: Grant,
    revocation: Option<Revocation>,
    /// Since when nothing is taken because some link is full.
    holding: Option<Instant>,
    /// Reports the actor had no room for.
    outbox: VecDeque<Report>,
    draining: bool,
    /// The group has answered at least once.
    member: bool,
    /// A trouble was told and nothing has flowed since.
    troubled: bool,
    /// The broker does not let us in, and when it was last seen whether we could come with something else.
    refused: Option<(Instant, Error)>,
}

impl Poll {
    /// Runs until told to end or nothing more can be done; its last report says which.
    pub(super) fn run(setup: Setup) {
        let (notes, reports, status) = (setup.notes.clone(), setup.reports.clone(), setup.status.clone());
        let mut poll = Self {
            intake: Intake::new(setup.client.clone()),
            led_at: setup.clock.now(),
            setup,
            partitions: BTreeMap::new(),
            grants: 0,
            revocation: None,
            holding: None,
            outbox: VecDeque::new(),
            draining: false,
            member: false,
            troubled: false,
            refused: None,
        };
        let why = loop {
            if let Some(end) = poll.turn() {
                break end;
            }
        };
        status.caught_up(false);
        notes.close();
        let outputs = std::mem::take(&mut poll.setup.outputs);
        drop(poll);
        // The actor may be gone already; then so are the links' readers of these outputs.
        let _ = reports.blocking_send(Report::Ended { why, outputs });
    }

    fn turn(&mut self) -> Option<End> {
        if let Some(end) = self.obey() {
            return Some(end);
        }
        self.answer_group();
        let mut ended = None;
        let handed = self.hand_on();
        self.tell_losses();
        self.resume_unparked();
        match handed {
            Handed::Closed => return Some(End::OutputClosed),
            Handed::Full if self.hold() => {
                let _blocked = self.setup.status.blocked();
                std::thread::park_timeout(RETRY_EVERY);
            }
            Handed::Full => {
                self.pause_parked();
                ended = self.take_messages();
            }
            Handed::All => {
                self.holding = None;
                if self.draining {
                    return Some(End::Drained);
                }
                ended = self.take_messages();
            }
        }
        self.tell();
        ended
    }

    fn reading(&self) -> impl Iterator<Item = (i32, &Reading)> {
        self.partitions.iter().filter_map(|(number, held)| Some((*number, held.reading.as_ref()?)))
    }

    fn reading_mut(&mut self) -> impl Iterator<Item = (i32, &mut Reading)> {
        self.partitions.iter_mut().filter_map(|(number, held)| Some((*number, held.reading.as_mut()?)))
    }

    fn hand_on(&mut self) -> Handed {
        let mut handed = Handed::All;
        for held in self.partitions.values_mut() {
            let Some(reading) = &mut held.reading else { continue };
            match reading.hand_on(&mut self.setup.outputs, &self.setup.ledger, &self.setup.status) {
                Handed::All => {}
                Handed::Full => handed = Handed::Full,
                Handed::Closed => return Handed::Closed,
            }
        }
        handed
    }

    /// Whether to wait for room without taking anything. Not while a pause has already begun, nor while the group
    /// waits for an answer.
    fn hold(&mut self) -> bool {
        let now = self.setup.clock.now();
        let since = *self.holding.get_or_insert(now);
        now.duration_since(since) < HOLD_MAX && self.revocation.is_none()
    }

    /// Hands over reports as far as there is room, and says whether everything is caught up.
    fn tell(&mut self) {
        let caught_up = self.member
            && self.revocation.is_none()
            && self.partitions.values().all(|held| held.reading.as_ref().is_some_and(Reading::is_caught_up));
        self.setup.status.caught_up(caught_up);
        while let Some(report) = self.outbox.pop_front() {
            match self.setup.reports.try_send(report) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(report)) => {
                    self.outbox.push_front(report);
                    return;
                }
                // The next turn finds the orders disconnected.
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }

    fn report(&mut self, report: Report) {
        self.outbox.push_back(report);
    }

    fn trouble(&mut self, error: &KafkaError) {
        self.troubled = true;
        let error = self.classify(error);
        self.report(Report::Trouble(error));
    }

    fn classify(&self, error: &KafkaError) -> Error {
        let told = classify(error, About { bootstrap: &self.setup.bootstrap, topic: &self.setup.topic });
        self.setup.notes.reason().explain(error.rdkafka_error_code(), told)
    }
}
