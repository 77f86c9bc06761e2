//! The gate as a source: a partition of its own stream for each partition it judges, claimed like any other.
//!
//! Invariant: two nodes never speak under one claim, and a partition that this process has lost is no longer spoken of. A
//! voice begins behind everything that any of its sinks has had, for verdicts are never given again.

use super::output::Form;
use super::partitions::Partitions;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::link::TryPushError;
use aqueduct_engine::{
    Batch, Claim, ClaimRequest, Class, Context, Error, LogRange, Loss, OffsetStore, Origin, PartitionKey,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a claim may take; its connection is discarded then.
const CLAIM_MAX: Duration = Duration::from_secs(30);
/// How long a voice with another owner is left to it, at least.
const FENCED_WAIT: Duration = Duration::from_secs(1);

/// One partition of the stream.
struct Voice {
    claim: Claim,
    /// The offset of the next verdict.
    next: i64,
}

/// A batch on its way out.
struct Outgoing {
    batch: Batch,
    /// Whether the ledger knows of it.
    read: bool,
}

/// See the module.
pub(super) struct Voices {
    gate: Arc<str>,
    offsets: Arc<dyn OffsetStore>,
    form: Form,
    by_partition: BTreeMap<i32, Voice>,
    /// Until when a fenced one is silent.
    silent_until: BTreeMap<i32, Instant>,
    outgoing: VecDeque<Outgoing>,
}

impl Voices {
    pub(super) fn new(gate: Arc<str>, offsets: Arc<dyn OffsetStore>, form: Form) -> Self {
        Self {
            gate,
            offsets,
            form,
            by_partition: BTreeMap::new(),
            silent_until: BTreeMap::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Whether what was given on the last beat has left.
    pub(super) fn is_free(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Whether that partition can be spoken of.
    pub(super) fn has(&self, partition: i32) -> bool {
        self.by_partition.contains_key(&partition)
    }

    /// Lets go of the voices whose partitions are no longer this process's, and of those whose claim was lost.
    pub(super) fn let_go(&mut self, cx: &Context, partitions: &Partitions) {
        for (key, epoch, loss) in cx.claims.take_rewinds(&self.gate) {
            let holds = self.by_partition.get(&key.partition).is_some_and(|voice| voice.claim.epoch == epoch);
            if !holds {
                continue;
            }
            self.end(cx, key.partition);
            if loss == Loss::Fenced {
                // Two owners must not take turns at fencing each other.
                let wait = FENCED_WAIT.mul_f64(1.0 + fastrand::f64());
                self.silent_until.insert(key.partition, cx.clock.now() + wait);
            }
        }
        let lost: Vec<i32> =
            self.by_partition.keys().copied().filter(|number| !partitions.speaks_of(*number)).collect();
        lost.into_iter().for_each(|number| self.end(cx, number));
    }

    fn end(&mut self, cx: &Context, partition: i32) {
        let Some(Voice { claim, .. }) = self.by_partition.remove(&partition) else { return };
        self.outgoing.retain(|outgoing| outgoing.batch.origin.key != claim.key);
        cx.claims.release(&claim.key, claim.epoch);
        cx.ledger.release(&claim.key, claim.epoch);
    }

    /// Claims what is to be spoken of and is not yet. Waits while the place of offsets is away: without a claim no word.
    pub(super) async fn claim(&mut self, cx: &mut Context, wanted: &BTreeSet<i32>) -> Result<(), Error> {
        let now = cx.clock.now();
        self.silent_until.retain(|_, until| *until > now);
        let new =
            wanted.iter().filter(|number| !self.has(**number) && !self.silent_until.contains_key(number));
        let request = |number: &i32| ClaimRequest {
            key: PartitionKey::of_gate(&self.gate, *number),
            log: LogRange { start: 0, end: i64::MAX, initial: 0 },
            begun: false,
        };
        let requests: Vec<ClaimRequest> = new.map(request).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let offsets = self.offsets.clone();
        let claims = cx.until_ok(CLAIM_MAX, async || offsets.claim(&requests).await).await?;
        for claim in claims {
            cx.claims.insert(claim.clone());
            cx.ledger.release(&claim.key, claim.epoch - 1);
            let next = claim.sinks.values().copied().fold(claim.start, i64::max);
            if claim.start < next {
                // Those that lag behind would take what comes for what they lack.
                let (key, epoch) = (claim.key.clone(), claim.epoch);
                let passed = self.form.nothing(Origin { key, epoch, first: claim.start, next });
                self.outgoing.push_back(Outgoing { batch: passed, read: false });
            }
            self.by_partition.insert(claim.key.partition, Voice { claim, next });
        }
        Ok(())
    }

    /// The origin of `count` more verdicts on that partition.
    pub(super) fn take_offsets(&mut self, partition: i32, count: usize) -> Option<Origin> {
        let voice = self.by_partition.get_mut(&partition)?;
        let first = voice.next;
        voice.next += count as i64;
        Some(Origin { key: voice.claim.key.clone(), epoch: voice.claim.epoch, first, next: voice.next })
    }

    /// Puts `batch` behind what is on its way out.
    pub(super) fn say(&mut self, batch: Batch) {
        self.outgoing.push_back(Outgoing { batch, read: false });
    }

    /// Hands on as much as there is room for, and waits for nobody.
    pub(super) fn hand_on(&mut self, cx: &mut Context) -> Result<(), Error> {
        while let Some(outgoing) = self.outgoing.front_mut() {
            if !outgoing.read {
                cx.ledger.read(&outgoing.batch.origin, &outgoing.batch.raw);
                outgoing.read = true;
            }
            match cx.outputs.try_push(outgoing.batch.clone()) {
                Ok(()) => {
                    self.outgoing.pop_front();
                    cx.status.progressed();
                }
                Err(TryPushError::Full(_)) => return Ok(()),
                Err(TryPushError::Closed(_)) => return Err(Error::new(Class::Fenced, "an output is closed")),
            }
        }
        Ok(())
    }

    /// Hands on everything, and waits for room.
    pub(super) async fn hand_on_all(&mut self, cx: &mut Context) -> Result<(), Error> {
        while let Some(outgoing) = self.outgoing.pop_front() {
            if !outgoing.read {
                cx.ledger.read(&outgoing.batch.origin, &outgoing.batch.raw);
            }
            cx.push(outgoing.batch).await?;
        }
        Ok(())
    }
}
