//! One source of a lane: records of a plan, step by step, no faster than it is told.
//!
//! It claims its own partitions and reads from where they stand. No partition begins a step before all have ended the last, so
//! that the table is filled chunk by chunk, while order within each partition stays what it was. A claim that is lost is
//! made anew, unless somebody newer has it: then another does this work.

use super::plan::Part;
use super::throttle::{Pace, Throttle};
use crate::kafka::records::{Gathering, Record};
use crate::lane::source::{self, ASK_MAX, End, LOOK_EVERY};
use aqueduct_engine::{
    Actor, Batch, Claim, ClaimRequest, Context, Error, Factory, Headers, LogRange, Loss, OffsetStore,
    PartitionKey,
};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records of one batch.
const BATCH_ROWS: usize = 1_000;

/// What is to be read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) partition: i32,
    pub(super) from: i64,
    /// One past the last.
    pub(super) to: i64,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Item {
    Record {
        partition: i32,
        offset: i64,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        time_ms: Option<i64>,
        headers: Headers,
    },
    /// There is nothing more to read in that partition now.
    End { partition: i32 },
}

/// Where records come from.
pub(super) trait Reader {
    /// Reads these from here on, and nothing else.
    fn begin(&mut self, spans: &[Span]) -> Result<(), Error>;

    /// What there is; after a while nothing.
    fn read<'a>(&'a mut self) -> LocalBoxFuture<'a, Result<Vec<Item>, Error>>;
}

/// Opens readers: a new start has a new one.
pub(super) type OpenReader = dyn Fn() -> Result<Box<dyn Reader>, Error> + Send + Sync;

/// What a source is told.
pub(super) struct Orders {
    /// Its identity.
    pub(super) source: Arc<str>,
    /// The topic, as the lane calls it.
    pub(super) topic: Arc<str>,
    pub(super) parts: Vec<Part>,
    /// Sources that share the pace.
    pub(super) sources: usize,
    pub(super) throttle: Arc<Throttle>,
    pub(super) offsets: Arc<dyn OffsetStore>,
    /// Whether its offsets must be there; else it begins where its parts do.
    pub(super) begun: bool,
    pub(super) open: Box<OpenReader>,
}

/// The factory of a source.
pub(super) fn factory(orders: Arc<Orders>) -> Factory {
    Arc::new(move || Box::new(Source { orders: orders.clone() }))
}

struct Source {
    orders: Arc<Orders>,
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        let taken_over = "somebody else has taken this backfill up";
        Box::pin(async move { source::serve(cx, taken_over, async |cx| self.fill(cx).await).await })
    }
}

impl Source {
    async fn fill(&self, cx: &mut Context) -> Result<End, Error> {
        let claims = self.claim(cx).await?;
        let orders = self.orders.clone();
        let mut filling = Filling::new(&orders, claims);
        let mut reader = cx.until_ok(ASK_MAX, async || (orders.open)()).await?;
        cx.status.running();
        let steps = orders.parts.iter().map(|part| part.steps.len()).max().unwrap_or(0);
        for step in 0..steps {
            if let Some(end) = filling.step(cx, &mut *reader, step).await? {
                return Ok(end);
            }
        }
        Ok(source::rest(cx, |cx| filling.lost(cx)).await)
    }

    /// The topic has begun when the backfill did, so a partition without an offset is refused: somebody took it away.
    async fn claim(&self, cx: &mut Context) -> Result<Vec<Claim>, Error> {
        let orders = self.orders.clone();
        let request = |part: &Part| ClaimRequest {
            key: PartitionKey {
                source: orders.source.clone(),
                topic: orders.topic.clone(),
                partition: part.partition,
            },
            log: LogRange { start: part.start, end: part.end, initial: part.start },
            begun: orders.begun,
        };
        let requests: Vec<ClaimRequest> = orders.parts.iter().map(request).collect();
        let claims = cx.until_ok(ASK_MAX, async || orders.offsets.claim(&requests).await).await?;
        for claim in &claims {
            cx.claims.insert(claim.clone());
            cx.ledger.release(&claim.key, claim.epoch - 1);
        }
        Ok(claims)
    }
}

/// Reading under one set of claims.
struct Filling<'o> {
    orders: &'o Orders,
    epochs: BTreeMap<i32, i64>,
    partitions: BTreeMap<i32, Gathering>,
    pace: Pace,
    batch: usize,
}

impl<'o> Filling<'o> {
    fn new(orders: &'o Orders, claims: Vec<Claim>) -> Self {
        let batch = orders.throttle.batch(orders.sources, BATCH_ROWS);
        let epochs = claims.iter().map(|claim| (claim.key.partition, claim.epoch)).collect();
        let gathering = |claim: Claim| {
            (claim.key.partition, Gathering::new(claim.key.clone(), claim.epoch, claim.start, batch))
        };
        let partitions = claims.into_iter().map(gathering).collect();
        Self { orders, epochs, partitions, pace: Pace::new(&orders.throttle, orders.sources), batch }
    }

