//! What a writer does with nothing else in flight: reads what is in doubt, repeats what failed, waits through outages,
//! looks after its sessions.

use super::positions::Held;
use super::rows::Rows;
use super::store::{Failure, Transact};
use super::transaction::{self, Moves};
use super::writer::{RENEW_WAIT, Rejected, Writer, fates, owed};
use crate::timescale::{Stored, limits};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::trace::{Steps, Work};
use aqueduct_engine::{Claim, Claims, Class, Context, Error, Ledger, Loss, PartitionKey};

/// Misses in a row before a transaction is tried again with a pause.
const MISSES_MAX: usize = 3;

/// What an attempt needs beside the batches.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) claims: &'a Claims,
    pub(super) ledger: &'a Ledger,
    pub(super) steps: &'a Steps,
    /// The spans of the batches that are traced.
    pub(super) works: &'a [Work],
}

impl Writer {
    /// A missing table is said before the first record comes.
    pub(super) async fn open_first(&mut self, cx: &mut Context) -> Result<(), Error> {
        let (sessions, spec) = (&mut self.sessions, &self.spec);
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || {
            *sessions = vec![spec.store.open(&spec.target).await?];
            Ok(())
        })
        .await?;
        self.look_back(cx).await
    }

    /// Whether a session has credentials that are not used any more, and one with those of now may be asked for.
    pub(super) fn is_outdated(&self, now: Instant) -> bool {
        self.sessions.iter().any(|session| session.is_outdated()) && self.open_at.is_none_or(|at| at <= now)
    }

    /// Takes sessions with the credentials of now in place of those with earlier ones, which end only then. An earlier one
    /// is as good where no other is to be had.
    pub(super) async fn renew(&mut self, cx: &Context) {
        let now = cx.clock.now();
        if !self.is_outdated(now) {
            return;
        }
        let Self { sessions, spec, .. } = self;
        for session in sessions.iter_mut().filter(|session| session.is_outdated()) {
            match cx.clock.timeout(limits::CONNECT_WAIT_MAX, spec.store.open(&spec.target)).await {
                Ok(Ok(renewed)) => (*session, self.open_at) = (renewed, None),
                _ => {
                    self.open_at = Some(now + RENEW_WAIT);
                    return;
                }
            }
        }
    }

    /// While nothing comes, asks the database whether it is there: an outage shows before it is in the way.
    pub(super) async fn keep_contact(&mut self, cx: &mut Context) -> Result<(), Error> {
        self.renew(cx).await;
        cx.status.beat();
        let (sessions, spec, positions) = (&mut self.sessions, &self.spec, &mut self.positions);
        let unproven = &mut self.unproven;
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || {
            let known = std::mem::take(sessions);
            if known.is_empty() || known.iter().any(|session| session.is_broken()) {
                positions.doubt();
                *unproven = true;
                *sessions = vec![spec.store.open(&spec.target).await?];
                return Ok(());
            }
            for session in &known {
                session.ping().await?;
            }
            *sessions = known;
            Ok(())
        })
        .await?;
        self.look_back(cx).await
    }

    /// On a new connection: whether the database still has what this process has settled. One that took over after a
    /// failover may lack the last commits, and no batch may come for long to betray it.
    pub(super) async fn look_back(&mut self, cx: &mut Context) -> Result<(), Error> {
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
        let (sessions, spec) = (&mut self.sessions, &self.spec);
        let keys: Vec<&PartitionKey> = settled.iter().map(|(claim, _)| &claim.key).collect();
        let stored = cx
            .until_ok(limits::ATTEMPT_WAIT_MAX, async || {
                let known = match sessions.pop().filter(|session| !session.is_broken()) {
                    Some(known) => known,
                    None => spec.store.open(&spec.target).await?,
                };
                let stored = known.stored(&spec.target, &keys).await;
                sessions.push(known);
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

    /// Makes `held` durable, however long that takes.
    pub(super) async fn write_alone(
        &mut self,
        cx: &mut Context,
        held: &[Held],
    ) -> Result<Vec<Rejected>, Error> {
        self.renew(cx).await;
        let (claims, ledger, steps) = (cx.claims.clone(), cx.ledger.clone(), cx.steps());
        let works: Vec<Work> = held.iter().filter_map(|held| steps.work(&held.lease)).collect();
        let beside = Beside { claims: &claims, ledger: &ledger, steps: &steps, works: &works };
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || self.attempt(held, beside).await).await
    }

    /// One attempt to store what this sink lacks of `held`. Its connection, and those beside it, are kept only if all is
    /// known to be well.
    pub(super) async fn attempt(
        &mut self,
        held: &[Held],
        beside: Beside<'_>,
    ) -> Result<Vec<Rejected>, Error> {
        let Beside { claims, ledger, steps, works } = beside;
        let mut sessions = std::mem::take(&mut self.sessions);
        if sessions.is_empty() || sessions.iter().any(|session| session.is_broken()) {
            self.positions.doubt();
            self.unproven = true;
            sessions = vec![self.spec.store.open(&self.spec.target).await?];
        }
        let session = &*sessions[0];
        let mut rejected = Vec::new();
        for _ in 0..MISSES_MAX {
            self.verify(session, held, claims, &mut rejected).await?;
            let course = self.positions.plan(held);
            let advances = &course.advances;
            if advances.is_empty() {
                self.sessions = sessions;
                return Ok(rejected);
            }
            let rows = Rows::new(course.pieces(held), session.plan())?;
            let letters = owed(ledger, advances);
            let step = steps
                .begin("transaction", works)
                .text("table", &self.spec.said)
                .number("rows", rows.len())
                .number("batches", held.len());
            let moves = Moves { advances, letters: &letters };
            let written = transaction::write(session, &self.spec.target, &rows, moves).await;
            step.end(written.as_ref().err().map(Failure::class));
            match written {
                Ok(letters) => {
                    self.positions.committed(advances);
                    self.sessions = sessions;
                    rejected.extend(fates(letters));
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
        let target = self.spec.target.clone();
        let keys: Vec<&PartitionKey> = doubtful.iter().map(|batch| &batch.claim.key).collect();
        let stored = session.stored(&target, &keys).await?;
        for (batch, stored) in doubtful.into_iter().zip(stored) {
            let (key, epoch) = (&batch.claim.key, batch.claim.epoch);
            match self.positions.learn(batch, stored.as_ref(), self.spec.required, &target.sink) {
                Ok(next) if next > batch.lease.origin.first => {
                    let range = batch.lease.origin.first..next;
                    let letters = session.rejected(&target, key, range).await?;
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
}
