//! Reads a feed under claims, as a source reads its topic: what its node is granted, from where the sinks stand, and
//! again after a rewind.

use super::chance::Chance;
use super::database::Database;
use super::feed::{Feed, Handover, Node};
use crate::kafka::records::{Gathering, Record};
use aqueduct_engine::{
    Actor, Claim, ClaimRequest, Context, Error, Factory, LogRange, Loss, OffsetStore, PartitionKey,
};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records of one batch.
const BATCH_ROWS: usize = 1024;
/// How long a claim may take.
const CLAIM_MAX: Duration = Duration::from_secs(30);
/// How long what was read may take to be decided when a partition is let go of.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How long a partition with another owner is left to it.
const FENCED_WAIT: Duration = Duration::from_secs(1);
/// How often it looks whether it must begin again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a source is told.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) feed: Arc<Feed>,
    pub(super) database: Database,
    pub(super) node: Node,
    pub(super) chance: Chance,
}

/// A source by that plan.
pub(super) fn factory(plan: Plan) -> Factory {
    Arc::new(move || Box::new(Source { plan: plan.clone(), held: BTreeMap::new() }))
}

struct Source {
    plan: Plan,
    held: BTreeMap<u32, Held>,
}

/// A partition that is read.
struct Held {
    claim: Claim,
    generation: u64,
    gathering: Gathering,
    /// Up to where only markers have come, which a later message passes.
    unread: i64,
}

impl Held {
    fn reads_from(&self) -> i64 {
        self.gathering.next().max(self.unread)
    }
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let ended = self.read(cx).await;
            cx.unless_stopping(ended)
        })
    }
}

