//! Reads a feed under claims, as a source reads its topic: from where its sinks stand, and again after a rewind.

use super::feed::Feed;
use crate::kafka::records::{Gathering, Record};
use aqueduct_engine::testing::MemoryOffsets;
use aqueduct_engine::{
    Actor, Claim, ClaimRequest, Context, Error, Factory, LogRange, OffsetStore, PartitionKey,
};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Records of one batch.
const BATCH_ROWS: usize = 1024;
/// How long a claim may take.
const CLAIM_MAX: Duration = Duration::from_secs(30);
/// How often it looks whether it must begin again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A source that reads `feed` and claims in `offsets`.
pub(super) fn factory(feed: Arc<Feed>, offsets: MemoryOffsets) -> Factory {
    Arc::new(move || Box::new(Source { feed: feed.clone(), offsets: offsets.clone() }))
}

struct Source {
    feed: Arc<Feed>,
    offsets: MemoryOffsets,
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            loop {
                match self.read(cx).await {
                    Ok(true) => cx.status.caught_up(false),
                    Ok(false) => return Ok(()),
                    Err(error) => return cx.unless_stopping(Err(error)),
                }
            }
        })
    }
}

impl Source {
    fn key(&self, partition: u32) -> PartitionKey {
        PartitionKey {
            source: self.feed.source.clone(),
            topic: self.feed.topic.clone(),
            partition: partition as i32,
        }
    }

    /// Claims and reads until it is to end (`false`) or to begin again (`true`).
    async fn read(&self, cx: &mut Context) -> Result<bool, Error> {
        let claims = self.claim(cx).await?;
        cx.status.running();
        let mut positions: Vec<(u32, Gathering)> = claims
            .iter()
            .map(|claim| {
                let gathering = Gathering::new(claim.key.clone(), claim.epoch, claim.start, BATCH_ROWS);
                (claim.key.partition as u32, gathering)
            })
            .collect();
        loop {
            let changed = self.feed.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            for (partition, gathering) in &mut positions {
                while self.hand_on(*partition, gathering, cx).await? {}
            }
            cx.status.caught_up(true);
            tokio::select! {
                biased;
                () = cx.status.stopped() => return Ok(false),
                () = cx.status.draining() => return Ok(false),
                () = changed => cx.status.caught_up(false),
                () = cx.clock.sleep(LOOK_EVERY) => {}
            }
            let lost = cx.claims.take_rewinds(&self.feed.source);
            if lost
                .iter()
                .any(|(key, epoch, _)| claims.iter().any(|own| own.key == *key && own.epoch == *epoch))
            {
                return Ok(true);
            }
        }
    }

    async fn claim(&self, cx: &mut Context) -> Result<Vec<Claim>, Error> {
        let request = |partition: u32| {
            let log = LogRange { start: 0, end: self.feed.length(partition), initial: 0 };
            ClaimRequest { key: self.key(partition), log }
        };
        let requests: Vec<_> = self.feed.partitions().into_iter().map(request).collect();
        let claims = cx.until_ok(CLAIM_MAX, async || self.offsets.claim(&requests).await).await?;
        for claim in &claims {
            cx.claims.insert(claim.clone());
        }
        Ok(claims)
    }

    /// Hands on the next batch; `false` = there is nothing more now.
    async fn hand_on(
        &self,
        partition: u32,
        gathering: &mut Gathering,
        cx: &mut Context,
    ) -> Result<bool, Error> {
        let first = gathering.next();
        let messages = self.feed.read(partition, first, BATCH_ROWS);
        if messages.is_empty() || cx.status.stopping() {
            return Ok(false);
        }
        let mut batches = Vec::new();
        for (message, offset) in messages.iter().zip(first..) {
            let ended = gathering.add(Record {
                offset,
                key: message.key.as_deref(),
                value: message.value.as_deref(),
                time_ms: message.time_ms,
                headers: message.headers.clone(),
            });
            batches.extend(ended.into_iter().flatten());
        }
        batches.extend(gathering.finish());
        for batch in batches {
            cx.ledger.read(&batch.origin, &batch.raw);
            cx.push(batch).await?;
        }
        Ok(true)
    }
}
