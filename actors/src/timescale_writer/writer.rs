//! The writer's loop: what it gathers, when a transaction begins, what follows when one is over.
//!
//! A transaction begins as soon as what may go is enough for one (its part of `flush.rows`, `flush.bytes`) and fewer than
//! `transactions` are in flight. Less than that goes once nothing is in flight and `flush.interval` has passed since the
//! last one began: so a record that comes to a writer at rest leaves at once, records that come one by one share few
//! transactions, and while the database is slow or the input fast they grow by themselves.
//!
//! Invariant: nothing is in flight while anything is in doubt. What must be read first, what failed and what was cut is
//! done [alone](super::alone), after all else has landed.

use super::Spec;
use super::ahead::Budget;
use super::flight::{Cargo, Flights, Landed, Written};
use super::gather::Gathered;
use super::positions::{Held, Positions};
use super::store::{Failure, Owed, Transact};
use super::table::Plan;
use crate::timescale::Advance;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::invariants;
use aqueduct_engine::limits::CONTACT_EVERY;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::telemetry::names;
use aqueduct_engine::trace::Work;
use aqueduct_engine::{Actor, Class, Context, Error, Lease, Ledger, Letter, PartitionKey};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, OptionFuture};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long after a failed attempt to open a further session, or one with new credentials, the next is made.
pub(super) const RENEW_WAIT: Duration = Duration::from_secs(1);

/// One start of the actor.
pub(super) struct Writer {
    pub(super) spec: Spec,
    /// Those that no transaction has.
    pub(super) sessions: Vec<Box<dyn Transact>>,
    /// A further one on its way.
    opening: Option<Opening>,
    /// Until when no further one is asked for, and those with credentials that are not used any more are kept.
    pub(super) open_at: Option<Instant>,
    /// A session was opened since it was last seen that the database has all that was settled.
    pub(super) unproven: bool,
    pub(super) positions: Positions,
    gathered: Gathered,
    flights: Flights,
    /// What is to be done alone.
    grounded: Vec<Vec<Held>>,
    /// When the last transaction began.
    begun: Option<Instant>,
    /// How rows are written, as the last session had it.
    plan: Option<Rc<Plan>>,
    ahead: Budget,
    /// The inputs have ended, or a stop was asked.
    ended: bool,
}

type Opening = LocalBoxFuture<'static, Result<Box<dyn Transact>, Error>>;

/// A record this sink rejected, durably.
pub(super) type Rejected = (PartitionKey, i64, i64, Arc<str>);

/// What the loop has waited for.
enum Event {
    /// `None`: nothing more comes.
    Leased(Option<Lease>),
    Landed(Box<Landed>),
    Opened(Result<Box<dyn Transact>, Error>),
    /// What is in flight is to be cut, for new connections.
    Discard,
    /// .. because the actor was told to stop a while ago.
    Overdue,
    /// It is time to look again.
    Waited,
}

impl Actor for Writer {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            let ended = self.work(cx).await;
            cx.unless_stopping(ended)
        }
        .boxed_local()
    }
}

impl Writer {
    pub(super) fn new(spec: Spec) -> Self {
        let gathered = Gathered::new(&spec.flush, spec.transactions);
        Self {
            spec,
            sessions: Vec::new(),
            opening: None,
            open_at: None,
            unproven: true,
            positions: Positions::default(),
            gathered,
            flights: Flights::default(),
            grounded: Vec::new(),
            begun: None,
            plan: None,
            ahead: Budget::default(),
            ended: false,
        }
    }

    async fn work(&mut self, cx: &mut Context) -> Result<(), Error> {
        self.open_first(cx).await?;
        let mut discard = cx.status.discard_requested();
        // One for all turns: each of them is shorter than what it waits.
        let status = cx.status.clone();
        let mut overdue = std::pin::pin!(status.overdue());
        loop {
            while !self.ended && self.has_room() {
                let Some(lease) = cx.try_lease() else { break };
                self.gather(cx, lease);
            }
            let at_rest = self.flights.is_empty();
            self.take_off(cx).await?;
            if at_rest {
                // What was asked for until now was not asked of what is in flight since.
                discard.mark_unchanged();
            }
            if self.ended && self.gathered.is_empty() && self.flights.is_empty() {
                return Ok(());
            }
            match self.next(cx, &mut discard, overdue.as_mut()).await {
                Event::Leased(Some(lease)) => self.gather(cx, lease),
                Event::Leased(None) if planted(Bug::LeavesTheLastBatch) => return Ok(()),
                Event::Leased(None) => self.ended = true,
                Event::Landed(landed) => self.land(cx, *landed),
                Event::Opened(Ok(session)) => self.sessions.push(session),
                Event::Opened(Err(error)) => {
                    tracing::debug!(actor = &*self.spec.name, %error, "no further session");
                    self.open_at = Some(cx.clock.now() + RENEW_WAIT);
                }
                Event::Discard => self.ground_all(),
                Event::Overdue => {
                    return Err(Error::new(Class::Transient, "no answer in the time that is left"));
                }
                Event::Waited => self.waited(cx).await?,
            }
        }
    }

