//! The life of one client as the actor sees it: claims, drains, lag, state.

use super::claiming::{ASK_MAX, Claimed, Claimer, Claiming};
use super::leaving::Leaving;
use super::poll::REVOKE_MAX;
use super::talk::{End, Order, Report};
use crate::credentials::Login;
use crate::kafka::query;
use aqueduct_engine::claim::Loss;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::telemetry::{event_ids, names};
use aqueduct_engine::{Claim, Claims, Class, Clock, Context, Error, Ledger, LogRange, State, Status};
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the state is looked over, and what sinks ask for.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the broker is asked where the logs end.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How often the group is told what is written, where that is only for tools.
const MIRROR_EVERY: Duration = Duration::from_secs(5);
/// How often where it is what a restart begins from.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// A fenced partition is claimed anew after this or up to thrice as long.
const FENCED_WAIT: Duration = Duration::from_millis(500);
/// A partition that could not be read after all is claimed anew after this.
const RECLAIM_WAIT: Duration = Duration::from_secs(1);
/// How long the logs are left alone between two looks for a missing offset.
const RANGE_WAIT: Duration = Duration::from_millis(200);
/// How long a client that follows another one may take to join before it is told of.
const QUIET_MAX: Duration = Duration::from_secs(3);
/// How long a drain waits for what is in flight before it leaves the group.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// The drain is cut a little before the polling thread would cut it.
pub(super) const IDLE_MAX: Duration = REVOKE_MAX.saturating_sub(Duration::from_millis(250));

/// How a client's life ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As asked.
    Finished,
    /// Everything read is written, and another client is to go on with the credentials of now.
    Renewed,
    /// A new client may do better.
    ClientGone(Error),
    /// A new client would only throw the other one out.
    FencedByName(Error),
}

/// Something that took time is done.
enum Done {
    Claimed(Result<Claiming, Error>),
    Idle { partition: i32, written: Vec<(i32, i64)> },
    Written(Result<Vec<(i32, i64)>, Error>),
    Logs(Result<BTreeMap<i32, LogRange>, Error>),
    Ranges(Result<BTreeMap<i32, LogRange>, Error>),
    LetGo,
}

pub(super) struct Session<'a> {
    cx: &'a mut Context,
    status: Status,
    clock: Clock,
    claims: Claims,
    ledger: Ledger,
    claimer: Claimer,
    orders: SyncSender<Order>,
    held: BTreeMap<i32, Claim>,
    jobs: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// Partitions somebody else has claimed while the group gives them to us.
    fenced: BTreeSet<i32>,
    trouble: Option<Error>,
    /// Why the last question for the logs had no answer; the next answer ends it, whether messages flow or not.
    unanswered: Option<Error>,
    member: bool,
    /// What the client was made with.
    login: Login,
    /// Until when a client that follows another one is not said to be waiting for the group.
    quiet_until: Option<Instant>,
    /// Another client is to follow this one.
    handing_over: bool,
    /// The watchdog asked for a new client.
    renewing: bool,
    asking_logs: bool,
    reading_positions: bool,
    logs_asked: Instant,
    committed: Instant,
}

impl<'a> Session<'a> {
    /// With what the client was made, and whether it follows another one.
    pub(super) fn new(
        cx: &'a mut Context,
        claimer: Claimer,
        (login, succeeds): (Login, bool),
        orders: SyncSender<Order>,
    ) -> Self {
        let now = cx.clock.now();
        Self {
            status: cx.status.clone(),
            clock: cx.clock.clone(),
            claims: cx.claims.clone(),
            ledger: cx.ledger.clone(),
            cx,
            claimer,
            orders,
            held: BTreeMap::new(),
            jobs: FuturesUnordered::new(),
            fenced: BTreeSet::new(),
            trouble: None,
            unanswered: None,
            member: false,
            login,
            quiet_until: succeeds.then(|| now + QUIET_MAX),
            handing_over: false,
            renewing: false,
            asking_logs: false,
            reading_positions: false,
            logs_asked: now,
            committed: now,
        }
    }

