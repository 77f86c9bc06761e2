//! What an actor is, how it ends, and what its surroundings offer it.

use crate::batch::Batch;
use crate::claim::Claims;
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::ledger::{Ledger, SinkIndex};
use crate::letter::{DeadLetterPort, Letter};
use crate::link::Lease;
use crate::planted::{Bug, planted};
use crate::port::{Inputs, Outputs};
use crate::status::Status;
use crate::telemetry::names;
use crate::trace::Steps;
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What an attempt fails with when it is cut for new connections.
const DISCARDED: &str = "nothing came of this for long; connecting anew";

/// What an attempt fails with when its actor was told to stop.
const OVERDUE: &str = "no answer in the time that is left to an actor that stops";

/// A unit of work that runs on one arbiter under one supervisor.
///
/// The supervisor builds it anew from its [`Factory`] for every start, so damaged state never survives. `run` returns
/// `Ok` when its inputs have ended (drain) or it was told to stop; any error, or a panic, is a crash for the supervisor
/// to judge. Outages are not errors: wait through them with [`Context::until_ok`].
pub trait Actor {
    /// Works until done.
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>>;
}

impl<A: Actor + ?Sized> Actor for Box<A> {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        (**self).run(cx)
    }
}

/// Builds an actor; called once per start.
pub type Factory = Arc<dyn Fn() -> Box<dyn Actor> + Send + Sync>;

/// Who an actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorIdentity {
    /// The topology.
    pub topology: Arc<str>,
    /// Its name in the file, with `#2`, `#3`, .. for further clones.
    pub name: Arc<str>,
    /// The identity its offsets are kept under.
    pub id: Arc<str>,
    /// The kind.
    pub kind: &'static str,
    /// Which clone it is, from 0.
    pub clone: u32,
}

/// What an actor sees of the world. Everything it may await ends when the actor is told to stop.
#[derive(Debug)]
pub struct Context {
    /// Who it is.
    pub identity: ActorIdentity,
    /// Links into it.
    pub inputs: Inputs,
    /// Links out of it.
    pub outputs: Outputs,
    /// The time.
    pub clock: Clock,
    /// The fate of records.
    pub ledger: Ledger,
    /// Its place there, if it is a sink.
    pub sink: Option<SinkIndex>,
    /// Whether what it does decides the fate of records: a required sink lies at or below it, or its records have none.
    pub decides: bool,
    /// The claims this process holds.
    pub claims: Claims,
    /// Where rejected records go.
    pub letters: DeadLetterPort,
    /// What people and probes see of it.
    pub status: Status,
}

impl Context {
    /// The next batch on lease, fair among the inputs. `None`: the inputs have ended or a stop was asked; finish what
    /// is begun and return. Batches of an epoch older than the newest claim are dropped here.
    pub async fn lease(&mut self) -> Option<Lease> {
        let lease = self.inputs.lease(&self.claims, &self.status).await;
        self.status.progressed();
        lease
    }

    /// A batch that already waits; none to an actor that is to go, or one that never runs out of them would stay.
    pub fn try_lease(&mut self) -> Option<Lease> {
        if self.status.leaving() {
            return None;
        }
        let lease = self.inputs.try_lease(&self.claims);
        if lease.is_some() {
            self.status.progressed();
        }
        lease
    }

    /// Where it may tell, for traces, of steps of its work such as a transaction.
    pub fn steps(&self) -> Steps {
        Steps::at(self.inputs.trace().cloned())
    }

    /// Waits until every output that may hold this actor up would take `batch`. What comes then, storing rejects and
    /// handing on, is not cut in half by a stop; so await it first. An error means the stop was asked or an output was
    /// closed, and nothing has happened: return it from `run`.
    pub async fn room(&mut self, batch: &Batch) -> Result<(), Error> {
        self.outputs.room(batch, &self.status).await
    }

    /// Hands `batch` to every output; waits for room (best-effort branches only briefly).
    /// An error means the stop was asked or an output was closed: return it from `run`.
    pub async fn push(&mut self, batch: Batch) -> Result<(), Error> {
        self.outputs.push(batch, &self.clock, &self.status).await?;
        self.status.progressed();
        Ok(())
    }

