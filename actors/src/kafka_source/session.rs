//! The life of one client as the actor sees it: claims, drains, lag, state.

use super::claiming::{ASK_MAX, Claimed, Claimer};
use super::poll::REVOKE_MAX;
use super::talk::{End, Order, Report};
use crate::kafka::query;
use aqueduct_engine::{Claim, Claims, Class, Clock, Context, Error, Ledger, LogRange, Status};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the broker is asked where the logs end.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// The drain is cut a little before the polling thread would cut it.
const IDLE_MAX: Duration = REVOKE_MAX.saturating_sub(Duration::from_millis(250));

/// How a client's life ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As asked.
    Finished,
    /// A new client may do better.
    ClientGone(Error),
    /// A new client would only throw the other one out.
    FencedByName(Error),
}

/// Something that took time is done.
enum Done {
    Claimed(Result<Vec<Claimed>, Error>),
    Idle { partition: i32 },
    Logs(Result<BTreeMap<i32, LogRange>, Error>),
    Ranges(Result<BTreeMap<i32, LogRange>, Error>),
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
    trouble: Option<Error>,
    member: bool,
    asking_logs: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(cx: &'a mut Context, claimer: Claimer, orders: SyncSender<Order>) -> Self {
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
            trouble: None,
            member: false,
            asking_logs: false,
        }
    }

    /// Until the polling thread has ended.
    pub(super) async fn run(mut self, mut reports: mpsc::Receiver<Report>) -> Result<Outcome, Error> {
        let status = self.status.clone();
        let clock = self.clock.clone();
        let (mut stopping, mut draining) = (false, false);
        let mut tick = Box::pin(clock.sleep(LAG_EVERY));
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
                report = reports.recv() => match report {
                    Some(Report::Ended { why, outputs }) => {
                        self.cx.outputs = outputs;
                        return self.end(why);
                    }
                    Some(report) => self.hear(report)?,
                    None => return Err(Error::bug("the polling thread panicked; the log has its message")),
                },
                Some(done) = self.jobs.next() => self.finish(done)?,
                () = &mut tick => {
                    tick = Box::pin(clock.sleep(LAG_EVERY));
                    self.ask_logs();
                }
            }
        }
    }

    fn end(&mut self, why: End) -> Result<Outcome, Error> {
        match why {
            End::Told | End::Drained => Ok(Outcome::Finished),
            End::ClientGone(error) => Ok(Outcome::ClientGone(error)),
            End::FencedByName(error) => Ok(Outcome::FencedByName(error)),
            End::OutputClosed if self.status.stopping() => Ok(Outcome::Finished),
            End::OutputClosed => Err(Error::new(Class::Fenced, "the output is closed, or has a newer sender")),
        }
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        match self.orders.try_send(order) {
            // An ended thread has reported why, or its panic is about to show.
            Ok(()) | Err(std::sync::mpsc::TrySendError::Disconnected(_)) => Ok(()),
            Err(std::sync::mpsc::TrySendError::Full(_)) => Err(Error::bug("the polling thread takes no orders")),
        }
    }

    fn hear(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Granted { grant, partitions } => {
                self.member = true;
                for partition in &partitions {
                    self.claimer.granted.borrow_mut().insert(*partition, grant);
                }
                self.claim(partitions, Duration::ZERO);
            }
            Report::Revoking { partition, epoch } => self.drain_partition(partition, epoch),
            Report::Released { partition, epoch } => {
                self.claims.release(&self.claimer.options.key(partition), epoch);
                if self.held.get(&partition).is_some_and(|claim| claim.epoch == epoch) {
                    self.held.remove(&partition);
                }
            }
            Report::Revoked { partitions } => self.forget(&partitions),
            Report::Trouble(error) => {
                tracing::warn!(actor = &*self.claimer.options.source, %error, "kafka");
                self.trouble = Some(error);
            }
            Report::Flowing => self.trouble = None,
            Report::OutOfRange => self.ask_ranges(),
            Report::Skipped { partition, epoch, from, to } => self.count_skipped(partition, epoch, from, to),
            Report::BeyondEnd { partition, next, end } => {
                let key = self.claimer.options.key(partition);
                self.trouble = Some(self.claimer.options.beyond_end(&key, next, end));
                self.held.remove(&partition);
                self.claim(vec![partition], Duration::from_secs(5));
            }
            Report::Ended { .. } => unreachable!("the loop takes the last report itself"),
        }
        Ok(())
    }

    fn finish(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Claimed(claimed) => claimed?.into_iter().try_for_each(|claimed| self.begin(claimed)),
            Done::Idle { partition } => self.order(Order::Idle { partition }),
            Done::Logs(logs) => {
                self.asking_logs = false;
                match logs {
                    Ok(logs) => self.note_logs(&logs),
                    Err(error) => self.trouble = Some(error),
                }
                Ok(())
            }
            Done::Ranges(Ok(logs)) => logs.into_iter().try_for_each(|(partition, log)| {
                self.order(Order::Range { partition, start: log.start, end: log.end })
            }),
            Done::Ranges(Err(error)) => {
                self.trouble = Some(error);
                self.ask_ranges();
                Ok(())
            }
        }
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
        self.claims.insert(claim.clone());
        self.held.insert(partition, claim.clone());
        self.status.lag().log(&claim.key.topic, partition, log.start, log.end);
        if claim.start < log.start {
            self.count_skipped(partition, claim.epoch, claim.start, log.start);
        }
        let start = claim.start.max(log.start);
        tracing::info!(
            actor = &*self.claimer.options.source, partition, epoch = claim.epoch, start, end = log.end, "reading"
        );
        self.order(Order::Read { grant, claim, start })
    }

    fn drain_partition(&mut self, partition: i32, epoch: i64) {
        let (ledger, clock, key) = (self.ledger.clone(), self.clock.clone(), self.claimer.options.key(partition));
        self.jobs.push(Box::pin(async move {
            // Cut short, the rest is fenced by the next owner's claim.
            let _ = clock.timeout(IDLE_MAX, ledger.idle(&key, epoch)).await;
            Done::Idle { partition }
        }));
    }

    fn forget(&mut self, partitions: &[i32]) {
        let topic = self.claimer.options.topic();
        for partition in partitions {
            self.claimer.granted.borrow_mut().remove(partition);
            self.held.remove(partition);
            self.status.lag().remove(&topic, *partition);
        }
    }

    fn count_skipped(&self, partition: i32, epoch: i64, from: i64, to: i64) {
        let key = self.claimer.options.key(partition);
        tracing::error!(
            actor = &*self.claimer.options.source, partition, from, to,
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
        let claimer = self.claimer.clone();
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        self.jobs.push(Box::pin(async move { Done::Ranges(claimer.ranges(partitions).await) }));
    }

    fn note_logs(&mut self, logs: &BTreeMap<i32, LogRange>) {
        // The broker answers, and the topic is there: an outage is over. A refusal is over when messages flow.
        if self.trouble.as_ref().is_some_and(|trouble| trouble.class == Class::Transient || logs.is_empty()) {
            self.trouble = None;
        }
        let topic = self.claimer.options.topic();
        for (partition, log) in logs {
            if self.held.contains_key(partition) {
                self.status.lag().log(&topic, *partition, log.start, log.end);
            }
        }
    }

    /// The state that follows from everything known.
    fn show(&self) {
        if let Some(error) = self.claimer.waiting.borrow().values().next() {
            self.status.waiting(error);
        } else if let Some(error) = &self.trouble {
            self.status.waiting(error);
        } else if self.member {
            self.status.running();
        }
    }
}

impl Claimer {
    /// Where the logs of `partitions` begin and end.
    async fn logs(&self, partitions: Vec<i32>) -> Result<BTreeMap<i32, LogRange>, Error> {
        let topic = self.options.topic();
        self.ask(move |client| {
            if partitions.is_empty() {
                query::exists(client, &topic, ASK_MAX)?;
            }
            let starts = query::starts(client, &topic, &partitions, ASK_MAX)?;
            let ends = query::ends(client, &topic, &partitions, ASK_MAX)?;
            let log = |(partition, start): (&i32, &i64)| {
                let end = *ends.get(partition)?;
                Some((*partition, LogRange { start: *start, end, initial: *start }))
            };
            Ok(starts.iter().filter_map(log).collect())
        })
        .await
    }
}