    /// Until the polling thread has ended. However it ends, nothing is ours in the group from then on.
    pub(super) async fn run(mut self, reports: mpsc::Receiver<Report>) -> Result<Outcome, Error> {
        self.show_membership();
        let ended = self.run_client(reports).await;
        self.member = false;
        self.claimer.granted.borrow_mut().clear();
        self.show_membership();
        ended
    }

    async fn run_client(&mut self, mut reports: mpsc::Receiver<Report>) -> Result<Outcome, Error> {
        let status = self.status.clone();
        let clock = self.clock.clone();
        let (mut stopping, mut draining) = (false, false);
        let mut discard = status.discard_requested();
        let mut tick = Box::pin(clock.sleep(LOOK_EVERY));
        loop {
            self.show();
            tokio::select! {
                biased;
                () = status.stopped(), if !stopping => {
                    stopping = true;
                    self.order(Order::Stop)?;
                }
                () = status.draining(), if !draining => {
                    draining = true;
                    self.order(Order::Drain)?;
                }
                Ok(()) = discard.changed(), if !self.renewing => {
                    self.renewing = true;
                    self.order(Order::Stop)?;
                }
                report = reports.recv() => match report {
                    Some(Report::Ended { why, outputs }) => {
                        self.cx.outputs = outputs;
                        return self.end(why).await;
                    }
                    Some(report) => self.hear(report)?,
                    None => return Err(Error::bug("the polling thread panicked; the log has its message")),
                },
                Some(done) = self.jobs.next() => self.finish(done)?,
                () = &mut tick => {
                    tick = Box::pin(clock.sleep(LOOK_EVERY));
                    self.look()?;
                }
            }
        }
    }

    async fn end(&mut self, why: End) -> Result<Outcome, Error> {
        // Of those that a sink has found lost: the new claim will not come from here.
        Leaving::new(self.cx, &self.claimer.options.source).end_all(|claim| {
            self.held.get(&claim.key.partition).is_none_or(|held| held.epoch != claim.epoch)
        });
        match why {
            End::Told if self.renewing && !self.status.stopping() => Ok(Outcome::ClientGone(Error::new(
                Class::Transient,
                "nothing was read for long; connecting anew",
            ))),
            End::Told => Ok(Outcome::Finished),
            End::Drained if self.handing_over && !self.is_ending() => {
                self.see_off().await;
                Ok(if self.is_ending() { self.finished() } else { Outcome::Renewed })
            }
            End::Drained => {
                self.cx.outputs.close();
                self.see_off().await;
                Ok(Outcome::Finished)
            }
            End::ClientGone(error) => Ok(Outcome::ClientGone(error)),
            End::FencedByName(error) => Ok(Outcome::FencedByName(error)),
            End::OutputClosed if self.status.stopping() => Ok(Outcome::Finished),
            End::OutputClosed => {
                Err(Error::new(Class::Fenced, "the output is closed, or has a newer sender"))
            }
        }
    }

    /// Whether the node does not want another client to follow.
    fn is_ending(&self) -> bool {
        self.status.stopping() || self.status.draining().now_or_never().is_some()
    }

    /// A drain came while everything read was being written.
    fn finished(&mut self) -> Outcome {
        self.cx.outputs.close();
        Outcome::Finished
    }