    /// Makes rejected records durable and enters them in the ledger. Await it before the batch advances. What a
    /// best-effort branch beside a required one rejects is kept and counted among its letters, but decides no fate. What
    /// is read again only to heal a best-effort sink has its fate already: rules may have changed since, so it gets no
    /// letter beside its row.
    pub async fn reject(&mut self, mut letters: Vec<Letter>) {
        if self.decides {
            self.leave_decided(&mut letters);
        }
        let fate = |letter: &Letter| (letter.key.clone(), letter.epoch, letter.offset, letter.actor.clone());
        let fates: Vec<_> = letters.iter().map(fate).collect();
        for letter in &letters {
            self.status.count_dead_letter(&letter.reason);
        }
        if !letters.is_empty() {
            // While the place for letters is away, this actor is held up, not stalled: nobody shall restart it.
            let _held_up = self.status.blocked();
            self.letters.store(letters).await;
        }
        for (key, epoch, offset, actor) in fates.into_iter().filter(|_| self.decides) {
            self.ledger.dead_lettered(&key, epoch, offset, &actor);
        }
    }

    /// Takes out the letters of records whose fate was decided before the claim they were read under, or that this sink
    /// has had.
    fn leave_decided(&self, letters: &mut Vec<Letter>) {
        let mut decided_before = BTreeMap::new();
        for letter in &*letters {
            decided_before.entry((letter.key.clone(), letter.epoch)).or_insert_with(|| {
                let claim = self.claims.get(&letter.key).filter(|claim| claim.epoch == letter.epoch);
                claim.map_or(i64::MIN, |claim| {
                    // What a sink has behind it, it has had, as a row or as a letter: it is read again for others.
                    let own = self.sink.and_then(|_| claim.sinks.get(&self.identity.id).copied());
                    self.ledger.decided_before(&claim).max(own.unwrap_or(i64::MIN))
                })
            });
        }
        letters.retain(|letter| letter.offset >= decided_before[&(letter.key.clone(), letter.epoch)]);
    }

    /// For a source that has just learned what it may read: lets go of what a life before this one had claimed and is not
    /// `ours` any more. Nobody else would: that life was not told, and whoever has the partition now knows another process.
    /// What was not decided of it is read again there.
    pub fn disown(&self, source: &str, ours: impl Fn(i32) -> bool) {
        for claim in self.claims.all() {
            let gone = *claim.key.source == *source && !ours(claim.key.partition);
            if gone && !planted(Bug::KeepsWhatOthersRead) {
                self.claims.release(&claim.key, claim.epoch);
                self.ledger.release(&claim.key, claim.epoch);
            }
        }
    }

    /// How `ended` is to be taken: an error of an actor that is being stopped is the stop, unless it is a fault of its own
    /// (it waited through an outage, say; what it held will be delivered again).
    pub fn unless_stopping(&self, ended: Result<(), Error>) -> Result<(), Error> {
        match ended {
            Err(error) if self.status.stopping() && error.class != Class::Bug => Ok(()),
            ended => ended,
        }
    }

    /// A sink has made the whole of `lease` durable: enters it in the ledger and lets it leave its link.
    pub fn settle_written(&mut self, lease: Lease) {
        let sink = self.sink.expect("invariant: only sinks settle in the ledger");
        self.ledger.settled(sink, &lease.origin, lease.row_offsets());
        if let Some(last) = lease.raw.len().checked_sub(1) {
            let times_ms = [lease.raw.time_ms(0), lease.raw.time_ms(last)];
            self.observe_age(times_ms.into_iter().flatten());
        }
        self.status.wrote();
        self.status.progressed();
        lease.settle();
    }

    /// A sink has made records of these Kafka times durable: the oldest and the newest of a batch stand for all of it.
    pub fn observe_age(&self, times_ms: impl IntoIterator<Item = i64>) {
        let now_us = self.clock.wall_us();
        for time_ms in times_ms {
            // A producer whose clock is ahead is not waited for.
            let age_us = now_us.saturating_sub(time_ms.saturating_mul(1000)).max(0);
            self.status.figures().observe(names::END_TO_END_SECONDS, &[], age_us as f64 / 1e6);
        }
    }

