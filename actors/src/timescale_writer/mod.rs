//! Appends rows to a hypertable, exactly once.
//!
//! Batches of several partitions are merged into one transaction: COPY BINARY, then one compare-and-set of all their
//! offsets, then COMMIT. What happens next follows from the error's class alone:
//! - an outage, a full disk or a missing table is waited through, with the reason in the actor's state;
//! - an offset that is not where we left it is read: an ambiguous commit had succeeded, or the claim does not hold and
//!   the source is asked to claim anew; the other partitions go on without it;
//! - a letter that is gone, of a record over which the offset would move, says that the database went back: likewise;
//! - a row the database refuses becomes a dead letter in the same transaction as its neighbours.
//!
//! Invariant: a lease is settled as written only after a COMMIT was answered or its offset was read back.
//! Deliberately absent: upserts on the way of every row; `unique` goes through a staging table.

pub mod encode;
pub(crate) mod fault;
mod gather;
pub(crate) mod noting;
mod numeric;
mod positions;
#[cfg(test)]
mod rebalance;
pub(crate) mod rows;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod table;
mod transaction;

use crate::Services;
use crate::timescale::{Advance, Identifier, Stored, TableName, limits};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::invariants;
use aqueduct_engine::limits::CONTACT_EVERY;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::telemetry::{event_ids, names};
use aqueduct_engine::trace::{Steps, Work};
use aqueduct_engine::{
    Actor, Claim, Claims, Class, Context, Error, Factory, Lease, Ledger, Loss, PartitionKey,
};
use aqueduct_topology::model::{self, Column, Flush, Policy, TimescaleWriter};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use gather::Pending;
use positions::{Held, Positions};
use rows::Rows;
use std::sync::Arc;
use std::time::Duration;
use store::{Failure, Owed, Store, Target, Transact};
use transaction::Moves;

/// How long after a failed attempt to open a session with new credentials the next is made.
const RENEW_WAIT: Duration = Duration::from_secs(1);
/// Misses in a row before a transaction is tried again with a pause.
const MISSES_MAX: usize = 3;

/// The factory of one `timescale_writer`.
pub fn factory(
    actor: &model::Actor,
    options: &TimescaleWriter,
    services: &Services,
) -> Result<Factory, Error> {
    let name = &actor.name.value;
    let timescale = services.timescale.clone().ok_or_else(|| {
        let message =
            format!("actor `{name}` writes to TimescaleDB: set `connections.timescale.url` or TIMESCALE_URL");
        Error::new(Class::Config, message)
    })?;
    over(actor, options, services, Arc::new(timescale))
}

/// A `timescale_writer` that writes into `store`.
pub(crate) fn over(
    actor: &model::Actor,
    options: &TimescaleWriter,
    services: &Services,
    store: Arc<dyn Store>,
) -> Result<Factory, Error> {
    let unique = options.unique.iter().map(|column| Identifier::new(column)).collect::<Result<_, _>>()?;
    let target = Target {
        topology: services.topology.name.value.as_str().into(),
        sink: actor.id.value.as_str().into(),
        table: TableName::parse(&options.table)?,
        columns: columns_of(&services.topology, actor)?,
        unique,
        looked_up_by: None,
        node: services.node.clone(),
    };
    let (name, said) = (actor.name.value.as_str().into(), options.table.value.as_str().into());
    let required = actor.policy == Policy::Required;
    let spec = Spec { target, name, said, flush: options.flush, required, store };
    Ok(Arc::new(move || Box::new(Writer::new(spec.clone()))))
}

/// The row that reaches `actor`.
pub(crate) fn columns_of(topology: &model::Topology, actor: &model::Actor) -> Result<Vec<Column>, Error> {
    let columns = topology.input_columns(&actor.name.value);
    if columns.is_empty() {
        let message = format!("actor `{}` needs rows: let it read from a normalizer", actor.name.value);
        return Err(Error::new(Class::Config, message));
    }
    Ok(columns)
}

#[derive(Clone)]
struct Spec {
    target: Target,
    /// The actor's name in the file.
    name: Arc<str>,
    /// The table, as the file says it.
    said: Arc<str>,
    flush: Flush,
    required: bool,
    store: Arc<dyn Store>,
}