    /// Everything read is handed on. We stay in the group until it is written, so that nobody claims what is in
    /// flight, and tell the group how far that is.
    async fn see_off(&mut self) {
        let held: Vec<_> = self.held.values().map(|claim| (claim.key.clone(), claim.epoch)).collect();
        let (ledger, status) = (&self.ledger, &self.status);
        let idle = async {
            for (key, epoch) in &held {
                ledger.idle(key, *epoch).await;
            }
        };
        let (idle, stopped) = (std::pin::pin!(idle), std::pin::pin!(status.stopped()));
        let _ = self.clock.timeout(DRAIN_MAX, futures::future::select(idle, stopped)).await;
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        let said = async {
            let written = self.claimer.written(&partitions).await?;
            self.claimer.say_written(written).await
        };
        match self.clock.timeout(ASK_MAX, said).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let class = error.class.as_str();
                tracing::warn!(event = event_ids::COMMIT_MISSED, actor = &*self.claimer.options.source, class, %error, "group offsets were not committed");
            }
            Err(_) => tracing::warn!(
                event = event_ids::COMMIT_MISSED,
                actor = &*self.claimer.options.source,
                class = Class::Transient.as_str(),
                "no answer to the last commit"
            ),
        }
    }

    /// What is looked after from time to time.
    fn look(&mut self) -> Result<(), Error> {
        self.status.beat();
        let now = self.clock.now();
        // Not in the middle of joining: what is in use may change again.
        if self.member
            && self.login.is_outdated()
            && !self.handing_over
            && !self.renewing
            && !self.is_ending()
        {
            self.handing_over = true;
            self.order(Order::Drain)?;
        }
        if now.duration_since(self.logs_asked) >= LAG_EVERY && !self.asking_logs {
            self.logs_asked = now;
            self.ask_logs();
        }
        let exactly_once = self.claimer.options.offsets.exactly_once();
        let commit_every = if exactly_once { MIRROR_EVERY } else { COMMIT_EVERY };
        if now.duration_since(self.committed) >= commit_every {
            self.committed = now;
            self.read_positions();
        }
        self.claims
            .take_rewinds(&self.claimer.options.source)
            .into_iter()
            .try_for_each(|(key, epoch, loss)| self.rewind(key.partition, epoch, loss))
    }

    /// A sink lost its claim: reading stops, and begins again from a new one.
    fn rewind(&mut self, partition: i32, epoch: i64, loss: Loss) -> Result<(), Error> {
        if self.held.get(&partition).is_none_or(|claim| claim.epoch != epoch) {
            return Ok(());
        }
        tracing::warn!(
            event = event_ids::CLAIM_LOST,
            actor = &*self.claimer.options.source,
            topic = &*self.claimer.options.topic(),
            partition,
            epoch,
            class = Class::Fenced.as_str(),
            ?loss,
            "claimed anew"
        );
        self.held.remove(&partition);
        self.order(Order::Halt { partition })?;
        let delay = match loss {
            // Two owners must not take turns at fencing each other: whoever the group means will be alone soon.
            Loss::Fenced => {
                self.fenced.insert(partition);
                FENCED_WAIT.mul_f64(1.0 + 2.0 * fastrand::f64())
            }
            Loss::WentBack | Loss::Renounced => Duration::ZERO,
        };
        self.claim(vec![partition], delay);
        Ok(())
    }

    fn read_positions(&mut self) {
        if self.held.is_empty() || std::mem::replace(&mut self.reading_positions, true) {
            return;
        }
        let (claimer, clock) = (self.claimer.clone(), self.clock.clone());
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        self.jobs.push(Box::pin(async move {
            let written = clock.timeout(ASK_MAX, claimer.written(&partitions)).await;
            let late = |_| Err(Error::new(Class::Transient, "the offset store does not answer"));
            Done::Written(written.unwrap_or_else(late))
        }));
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        match self.orders.try_send(order) {
            // An ended thread has reported why, or its panic is about to show.
            Ok(()) | Err(std::sync::mpsc::TrySendError::Disconnected(_)) => Ok(()),
            Err(std::sync::mpsc::TrySendError::Full(_)) => {
                Err(Error::bug("the polling thread takes no orders"))
            }
        }
    }

    fn hear(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Granted { grant, partitions } => {
                self.status.figures().add(names::KAFKA_GROUP_REBALANCES_TOTAL, &[], 1.0);
                if !std::mem::replace(&mut self.member, true) {
                    self.leave_to_others(&partitions);
                }
                for partition in &partitions {
                    self.claimer.granted.borrow_mut().insert(*partition, grant);
                }
                self.claim(partitions, Duration::ZERO);
                self.show_membership();
            }
            Report::Revoking { partition, epoch } => self.drain_partition(partition, epoch),
            Report::Released { partition, epoch } => {
                let key = self.claimer.options.key(partition);
                self.claims.release(&key, epoch);
                // What no sink has decided is read again under the next claim, here or elsewhere.
                self.ledger.release(&key, epoch);
                if self.held.get(&partition).is_some_and(|claim| claim.epoch == epoch) {
                    self.held.remove(&partition);
                    // Where the group still gives it to us, as after a refused assignment, it must not be left unread.
                    self.claim(vec![partition], RECLAIM_WAIT);
                }
            }
            Report::Revoked { partitions } => {
                self.status.figures().add(names::KAFKA_GROUP_REBALANCES_TOTAL, &[], 1.0);
                self.forget(&partitions);
                self.show_membership();
            }
            Report::Trouble(error) => {
                // The client tells of the same trouble with each of its own attempts.
                if self.trouble.as_ref().is_none_or(|known| known.message != error.message) {
                    let class = error.class.as_str();
                    tracing::warn!(event = event_ids::KAFKA, actor = &*self.claimer.options.source, class, %error, "kafka");
                }
                self.note_trouble(error);
            }
            Report::Flowing => (self.trouble, self.unanswered) = (None, None),
            Report::OutOfRange => self.ask_ranges(),
            Report::Gone { partition, epoch, from, to } => self.await_decision(partition, epoch, from, to),
            Report::BeyondEnd { partition, next, end } => {
                let key = self.claimer.options.key(partition);
                let error = self.claimer.options.beyond_end(&key, next, end);
                self.claimer.waiting.borrow_mut().insert(partition, error);
                self.held.remove(&partition);
                self.claim(vec![partition], RECLAIM_WAIT);
            }
            Report::Ended { .. } => unreachable!("the loop takes the last report itself"),
        }
        Ok(())
    }

    /// Somebody's refusal is not hidden behind the silence that follows it.
    fn note_trouble(&mut self, error: Error) {
        let refused = self.trouble.as_ref().is_some_and(|known| known.class == Class::Config);
        if !(refused && error.class == Class::Transient) {
            self.trouble = Some(error);
        }
    }

    fn finish(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Claimed(claiming) => match claiming? {
                Claiming::Done(claimed) => claimed.into_iter().try_for_each(|claimed| self.begin(claimed)),
                Claiming::Apart(partitions) => {
                    partitions.into_iter().for_each(|partition| self.claim(vec![partition], Duration::ZERO));
                    Ok(())
                }
            },
            Done::Idle { partition, written } => {
                self.order(Order::Commit(written))?;
                self.order(Order::Idle { partition })
            }
            Done::Written(written) => {
                self.reading_positions = false;
                match written {
                    Ok(written) => self.order(Order::Commit(written)),
                    Err(error) => {
                        tracing::debug!(actor = &*self.claimer.options.source, %error, "no positions to commit");
                        Ok(())
                    }
                }
            }
            Done::Logs(logs) => {
                self.asking_logs = false;
                match logs {
                    Ok(logs) => self.note_logs(&logs),
                    Err(error) => {
                        // A refusal is an answer too: the broker is there.
                        if error.class == Class::Config {
                            self.trouble.take_if(|trouble| trouble.class == Class::Transient);
                        }
                        self.unanswered = Some(error);
                    }
                }
                Ok(())
            }
            Done::Ranges(Ok(logs)) => logs.into_iter().try_for_each(|(partition, log)| {
                self.order(Order::Range { partition, start: log.start, end: log.end })
            }),
            Done::LetGo => Ok(()),
            Done::Ranges(Err(error)) => {
                self.note_trouble(error);
                self.ask_ranges();
                Ok(())
            }
        }
    }

    /// The group has answered: what the client before this one had, and this one has not, is others' now.
    fn leave_to_others(&mut self, granted: &[i32]) {
        let leaving = Leaving::new(self.cx, &self.claimer.options.source);
        let mut left = leaving.held();
        left.retain(|claim| !granted.contains(&claim.key.partition));
        self.jobs.push(Box::pin(leaving.let_go(left).map(|()| Done::LetGo)));
    }

    /// Records of a partition are gone that were never read. What was read before is written, then the offset store is
    /// asked where to go on; it says so once somebody has decided.
    fn await_decision(&mut self, partition: i32, epoch: i64, from: i64, to: i64) {
        let key = self.claimer.options.key(partition);
        let error = self.claimer.options.gone_from(&key, from, to);
        tracing::error!(
            event = event_ids::RECORDS_GONE,
            actor = &*self.claimer.options.source,
            topic = &*key.topic,
            partition,
            from,
            to,
            class = error.class.as_str(),
            %error,
            "records are gone"
        );
        self.claimer.waiting.borrow_mut().insert(partition, error);
        let (claimer, ledger) = (self.claimer.clone(), self.ledger.clone());
        self.jobs.push(Box::pin(async move {
            ledger.idle(&key, epoch).await;
            Done::Claimed(claimer.claim(vec![partition], Duration::ZERO).await)
        }));
    }

    /// The partitions are ours to claim.
    fn claim(&mut self, partitions: Vec<i32>, delay: Duration) {
        let claimer = self.claimer.clone();
        self.jobs.push(Box::pin(async move { Done::Claimed(claimer.claim(partitions, delay).await) }));
    }

    /// A partition is claimed: batches of older epochs are dropped from here on, and reading begins.
    fn begin(&mut self, Claimed { grant, claim, log }: Claimed) -> Result<(), Error> {
        let partition = claim.key.partition;
        if self.claimer.granted.borrow().get(&partition) != Some(&grant) {
            return Ok(());
        }
        self.fenced.remove(&partition);
        self.claims.insert(claim.clone());
        // Of a source that ended before us. At the log's end no batch would come to tell the ledger.
        self.ledger.release(&claim.key, claim.epoch - 1);
        self.held.insert(partition, claim.clone());
        self.status.lag().log(&claim.key.topic, partition, log.start, log.end);
        let gone = self.claimer.options.gone(&claim);
        if gone > 0 {
            self.count_skipped(partition, claim.epoch, log.start - gone, log.start);
        }
        let start = claim.start.max(log.start);
        self.status.lag().passed(&claim.key.topic, partition, start);
        tracing::info!(
            event = event_ids::READING,
            actor = &*self.claimer.options.source,
            topic = &*claim.key.topic,
            partition,
            epoch = claim.epoch,
            start,
            end = log.end,
            "reading"
        );
        self.order(Order::Read { grant, claim, start })
    }

    fn drain_partition(&mut self, partition: i32, epoch: i64) {
        let (ledger, clock, claimer) = (self.ledger.clone(), self.clock.clone(), self.claimer.clone());
        let key = claimer.options.key(partition);
        let last_word = !claimer.options.offsets.exactly_once();
        self.jobs.push(Box::pin(async move {
            let drained = async {
                ledger.idle(&key, epoch).await;
                // The next owner begins where the group was told, if rows and offsets are not written together.
                if last_word { claimer.written(&[partition]).await.unwrap_or_default() } else { Vec::new() }
            };
            // Cut short, the rest is fenced by the next owner's claim.
            let written = clock.timeout(IDLE_MAX, drained).await.unwrap_or_default();
            Done::Idle { partition, written }
        }));
    }

    fn forget(&mut self, partitions: &[i32]) {
        let topic = self.claimer.options.topic();
        for partition in partitions {
            self.claimer.granted.borrow_mut().remove(partition);
            self.held.remove(partition);
            self.fenced.remove(partition);
            self.status.lag().remove(&topic, *partition);
        }
    }

    /// What the group lets us have.
    fn show_membership(&self) {
        let assigned = self.claimer.granted.borrow().len();
        let figures = self.status.figures();
        figures.set(names::KAFKA_GROUP_MEMBER, &[], f64::from(u8::from(self.member)));
        figures.set(names::KAFKA_GROUP_ASSIGNED_PARTITIONS, &[], assigned as f64);
    }

    fn count_skipped(&self, partition: i32, epoch: i64, from: i64, to: i64) {
        let key = self.claimer.options.key(partition);
        tracing::error!(
            event = event_ids::RECORDS_GONE,
            actor = &*self.claimer.options.source,
            topic = &*key.topic,
            partition,
            from,
            to,
            "records {from}..{to} were gone from the log before they could be read: skipped; raise the topic's retention"
        );
        self.ledger.skipped(&key, epoch, (to - from) as u64);
    }

    /// Asks where the logs of what we hold begin and end; with nothing held, whether the topic is there.
    fn ask_logs(&mut self) {
        if std::mem::replace(&mut self.asking_logs, true) {
            return;
        }
        let claimer = self.claimer.clone();
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        self.jobs.push(Box::pin(async move { Done::Logs(claimer.logs(partitions).await) }));
    }

    fn ask_ranges(&mut self) {
        let (claimer, clock) = (self.claimer.clone(), self.clock.clone());
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        self.jobs.push(Box::pin(async move {
            clock.sleep(RANGE_WAIT).await;
            Done::Ranges(claimer.ranges(partitions).await)
        }));
    }

    fn note_logs(&mut self, logs: &BTreeMap<i32, LogRange>) {
        self.status.contacted();
        self.unanswered = None;
        // The broker answers, and the topic is there: an outage is over. A refusal is over when messages flow.
        self.trouble.take_if(|trouble| trouble.class == Class::Transient || logs.is_empty());
        let topic = self.claimer.options.topic();
        for (partition, log) in logs {
            if self.held.contains_key(partition) {
                self.status.lag().log_asked(&topic, *partition, log.start, log.end, self.logs_asked);
            }
        }
    }

    /// The state that follows from everything known.
    fn show(&self) {
        if let Some(error) = self.claimer.waiting.borrow().values().next() {
            self.status.waiting(error);
        } else if !self.fenced.is_empty() {
            let reason = format!(
                "partitions {:?} have another owner in the offset store though the group gives them to us; \
                 claiming them anew",
                self.fenced
            );
            self.status.set(State::Fenced { reason });
        } else if let Some(error) = self.trouble.as_ref().or(self.unanswered.as_ref()) {
            self.status.waiting(error);
        } else if self.member || self.quiet_until.is_some_and(|until| self.clock.now() < until) {
            self.status.running();
        } else {
            self.status.waiting(&self.claimer.options.not_joined());
        }
    }
}