    /// Runs `attempt` until it succeeds, with backoff. While it fails with [`Class::Transient`], [`Class::Capacity`] or
    /// [`Class::Config`] the actor's state is `waiting` with the message as its reason (not ready, no restart burnt).
    /// Other classes come back at once. Each attempt is cut after `timeout`, when the watchdog asks for new connections, or
    /// soon after the actor was told to stop; what it held must be discarded by its drop.
    pub async fn until_ok<T>(
        &mut self,
        timeout: Duration,
        attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.until_answered(timeout, attempt).await?;
        self.status.running();
        Ok(value)
    }

    /// The same for a step on the way to work: an answer does not say that the actor runs, so its state is left to the
    /// caller.
    pub async fn until_answered<T>(
        &mut self,
        timeout: Duration,
        mut attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut backoff = crate::backoff::Backoff::outage();
        let mut discard = self.status.discard_requested();
        loop {
            let answer = tokio::select! {
                biased;
                answer = self.clock.timeout(timeout, attempt()) => answer,
                Ok(()) = discard.changed() => Ok(Err(Error::new(Class::Transient, DISCARDED))),
                () = self.status.overdue() => return Err(Error::new(Class::Transient, OVERDUE)),
            };
            let error = match answer {
                Ok(Ok(value)) => {
                    self.status.contacted();
                    return Ok(value);
                }
                Ok(Err(error)) => error,
                Err(_) => Error::new(Class::Transient, format!("no answer within {timeout:?}")),
            };
            match error.class {
                Class::Transient | Class::Capacity | Class::Config => self.status.waiting(&error),
                Class::Data | Class::Fenced | Class::Bug => return Err(error),
            }
            if self.status.sleep_or_stop(&self.clock, backoff.next_wait()).await {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{Claim, Owner};
    use crate::limits::STOPPED_ATTEMPT_MAX;
    use crate::testing::{Harness, raw_batch};

    /// Rejects every record it is given.
    struct Refuses;

    impl Actor for Refuses {
        fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    let letter = |offset| {
                        let why = (Class::Data, "refused".into());
                        Letter::for_record(&cx.identity.name, &lease, (offset, 0), why, String::new())
                    };
                    let letters = lease.raw.offsets.values().iter().map(|offset| letter(*offset)).collect();
                    cx.reject(letters).await;
                    lease.settle();
                }
                Ok(())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_ends_soon_after_its_actor_is_told_to_stop() {
        let mut harness = Harness::new("history");
        let cx = harness.context();
        let (status, clock) = (cx.status.clone(), cx.clock.clone());
        let began = clock.now();
        let silent = async || std::future::pending::<Result<(), Error>>().await;
        let stop = async {
            clock.sleep(Duration::from_secs(1)).await;
            status.ask_stop();
        };
        let (answer, ()) = futures::join!(cx.until_ok(Duration::from_secs(300), silent), stop);
        assert_eq!(answer.expect_err("nothing answered").class, Class::Transient);
        let took = clock.now().duration_since(began);
        assert!(took >= STOPPED_ATTEMPT_MAX && took < Duration::from_secs(5), "{took:?}");
    }

    #[tokio::test]
    async fn a_sink_rejects_nothing_that_it_has_had() {
        // Another required sink lags behind, so it is all read again from there.
        let mut harness = Harness::sink("history", true);
        let batch = raw_batch(0, 0, &["a", "b", "c", "d"]);
        harness.claims().insert(Claim {
            key: batch.origin.key.clone(),
            epoch: batch.origin.epoch,
            owner: Owner(1),
            start: 0,
            sinks: [("history".into(), 2), ("copy".into(), 0)].into(),
            skipped: Default::default(),
        });
        harness.send(batch);
        harness.close_inputs();
        harness.run(Refuses).await.unwrap();
        let offsets: Vec<i64> = harness.letters().iter().map(|letter| letter.offset).collect();
        assert_eq!(offsets, [2, 3]);
    }

    /// Settles what comes.
    struct Settles;

    impl Actor for Settles {
        fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    cx.settle_written(lease);
                }
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn the_first_and_the_last_record_of_a_batch_are_observed_on_their_way() {
        let mut harness = Harness::sink("history", true);
        harness.send(raw_batch(0, 0, &["a", "b", "c", "d"]));
        harness.close_inputs();
        harness.run(Settles).await.unwrap();
        let figures = harness.status().figures().list();
        let of = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        assert_eq!(of("aqueduct_end_to_end_seconds_count"), Some(2.0));
        assert!(of("aqueduct_end_to_end_seconds_sum").unwrap() > 0.0);
    }
}