struct Writer {
    spec: Spec,
    session: Option<Box<dyn Transact>>,
    /// Until when a session with credentials that are not used any more is kept, as no other could be opened.
    renew_at: Option<Instant>,
    /// The session was opened since it was last seen that the database has all that was settled.
    unproven: bool,
    positions: Positions,
}

/// The letters of what others have rejected of the records over which the offsets move.
fn owed(ledger: &Ledger, advances: &[Advance]) -> Vec<Owed> {
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

/// What an attempt needs beside the batches.
#[derive(Clone, Copy)]
struct Beside<'a> {
    claims: &'a Claims,
    ledger: &'a Ledger,
    steps: &'a Steps,
    /// The spans of the batches that are traced.
    works: &'a [Work],
}

/// A record this sink rejected, durably.
type Rejected = (PartitionKey, i64, i64, Arc<str>);

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
    fn new(spec: Spec) -> Self {
        Self { spec, session: None, renew_at: None, unproven: true, positions: Positions::default() }
    }

    async fn work(&mut self, cx: &mut Context) -> Result<(), Error> {
        // A missing table is said before the first record comes.
        let (session, spec) = (&mut self.session, &self.spec);
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || {
            *session = Some(spec.store.open(&spec.target).await?);
            Ok(())
        })
        .await?;
        self.look_back(cx).await?;
        let mut pending = Pending::default();
        let mut waiting_since = cx.clock.now();
        loop {
            let (lease, since) = match cx.try_lease() {
                // It came while the last transaction ran.
                Some(lease) => (Some(lease), waiting_since),
                None => match self.lease_until(cx, pending.due()).await? {
                    Some(lease) => (lease, cx.clock.now()),
                    None => {
                        waiting_since = self.flush(cx, &mut pending).await?;
                        continue;
                    }
                },
            };
            let Some(lease) = lease else {
                if planted(Bug::LeavesTheLastBatch) {
                    return Ok(());
                }
                self.flush(cx, &mut pending).await?;
                return Ok(());
            };
            match cx.claims.get(&lease.origin.key).filter(|claim| claim.epoch == lease.origin.epoch) {
                Some(claim) if !self.positions.is_lost(&claim) => {
                    pending.add(Held { lease, claim }, since, &self.spec.flush);
                }
                // Released, or claimed anew: it will be read again by whoever owns it.
                _ => lease.discard(),
            }
            if pending.is_full(&self.spec.flush) {
                waiting_since = self.flush(cx, &mut pending).await?;
            }
        }
    }

    /// The next lease, for which it waits until `due`; the outer `None` = it is time.
    async fn lease_until(
        &mut self,
        cx: &mut Context,
        due: Option<Instant>,
    ) -> Result<Option<Option<Lease>>, Error> {
        let clock = cx.clock.clone();
        loop {
            cx.status.beat();
            let left = due.map_or(CONTACT_EVERY, |due| due.saturating_duration_since(clock.now()));
            if let Ok(lease) = clock.timeout(left.min(CONTACT_EVERY), cx.lease()).await {
                return Ok(Some(lease));
            }
            match due {
                None => self.keep_contact(cx).await?,
                Some(due) if clock.now() >= due => return Ok(None),
                // Gathering is what it was told to do, not a stall.
                Some(_) => cx.status.progressed(),
            }
        }
    }

    /// Between two transactions, takes a session with the credentials of now in place of one with earlier ones, which ends
    /// only then. The earlier one is as good where no other is to be had.
    async fn renew(&mut self, cx: &Context) {
        let now = cx.clock.now();
        let outdated = self.session.as_ref().is_some_and(|session| session.is_outdated());
        if !outdated || self.renew_at.is_some_and(|at| now < at) {
            return;
        }
        match cx.clock.timeout(limits::CONNECT_WAIT_MAX, self.spec.store.open(&self.spec.target)).await {
            Ok(Ok(session)) => (self.session, self.renew_at) = (Some(session), None),
            _ => self.renew_at = Some(now + RENEW_WAIT),
        }
    }

    /// While nothing comes, asks the database whether it is there: an outage shows before it is in the way.
    async fn keep_contact(&mut self, cx: &mut Context) -> Result<(), Error> {
        self.renew(cx).await;
        let (session, spec, positions) = (&mut self.session, &self.spec, &mut self.positions);
        let unproven = &mut self.unproven;
        cx.status.beat();
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || {
            *session = match session.take().filter(|session| !session.is_broken()) {
                Some(known) => {
                    known.ping().await?;
                    Some(known)
                }
                None => {
                    positions.doubt();
                    *unproven = true;
                    Some(spec.store.open(&spec.target).await?)
                }
            };
            Ok(())
        })
        .await?;
        self.look_back(cx).await
    }

    /// On a new connection: whether the database still has what this process has settled. One that took over after a
    /// failover may lack the last commits, and no batch may come for long to betray it.
    async fn look_back(&mut self, cx: &mut Context) -> Result<(), Error> {
        if !std::mem::take(&mut self.unproven) {
            return Ok(());
        }
        let mut settled = Vec::new();
        let positions = cx.ledger.positions();
        for claim in cx.claims.all() {
            let Some(start) = claim.sinks.get(&self.spec.target.sink) else { continue };
            let own = positions.iter().find(|position| {
                Some(position.sink) == cx.sink && (&position.key, position.epoch) == (&claim.key, claim.epoch)
            });
            // What a best-effort branch was passed over counts as settled there, and is not durable.
            let told = own.filter(|_| self.spec.required).map(|position| position.next);
            let reached = told.max(self.positions.durable(&claim)).map_or(*start, |next| next.max(*start));
            settled.push((claim, reached));
        }
        if settled.is_empty() {
            return Ok(());
        }
        let (session, spec) = (&mut self.session, &self.spec);
        let keys: Vec<&PartitionKey> = settled.iter().map(|(claim, _)| &claim.key).collect();
        let stored = cx
            .until_ok(limits::ATTEMPT_WAIT_MAX, async || {
                let known = match session.take().filter(|session| !session.is_broken()) {
                    Some(known) => known,
                    None => spec.store.open(&spec.target).await?,
                };
                let stored = known.stored(&spec.target, &keys).await;
                *session = Some(known);
                stored
            })
            .await?;
        for ((claim, settled), stored) in settled.iter().zip(stored) {
            if let Err(loss) = self.positions.look_back(claim, stored.as_ref(), *settled) {
                self.tell_loss(claim, loss, stored.as_ref(), &cx.claims);
            }
        }
        Ok(())
    }

    fn tell_loss(&self, claim: &Claim, loss: Loss, stored: Option<&Stored>, claims: &Claims) {
        let Claim { key, epoch, .. } = claim;
        tracing::warn!(
            event = event_ids::CLAIM_LOST,
            actor = &*self.spec.name,
            source = &*key.source,
            topic = &*key.topic,
            partition = key.partition,
            epoch,
            class = Class::Fenced.as_str(),
            ?loss,
            ?stored,
            "the claim does not hold: nothing of it is written, its source claims anew"
        );
        claims.request_rewind(key, *epoch, loss);
    }

    /// Makes `pending` durable and settles it; says when it began.
    async fn flush(&mut self, cx: &mut Context, pending: &mut Pending) -> Result<Instant, Error> {
        let begun = cx.clock.now();
        if pending.is_empty() {
            return Ok(begun);
        }
        self.renew(cx).await;
        let (claims, ledger, steps) = (cx.claims.clone(), cx.ledger.clone(), cx.steps());
        let works: Vec<Work> = pending.held.iter().filter_map(|held| steps.work(&held.lease)).collect();
        let beside = Beside { claims: &claims, ledger: &ledger, steps: &steps, works: &works };
        let rejected =
            cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || self.attempt(&pending.held, beside).await).await?;
        let taken = cx.clock.now().duration_since(begun);
        self.count(cx, pending.rows() - rejected.len().min(pending.rows()), taken);
        for (key, epoch, offset, reason) in rejected {
            cx.status.count_dead_letter(&reason);
            if self.spec.required {
                cx.ledger.dead_lettered(&key, epoch, offset, &self.spec.target.sink);
            }
        }
        for Held { lease, claim } in std::mem::take(pending).held {
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
        self.look_back(cx).await?;
        Ok(begun)
    }

    /// One attempt to store what this sink lacks of `held`. Its connection is kept only if all is known to be well.
    async fn attempt(&mut self, held: &[Held], beside: Beside<'_>) -> Result<Vec<Rejected>, Error> {
        let Beside { claims, ledger, steps, works } = beside;
        let session = match self.session.take().filter(|session| !session.is_broken()) {
            Some(session) => session,
            None => {
                self.positions.doubt();
                self.unproven = true;
                self.spec.store.open(&self.spec.target).await?
            }
        };
        let mut rejected = Vec::new();
        for _ in 0..MISSES_MAX {
            self.verify(&*session, held, claims, &mut rejected).await?;
            let (pieces, advances) = self.positions.plan(held);
            if advances.is_empty() {
                self.session = Some(session);
                return Ok(rejected);
            }
            let rows = Rows::new(pieces, session.plan())?;
            let letters = owed(ledger, &advances);
            let moves = Moves { advances: &advances, letters: &letters };
            let step = steps
                .begin("transaction", works)
                .text("table", &self.spec.said)
                .number("rows", rows.len())
                .number("batches", held.len());
            let written = transaction::write(&*session, &self.spec.target, &rows, moves).await;
            step.end(written.as_ref().err().map(Failure::class));
            match written {
                Ok(letters) => {
                    self.positions.committed(&advances);
                    self.session = Some(session);
                    let fates = letters
                        .into_iter()
                        .map(|letter| (letter.key, letter.epoch, letter.offset, letter.reason));
                    rejected.extend(fates);
                    return Ok(rejected);
                }
                Err(Failure::Missed) => self.positions.doubt(),
                Err(Failure::Forgotten(keys)) => self.give_up(held, &keys, claims),
                Err(Failure::Refused(refused)) => return Err(Error::bug(refused.message)),
                Err(Failure::Failed(error)) => return Err(error),
            }
        }
        let message =
            format!("the offsets of sink `{}` keep moving under its own claim", self.spec.target.sink);
        Err(Error::new(Class::Transient, message))
    }

    /// Letters of these partitions are gone, though no offset is: only who judges their records anew can write them.
    fn give_up(&mut self, held: &[Held], keys: &[PartitionKey], claims: &Claims) {
        for Held { claim, .. } in held.iter().filter(|batch| keys.contains(&batch.claim.key)) {
            if !self.positions.is_lost(claim) {
                self.positions.give_up(claim);
                self.tell_loss(claim, Loss::WentBack, None, claims);
            }
        }
    }

    /// Reads the offsets in doubt. A claim that does not hold is reported to its source; rows that turn out to be
    /// durable already bring the letters with them that were stored beside them.
    async fn verify(
        &mut self,
        session: &dyn Transact,
        held: &[Held],
        claims: &Claims,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), Error> {
        let doubtful = self.positions.doubtful(held);
        if doubtful.is_empty() {
            return Ok(());
        }
        let target = &self.spec.target;
        let keys: Vec<&PartitionKey> = doubtful.iter().map(|batch| &batch.claim.key).collect();
        let stored = session.stored(target, &keys).await?;
        for (batch, stored) in doubtful.into_iter().zip(stored) {
            let (key, epoch) = (&batch.claim.key, batch.claim.epoch);
            match self.positions.learn(batch, stored.as_ref(), self.spec.required, &target.sink) {
                Ok(next) if next > batch.lease.origin.first => {
                    let range = batch.lease.origin.first..next;
                    let letters = session.rejected(target, key, range).await?;
                    rejected.extend(
                        letters.into_iter().map(|(offset, reason)| (key.clone(), epoch, offset, reason)),
                    );
                }
                Ok(_) => {}
                Err(loss) => self.tell_loss(&batch.claim, loss, stored.as_ref(), claims),
            }
        }
        Ok(())
    }

    fn count(&self, cx: &Context, rows: usize, taken: Duration) {
        cx.status.figures().observe(names::FLUSH_SECONDS, &[], taken.as_secs_f64());
        cx.status.figures().add(names::ROWS_TOTAL, &[], rows as f64);
    }
}