    fn has_room(&self) -> bool {
        !self.gathered.is_full()
    }

    /// Waits for whatever comes first.
    async fn next(
        &mut self,
        cx: &mut Context,
        discard: &mut watch::Receiver<u64>,
        overdue: Pin<&mut impl Future<Output = ()>>,
    ) -> Event {
        let (clock, status) = (cx.clock.clone(), cx.status.clone());
        let (flying, leasing) = (!self.flights.is_empty(), !self.ended && self.has_room());
        if !flying {
            status.beat();
        }
        let due = self.due().filter(|_| !flying && !self.gathered.is_empty());
        let wait = due.map_or(CONTACT_EVERY, |due| due.saturating_duration_since(clock.now()));
        let Self { flights, opening, .. } = self;
        let event = tokio::select! {
            biased;
            landed = flights.landed(), if flying => Event::Landed(Box::new(landed)),
            Ok(()) = discard.changed(), if flying => Event::Discard,
            () = overdue, if flying => Event::Overdue,
            Some(opened) = OptionFuture::from(opening.as_mut()) => Event::Opened(opened),
            lease = cx.lease(), if leasing => Event::Leased(lease),
            () = clock.sleep(wait.min(CONTACT_EVERY)) => Event::Waited,
        };
        if let Event::Opened(_) = event {
            self.opening = None;
        }
        event
    }