impl Source {
    async fn read(&mut self, cx: &mut Context) -> Result<(), Error> {
        let feed = self.plan.feed.clone();
        let granted = feed.granted(self.plan.node);
        let keeps =
            |partition: i32| granted.get(&(partition as u32)).is_some_and(|grant| grant.leaving.is_none());
        cx.disown(&feed.source, keeps);
        loop {
            let changed = feed.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            cx.status.beat();
            self.rewind(cx).await;
            self.let_go(cx).await;
            self.claim(cx).await?;
            if self.hand_on(cx).await? {
                continue;
            }
            cx.status.caught_up(true);
            tokio::select! {
                biased;
                () = cx.status.stopped() => return Ok(()),
                () = cx.status.draining() => return Ok(()),
                () = changed => cx.status.caught_up(false),
                () = cx.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn key(&self, partition: u32) -> PartitionKey {
        PartitionKey {
            source: self.plan.feed.source.clone(),
            topic: self.plan.feed.topic.clone(),
            partition: partition as i32,
        }
    }

    /// Stops reading what a sink found lost.
    async fn rewind(&mut self, cx: &mut Context) {
        for (key, epoch, loss) in cx.claims.take_rewinds(&self.plan.feed.source) {
            let partition = key.partition as u32;
            if self.held.get(&partition).is_none_or(|held| held.claim.epoch != epoch) {
                continue;
            }
            self.held.remove(&partition);
            cx.ledger.release(&key, epoch);
            cx.claims.release(&key, epoch);
            if loss == Loss::Fenced {
                self.plan.feed.released(self.plan.node, partition);
                // Two owners must not take turns at fencing each other.
                cx.clock.sleep(FENCED_WAIT + self.plan.chance.up_to_wait(FENCED_WAIT)).await;
            }
        }
    }

    /// Lets go of what the node has lost.
    async fn let_go(&mut self, cx: &mut Context) {
        let granted = self.plan.feed.granted(self.plan.node);
        for (partition, grant) in &granted {
            if grant.leaving.is_some() && !self.held.contains_key(partition) {
                self.plan.feed.released(self.plan.node, *partition);
            }
        }
        let lost = |held: &Held, partition: &u32| match granted.get(partition) {
            Some(grant) if grant.generation == held.generation => grant.leaving,
            _ => Some(Handover::Sudden),
        };
        let leaving: Vec<(u32, Handover)> = self
            .held
            .iter()
            .filter_map(|(partition, held)| Some((*partition, lost(held, partition)?)))
            .collect();
        for (partition, handover) in leaving {
            let Some(Held { claim, .. }) = self.held.remove(&partition) else { continue };
            if handover == Handover::Graceful {
                // Cut short, the rest is fenced by the next owner's claim.
                let idle = cx.ledger.idle(&claim.key, claim.epoch);
                let _ = cx.clock.timeout(IDLE_MAX, idle).await;
            }
            cx.claims.release(&claim.key, claim.epoch);
            cx.ledger.release(&claim.key, claim.epoch);
            self.plan.feed.released(self.plan.node, partition);
        }
    }

    /// Claims what the node was granted and does not read yet.
    async fn claim(&mut self, cx: &mut Context) -> Result<(), Error> {
        let granted = self.plan.feed.granted(self.plan.node);
        let new: Vec<(u32, u64)> = granted
            .iter()
            .filter(|(partition, grant)| grant.leaving.is_none() && !self.held.contains_key(partition))
            .map(|(partition, grant)| (*partition, grant.generation))
            .collect();
        if new.is_empty() {
            cx.status.running();
            return Ok(());
        }
        cx.status.caught_up(false);
        let request = |(partition, _): &(u32, u64)| {
            let log = LogRange { start: 0, end: self.plan.feed.length(*partition), initial: 0 };
            ClaimRequest { key: self.key(*partition), log, begun: false }
        };
        let database = &self.plan.database;
        let claim = async || {
            // Asked anew each time: whoever had it may have read on meanwhile.
            let requests: Vec<_> = new.iter().map(request).collect();
            database.claim(&requests).await
        };
        let claims = cx.until_ok(CLAIM_MAX, claim).await?;
        for (claim, (partition, generation)) in claims.into_iter().zip(new) {
            cx.claims.insert(claim.clone());
            cx.ledger.release(&claim.key, claim.epoch - 1);
            let gathering = Gathering::new(claim.key.clone(), claim.epoch, claim.start, BATCH_ROWS);
            let unread = claim.start;
            self.held.insert(partition, Held { claim, generation, gathering, unread });
        }
        Ok(())
    }

    /// Hands on a few records of one partition; `false` = there is nothing more now.
    async fn hand_on(&mut self, cx: &mut Context) -> Result<bool, Error> {
        let (feed, chance) = (&self.plan.feed, &self.plan.chance);
        let mut waiting: Vec<(&u32, &mut Held)> = self
            .held
            .iter_mut()
            .filter(|(partition, held)| held.reads_from() < feed.length(**partition))
            .collect();
        if waiting.is_empty() || cx.status.stopping() {
            return Ok(false);
        }
        let (partition, held) = waiting.swap_remove(chance.up_to(waiting.len() as u64 - 1) as usize);
        let few = if chance.one_in(3) { chance.up_to(3) as usize + 1 } else { BATCH_ROWS };
        let first = held.reads_from();
        let gathering = &mut held.gathering;
        let mut batches = Vec::new();
        let mut reached = first;
        for (entry, offset) in feed.read(*partition, first, few).iter().zip(first..) {
            reached = offset + 1;
            let Some(message) = entry else { continue };
            let ended = gathering.add(Record {
                offset,
                key: message.key.as_deref(),
                value: message.value.as_deref(),
                time_ms: message.time_ms,
                headers: message.headers.clone(),
            });
            batches.extend(ended);
        }
        batches.extend(gathering.finish());
        // Where the log ends, the client tells how far it is, markers included.
        if reached == feed.length(*partition) {
            batches.extend(gathering.pass(reached));
        }
        if gathering.next() < reached {
            held.unread = reached;
        }
        for batch in batches {
            cx.ledger.read(&batch.origin, &batch.raw);
            cx.push(batch).await?;
        }
        Ok(true)
    }
}
