//! Reads a recorded file as if it came from a topic: JSON lines, CSV or envelopes, plain or gzip.
//!
//! The offset of a record is the place of its line in the file (counted on through repeats), so a dead letter's offset
//! finds its line, and a restart resumes through the same claims as any source. A line that cannot be read as what it
//! should be is still a record: its bytes go on as they are, for a normalizer to judge.
//!
//! The file is read in small pieces on the actor's own arbiter, so that a simulation sees no other thread. At its end
//! the source reports that it is caught up and waits to be drained: ending would be a restart.
//! Deliberately absent: looking for what is appended later.

mod line;
mod pace;
mod reader;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use reader::Lines;
pub use record::Message;

use crate::Services;
use crate::kafka::records::{Gathering, Record};
use aqueduct_engine::claim::Loss;
use aqueduct_engine::{
    Actor, Batch, Claim, ClaimRequest, Class, Context, Error, Factory, LogRange, OffsetStore, PartitionKey,
};
use aqueduct_topology::model::{self, ReplaySource};
use futures::future::LocalBoxFuture;
use pace::Pace;

use record::{Reading, Recorded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records of one batch.
const BATCH_ROWS: usize = 4096;
/// How long a claim may take; its connection is discarded then.
const CLAIM_MAX: Duration = Duration::from_secs(30);
/// Lines read between two looks at everything else.
const LINES_PER_TURN: usize = 512;
/// A paced batch is handed on no later than this after its first record.
const LINGER: Duration = Duration::from_millis(20);
/// How often a source that is done looks whether it must begin again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The factory of one `replay_source`.
pub fn factory(actor: &model::Actor, options: &ReplaySource, services: &Services) -> Result<Factory, Error> {
    if options.partitions == 0 {
        return Err(Error::new(
            Class::Config,
            format!("actor `{}`: partitions must be 1 or more", actor.name.value),
        ));
    }
    let plan = Arc::new(Plan {
        source: actor.id.value.as_str().into(),
        topic: options.topic.as_str().into(),
        options: options.clone(),
        offsets: services.offsets.clone(),
    });
    Ok(Arc::new(move || Box::new(Replay { plan: plan.clone() })))
}

/// What a source is told.
struct Plan {
    source: Arc<str>,
    topic: Arc<str>,
    options: ReplaySource,
    offsets: Arc<dyn OffsetStore>,
}

struct Replay {
    plan: Arc<Plan>,
}

/// Why reading ended.
enum End {
    /// Told to.
    Asked,
    /// A sink lost its claim: begin again from new ones.
    Rewound(Loss),
}

impl Actor for Replay {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            loop {
                match self.replay(cx).await {
                    Ok(End::Asked) => return Ok(()),
                    Ok(End::Rewound(Loss::WentBack | Loss::Renounced)) => {}
                    Ok(End::Rewound(Loss::Fenced)) => {
                        let reason = "another process replays under this topology's name";
                        cx.status.waiting(&Error::new(Class::Fenced, reason));
                        let wait = Duration::from_secs(1).mul_f64(1.0 + fastrand::f64());
                        if cx.status.sleep_or_stop(&cx.clock, wait).await {
                            return Ok(());
                        }
                    }
                    Err(error) => return cx.unless_stopping(Err(error)),
                }
            }
        })
    }
}

impl Replay {
    /// Claims every partition and reads from where the least of them stands.
    async fn replay(&mut self, cx: &mut Context) -> Result<End, Error> {
        let claims = self.claim(cx).await?;
        let mut run = Run::new(self.plan.clone(), claims);
        let plan = self.plan.clone();
        let mut lines = cx.until_ok(CLAIM_MAX, async || Lines::open(&plan.options)).await?;
        run.note_claims(cx);
        cx.status.running();
        if let Some(end) = run.read(cx, &mut lines).await? {
            return Ok(end);
        }
        loop {
            cx.status.caught_up(true);
            if cx.status.is_draining() {
                return Ok(End::Asked);
            }
            if let Some(loss) = run.lost(cx) {
                cx.status.caught_up(false);
                return Ok(End::Rewound(loss));
            }
            if cx.status.sleep_or_stop(&cx.clock, LOOK_EVERY).await {
                return Ok(End::Asked);
            }
        }
    }

    async fn claim(&self, cx: &mut Context) -> Result<Vec<Claim>, Error> {
        let request = |partition: u32| ClaimRequest {
            key: self.plan.key(partition as i32),
            // Where the file ends is known when it has been read.
            log: LogRange { start: 0, end: i64::MAX, initial: 0 },
            begun: false,
        };
        let requests: Vec<_> = (0..self.plan.options.partitions).map(request).collect();
        let plan = self.plan.clone();
        let claims = cx.until_ok(CLAIM_MAX, async || plan.offsets.claim(&requests).await).await?;
        for claim in &claims {
            cx.claims.insert(claim.clone());
            // Of a source that ended before us. At the file's end no batch would come to tell the ledger.
            cx.ledger.release(&claim.key, claim.epoch - 1);
        }
        Ok(claims)
    }
}

impl Plan {
    fn key(&self, partition: i32) -> PartitionKey {
        PartitionKey { source: self.source.clone(), topic: self.topic.clone(), partition }
    }
}