    /// When less than enough may go.
    fn due(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + self.spec.flush.interval)
    }

    async fn waited(&mut self, cx: &mut Context) -> Result<(), Error> {
        if !self.flights.is_empty() {
            return Ok(());
        }
        if self.gathered.is_empty() {
            return self.keep_contact(cx).await;
        }
        // Gathering is what it was told to do, not a stall.
        cx.status.progressed();
        Ok(())
    }

    fn gather(&mut self, cx: &Context, lease: Lease) {
        match cx.claims.get(&lease.origin.key).filter(|claim| claim.epoch == lease.origin.epoch) {
            Some(claim) if !self.positions.is_lost(&claim) => {
                let plan = self.plan.as_ref().filter(|_| !self.flights.is_empty());
                let encoded = plan.and_then(|plan| self.ahead.encode(&lease, plan));
                self.gathered.add(Held { lease, claim, encoded });
            }
            // Released, or claimed anew: it will be read again by whoever owns it.
            _ => lease.discard(),
        }
    }

    /// Begins every transaction whose time has come, and does what is to be done alone as soon as that can be.
    async fn take_off(&mut self, cx: &mut Context) -> Result<(), Error> {
        loop {
            if self.flights.is_empty() {
                self.do_alone(cx).await?;
            }
            if !self.grounded.is_empty() || !self.is_time(cx.clock.now()) {
                return Ok(());
            }
            if self.is_outdated(cx.clock.now()) {
                if !self.flights.is_empty() {
                    return Ok(());
                }
                self.renew(cx).await;
            }
            let Some(session) = self.idle_session() else {
                if self.flights.is_empty() {
                    let held = self.gathered.take();
                    self.grounded.push(held);
                    continue;
                }
                self.open_further(cx.clock.now());
                return Ok(());
            };
            let held = self.gathered.take();
            self.send(cx, session, held);
        }
    }

    /// Whether another transaction is to begin.
    fn is_time(&self, now: Instant) -> bool {
        if self.gathered.is_empty() || self.flights.len() >= self.spec.transactions {
            return false;
        }
        let at_rest = self.flights.is_empty();
        let enough = self.gathered.is_full() || at_rest && self.ended;
        enough || at_rest && self.due().is_none_or(|due| due <= now)
    }

    /// One that is of use. Where one is broken, none of the others is trusted.
    fn idle_session(&mut self) -> Option<Box<dyn Transact>> {
        if self.sessions.iter().any(|session| session.is_broken()) {
            self.sessions.clear();
        }
        self.sessions.pop()
    }

    fn open_further(&mut self, now: Instant) {
        if self.opening.is_some() || self.open_at.is_some_and(|at| now < at) {
            return;
        }
        let (store, target) = (self.spec.store.clone(), self.spec.target.clone());
        self.opening = Some(async move { store.open(&target).await }.boxed_local());
    }

    /// Sends `held` on its way; alone, if anything of it is in doubt.
    fn send(&mut self, cx: &mut Context, session: Box<dyn Transact>, held: Vec<Held>) {
        if self.positions.doubts(&held) {
            self.sessions.push(session);
            self.grounded.push(held);
            return;
        }
        let course = self.positions.plan(&held);
        if course.advances.is_empty() {
            // All of it is durable already, or its claims do not hold.
            self.sessions.push(session);
            let now = cx.clock.now();
            return self.settle(cx, held, Vec::new(), now);
        }
        if self.plan.as_deref() != Some(session.plan()) {
            self.plan = Some(Rc::new(session.plan().clone()));
        }
        let steps = cx.steps();
        let works: Vec<Work> = held.iter().filter_map(|held| steps.work(&held.lease)).collect();
        let rows = held.iter().map(|held| held.lease.rows.num_rows()).sum();
        let step = steps
            .begin("transaction", &works)
            .text("table", &self.spec.said)
            .number("rows", rows)
            .number("batches", held.len());
        let letters = owed(&cx.ledger, &course.advances);
        let (target, clock) = (self.spec.target.clone(), cx.clock.clone());
        self.begun = Some(clock.now());
        let held = Rc::new(held);
        self.flights.begin(Cargo { session, target, held, course, letters, step, clock });
    }

    /// One is over: what it held is settled, or to be done again.
    fn land(&mut self, cx: &mut Context, landed: Landed) {
        let Landed { held, begun, outcome } = landed;
        match outcome {
            Ok(Written { session, letters, advances }) => {
                cx.status.contacted();
                self.positions.committed(&advances);
                self.sessions.push(session);
                self.settle(cx, held, fates(letters).collect(), begun);
            }
            Err(failure) => {
                let error = match &failure {
                    Failure::Failed(error) => error.message.to_string(),
                    other => format!("{other:?}"),
                };
                tracing::debug!(actor = &*self.spec.name, error, "a transaction is to be done alone");
                self.ground(held);
            }
        }
    }

    /// Whatever failed it, what is known may not be so any more, and no session is trusted that was at rest then.
    fn ground(&mut self, held: Vec<Held>) {
        self.grounded.push(held);
        self.opening = None;
        self.sessions.clear();
        self.positions.doubt();
    }

    fn ground_all(&mut self) {
        for held in self.flights.cut() {
            self.ground(held);
        }
    }

    /// With nothing in flight: writes and settles what is to be done alone.
    async fn do_alone(&mut self, cx: &mut Context) -> Result<(), Error> {
        for held in std::mem::take(&mut self.grounded) {
            let begun = cx.clock.now();
            self.begun = Some(begun);
            let rejected = self.write_alone(cx, &held).await?;
            self.settle(cx, held, rejected, begun);
            self.look_back(cx).await?;
        }
        Ok(())
    }

    /// `held` is durable, but for what the claim of does not hold.
    fn settle(&mut self, cx: &mut Context, held: Vec<Held>, rejected: Vec<Rejected>, begun: Instant) {
        self.gathered.landed(&held);
        let rows: usize = held.iter().map(|held| held.lease.rows.num_rows()).sum();
        let figures = cx.status.figures();
        figures.observe(names::FLUSH_SECONDS, &[], cx.clock.now().duration_since(begun).as_secs_f64());
        figures.add(names::ROWS_TOTAL, &[], rows.saturating_sub(rejected.len()) as f64);
        for (key, epoch, offset, reason) in rejected {
            cx.status.count_dead_letter(&reason);
            if self.spec.required {
                cx.ledger.dead_lettered(&key, epoch, offset, &self.spec.target.sink);
            }
        }
        for Held { lease, claim, .. } in held {
            if self.positions.is_lost(&claim) {
                lease.discard();
            } else {
                let (next, durable) = (lease.origin.next, self.positions.durable(&claim));
                assert!(
                    durable.is_some_and(|durable| invariants::is_durable(next, durable)),
                    "settled to {next}, durable to {durable:?}"
                );
                cx.settle_written(lease);
            }
        }
    }
}

/// The letters of what others have rejected of the records over which the offsets move.
pub(super) fn owed(ledger: &Ledger, advances: &[Advance]) -> Vec<Owed> {
    if planted(Bug::LooksForNoLetters) {
        return Vec::new();
    }
    let of_partition = |advance: &Advance| {
        let key = advance.key.clone();
        let letters = ledger.letters(&key, advance.epoch, advance.previous..advance.next);
        letters.into_iter().map(move |(offset, actor)| Owed { key: key.clone(), offset, actor })
    };
    advances.iter().flat_map(of_partition).collect()
}

/// What became of the records of `letters`.
pub(super) fn fates(letters: Vec<Letter>) -> impl Iterator<Item = Rejected> {
    letters.into_iter().map(|letter| (letter.key, letter.epoch, letter.offset, letter.reason))
}