impl Claimer {
    /// How far every sink has come, of `partitions`: what the group may be told.
    async fn written(&self, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error> {
        let mut least: BTreeMap<i32, i64> = BTreeMap::new();
        for position in self.options.offsets.positions().await? {
            let key = &position.key;
            if key.source == self.options.source && *key.topic == *self.options.kafka.topic.value {
                let next = least.entry(key.partition).or_insert(position.next_offset);
                *next = (*next).min(position.next_offset);
            }
        }
        Ok(least.into_iter().filter(|(partition, _)| partitions.contains(partition)).collect())
    }

    /// Tells the group, and waits for its answer.
    pub(super) async fn say_written(&self, written: Vec<(i32, i64)>) -> Result<(), Error> {
        if written.is_empty() {
            return Ok(());
        }
        let topic = self.options.topic();
        self.ask(move |client| query::commit(client, &topic, &written)).await
    }

    /// Where the logs of `partitions` begin and end.
    async fn logs(&self, partitions: Vec<i32>) -> Result<BTreeMap<i32, LogRange>, Error> {
        let topic = self.options.topic();
        let clock = self.clock.clone();
        self.ask(move |client| {
            // Readiness waits for the answer.
            let until = clock.now() + CONTACT_WAIT_MAX;
            let left = || until.saturating_duration_since(clock.now());
            if partitions.is_empty() {
                query::exists(client, &topic, left())?;
            }
            let starts = query::starts(client, &topic, &partitions, left())?;
            let ends = query::ends(client, &topic, &partitions, left())?;
            let log = |(partition, start): (&i32, &i64)| {
                let end = *ends.get(partition)?;
                Some((*partition, LogRange { start: *start, end, initial: *start }))
            };
            Ok(starts.iter().filter_map(log).collect())
        })
        .await
    }
}