    /// Reads one step to its end; `Some`: it ends before.
    async fn step(
        &mut self,
        cx: &mut Context,
        reader: &mut dyn Reader,
        step: usize,
    ) -> Result<Option<End>, Error> {
        let spans: Vec<Span> = self.orders.parts.iter().filter_map(|part| self.span(part, step)).collect();
        if spans.is_empty() {
            return Ok(None);
        }
        cx.until_ok(ASK_MAX, async || reader.begin(&spans)).await?;
        let mut open: BTreeMap<i32, i64> = spans.iter().map(|span| (span.partition, span.to)).collect();
        while !open.is_empty() {
            if let Some(end) = self.rest(cx).await {
                return Ok(Some(end));
            }
            let items = cx.until_ok(ASK_MAX, async || reader.read().await).await?;
            for item in items {
                // One look may have read far more than may be handed on by now.
                if self.take(cx, &mut open, item).await?
                    && let Some(end) = self.rest(cx).await
                {
                    return Ok(Some(end));
                }
            }
            // What waits for a full batch does not wait for the next step.
            self.hand_on_all(cx).await?;
        }
        for span in spans {
            let gathering = self.partitions.get_mut(&span.partition).expect("invariant: it was claimed");
            if let Some(empty) = gathering.pass(span.to) {
                self.hand_on(cx, empty).await?;
            }
        }
        Ok(None)
    }

    /// What is left of that step in a partition.
    fn span(&self, part: &Part, step: usize) -> Option<Span> {
        let from = self.partitions.get(&part.partition)?.next();
        let to = part.steps.get(step).copied().unwrap_or(part.end);
        (from < to).then_some(Span { partition: part.partition, from, to })
    }

    /// Gathers it; whether something was handed on for that.
    async fn take(
        &mut self,
        cx: &mut Context,
        open: &mut BTreeMap<i32, i64>,
        item: Item,
    ) -> Result<bool, Error> {
        let (partition, offset, record) = match &item {
            Item::End { partition } => {
                open.remove(partition);
                return Ok(false);
            }
            Item::Record { partition, offset, key, value, time_ms, headers } => {
                let (key, value) = (key.as_deref(), value.as_deref());
                let headers = headers.clone();
                (*partition, *offset, Record { offset: *offset, key, value, time_ms: *time_ms, headers })
            }
        };
        let Some(end) = open.get(&partition).copied() else { return Ok(false) };
        if offset + 1 >= end {
            open.remove(&partition);
        }
        if offset >= end {
            return Ok(false);
        }
        let gathering = self.partitions.get_mut(&partition).expect("invariant: it was claimed");
        let ended = gathering.add(record);
        let full = gathering.is_full().then(|| gathering.finish()).flatten();
        let mut handed_on = false;
        for batch in ended.into_iter().chain(full) {
            self.hand_on(cx, batch).await?;
            handed_on = true;
        }
        Ok(handed_on)
    }

    async fn hand_on_all(&mut self, cx: &mut Context) -> Result<(), Error> {
        let batches: Vec<Batch> = self.partitions.values_mut().filter_map(Gathering::finish).collect();
        for batch in batches {
            self.hand_on(cx, batch).await?;
        }
        Ok(())
    }

    async fn hand_on(&mut self, cx: &mut Context, batch: Batch) -> Result<(), Error> {
        let records = batch.raw.len();
        assert!(records <= self.batch.max(1), "a batch of {records} records, of at most {}", self.batch);
        cx.ledger.read(&batch.origin, &batch.raw);
        cx.push(batch).await?;
        cx.status.progressed();
        let wait = self.pace.wait(records, cx.clock.now());
        self.sleep(cx, wait).await;
        Ok(())
    }

    /// In small pieces: whoever ends it does not wait for its pace.
    async fn sleep(&self, cx: &Context, wait: Duration) {
        let until = cx.clock.now() + wait;
        loop {
            let left = until.saturating_duration_since(cx.clock.now());
            if left.is_zero() || cx.status.is_draining() {
                return;
            }
            cx.status.progressed();
            if cx.status.sleep_or_stop(&cx.clock, left.min(LOOK_EVERY)).await {
                return;
            }
        }
    }

    /// Waits as long as it is told to; `Some`: it must end.
    async fn rest(&mut self, cx: &Context) -> Option<End> {
        loop {
            if cx.status.stopping() || cx.status.is_draining() {
                return Some(End::Asked);
            }
            if let Some(loss) = self.lost(cx) {
                return Some(End::Lost(loss));
            }
            if !self.orders.throttle.is_paused() {
                return None;
            }
            self.pace.begin_again();
            cx.status.progressed();
            if cx.status.sleep_or_stop(&cx.clock, LOOK_EVERY).await {
                return Some(End::Asked);
            }
        }
    }

    /// Whether the claim of any partition does not hold any more: all of them begin again.
    fn lost(&self, cx: &Context) -> Option<Loss> {
        let lost = cx.claims.take_rewinds(&self.orders.source);
        let ours =
            |(key, epoch, _): &&(PartitionKey, i64, Loss)| self.epochs.get(&key.partition) == Some(epoch);
        lost.iter().find(ours).map(|(_, _, loss)| *loss)
    }
}