/// One reading of the file under one set of claims.
struct Run {
    plan: Arc<Plan>,
    epochs: BTreeMap<i32, i64>,
    partitions: Vec<Gathering>,
    /// No partition needs a line before it.
    start: i64,
    pace: Pace,
}

impl Run {
    fn new(plan: Arc<Plan>, mut claims: Vec<Claim>) -> Self {
        claims.sort_by_key(|claim| claim.key.partition);
        Self {
            epochs: claims.iter().map(|claim| (claim.key.partition, claim.epoch)).collect(),
            start: claims.iter().map(|claim| claim.start).min().unwrap_or(0),
            partitions: claims
                .iter()
                .map(|claim| Gathering::new(claim.key.clone(), claim.epoch, claim.start, BATCH_ROWS))
                .collect(),
            pace: Pace::new(plan.options.speed),
            plan,
        }
    }

    fn note_claims(&self, cx: &Context) {
        for partition in self.epochs.keys() {
            cx.status.lag().log(&self.plan.topic, *partition, 0, self.start);
        }
    }

    /// Reads to the end; `None` = reached.
    async fn read(&mut self, cx: &mut Context, lines: &mut Lines) -> Result<Option<End>, Error> {
        let plan = self.plan.clone();
        let reading = Reading::new(&plan.options);
        let mut since = cx.clock.now();
        let mut line = Vec::new();
        while let Some(number) = lines.next(&mut line)? {
            if number < self.start {
                self.breathe(number).await;
                continue;
            }
            let recorded = reading.record(&line, lines.header());
            if let Some(wait) = recorded.time_us.and_then(|time_us| self.pace.wait(time_us, cx.clock.now())) {
                self.hand_on_all(cx).await?;
                if self.pause(cx, wait).await {
                    return Ok(Some(End::Asked));
                }
                since = cx.clock.now();
            }
            self.add(cx, number, &recorded).await?;
            if self.pace.is_paced() && cx.clock.now().duration_since(since) >= LINGER {
                self.hand_on_all(cx).await?;
                since = cx.clock.now();
            }
            if number % LINES_PER_TURN as i64 == 0 {
                if cx.status.stopping() {
                    return Ok(Some(End::Asked));
                }
                if cx.status.is_draining() {
                    self.hand_on_all(cx).await?;
                    return Ok(Some(End::Asked));
                }
                if let Some(loss) = self.lost(cx) {
                    return Ok(Some(End::Rewound(loss)));
                }
            }
            self.breathe(number).await;
        }
        self.hand_on_all(cx).await?;
        // Every partition is past the last line, so that all of them are at the end.
        for index in 0..self.partitions.len() {
            if let Some(empty) = self.partitions[index].pass(lines.read_so_far()) {
                self.hand_on(cx, empty).await?;
            }
        }
        Ok(None)
    }

    /// Lets the arbiter's other actors work.
    async fn breathe(&self, number: i64) {
        if number % LINES_PER_TURN as i64 == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits as recorded; `true` = to end instead.
    async fn pause(&self, cx: &Context, wait: Duration) -> bool {
        let stopped = async {
            futures::future::select(Box::pin(cx.status.stopped()), Box::pin(cx.status.draining())).await;
        };
        cx.clock.timeout(wait, stopped).await.is_ok()
    }

    /// Whether a sink has lost the claim of any partition. All of them begin again: the file is read as one.
    fn lost(&self, cx: &Context) -> Option<Loss> {
        let lost = cx.claims.take_rewinds(&self.plan.source);
        let ours =
            |(key, epoch, _): &&(PartitionKey, i64, Loss)| self.epochs.get(&key.partition) == Some(epoch);
        lost.iter().find(ours).map(|(_, _, loss)| *loss)
    }

    async fn add(&mut self, cx: &mut Context, number: i64, recorded: &Recorded<'_>) -> Result<(), Error> {
        let index = recorded.partition(number, self.partitions.len());
        let gathering = &mut self.partitions[index];
        let ended = gathering.add(Record {
            offset: number,
            key: recorded.key.as_deref(),
            value: recorded.value.as_deref(),
            time_ms: recorded.time_us.map(|time_us| time_us.div_euclid(1000)),
            headers: recorded.headers.clone(),
        });
        let full = gathering.is_full().then(|| gathering.finish()).flatten();
        for batch in ended.into_iter().chain(full) {
            self.hand_on(cx, batch).await?;
        }
        Ok(())
    }

    async fn hand_on_all(&mut self, cx: &mut Context) -> Result<(), Error> {
        for index in 0..self.partitions.len() {
            if let Some(batch) = self.partitions[index].finish() {
                self.hand_on(cx, batch).await?;
            }
        }
        Ok(())
    }

    async fn hand_on(&self, cx: &mut Context, batch: Batch) -> Result<(), Error> {
        cx.ledger.read(&batch.origin, &batch.raw);
        let first = (!batch.raw.is_empty()).then(|| batch.raw.time_ms(0)).flatten();
        let (partition, next) = (batch.origin.key.partition, batch.origin.next);
        cx.push(batch).await?;
        if let Some(time_ms) = first {
            cx.status.lag().read(&self.plan.topic, partition, next, time_ms);
        }
        cx.status.progressed();
        Ok(())
    }
}
