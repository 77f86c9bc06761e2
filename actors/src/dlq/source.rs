//! The source of a replay: letters as records, the letter's id as the offset.
//!
//! It claims its own partition, then asks which letters are still open under that claim, and hands them on page by page.
//! A claim that is lost is made anew and begins with that question again: what was committed meanwhile is marked.

use super::filter::Filter;
use super::lane::TOPIC;
use super::read::{Page, Payload, payloads};
use super::run::Run;
use crate::kafka::records::{Gathering, Record};
use aqueduct_engine::{
    Actor, Batch, Claim, ClaimRequest, Class, Context, Error, Factory, LogRange, Loss, OffsetStore,
    PartitionKey,
};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Letters of one page.
const PAGE: usize = 500;
/// Letters of one batch.
const BATCH_ROWS: usize = 512;
/// How long one question to the database may take, connecting included.
const ASK_MAX: Duration = Duration::from_secs(45);
/// How often a source that is done looks whether it must begin again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The factory of the source of `run`.
pub(super) fn factory(run: Arc<Run>, offsets: Arc<dyn OffsetStore>) -> Factory {
    Arc::new(move || Box::new(Source { run: run.clone(), offsets: offsets.clone() }))
}

struct Source {
    run: Arc<Run>,
    offsets: Arc<dyn OffsetStore>,
}

/// Why reading ended.
enum End {
    /// Told to.
    Asked,
    /// The claim does not hold.
    Lost(Loss),
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            loop {
                match self.replay(cx).await {
                    Ok(End::Asked) => return Ok(()),
                    Ok(End::Lost(Loss::WentBack | Loss::Renounced)) => {}
                    // Somebody newer replays: to claim back what it has would only take turns at fencing.
                    Ok(End::Lost(Loss::Fenced)) => {
                        let why = "another replay of this topology has taken over";
                        return Err(Error::new(Class::Fenced, why));
                    }
                    Err(error) => return cx.unless_stopping(Err(error)),
                }
            }
        })
    }
}

impl Source {
    async fn replay(&self, cx: &mut Context) -> Result<End, Error> {
        let claim = self.claim(cx).await?;
        let run = self.run.clone();
        let open = cx.until_ok(ASK_MAX, async || still_open(&run, claim.epoch).await).await?;
        cx.status.running();
        let mut gathering = Gathering::new(claim.key.clone(), claim.epoch, claim.start, BATCH_ROWS);
        for page in open.chunks(PAGE) {
            let mut left = page;
            while let (Some(first), Some(last)) = (left.first(), left.last()) {
                let (after, last) = (first - 1, *last);
                let letters = cx.until_ok(ASK_MAX, async || self.page(left, after).await).await?;
                cx.status.running();
                let read_to = letters.last().map_or(last, |letter| letter.letter.id);
                for letter in &letters {
                    self.add(cx, &mut gathering, letter).await?;
                }
                left = &left[left.partition_point(|id| *id <= read_to)..];
                if cx.status.is_draining() || cx.status.stopping() {
                    if let Some(batch) = gathering.finish() {
                        hand_on(cx, batch).await?;
                    }
                    return Ok(End::Asked);
                }
                if let Some(loss) = lost(cx, &claim) {
                    return Ok(End::Lost(loss));
                }
            }
        }
        if let Some(batch) = gathering.finish() {
            hand_on(cx, batch).await?;
        }
        cx.status.caught_up(true);
        loop {
            if cx.status.is_draining() {
                return Ok(End::Asked);
            }
            if let Some(loss) = lost(cx, &claim) {
                cx.status.caught_up(false);
                return Ok(End::Lost(loss));
            }
            if cx.status.sleep_or_stop(&cx.clock, LOOK_EVERY).await {
                return Ok(End::Asked);
            }
        }
    }

    async fn claim(&self, cx: &mut Context) -> Result<Claim, Error> {
        let key = PartitionKey { source: self.run.lane.source.clone(), topic: TOPIC.into(), partition: 0 };
        let request =
            ClaimRequest { key, log: LogRange { start: 0, end: i64::MAX, initial: 0 }, begun: false };
        let offsets = self.offsets.clone();
        let requests = [request];
        let claims = cx.until_ok(ASK_MAX, async || offsets.claim(&requests).await).await?;
        let [claim]: [Claim; 1] = claims.try_into().map_err(|_| Error::bug("one request has one claim"))?;
        cx.claims.insert(claim.clone());
        cx.ledger.release(&claim.key, claim.epoch - 1);
        Ok(claim)
    }

    async fn page(&self, ids: &[i64], after: i64) -> Result<Vec<Payload>, Error> {
        let connection = self.run.timescale.checkout().await?;
        let filter = Filter { ids: ids.to_vec(), ..Filter::default() };
        payloads(&connection, &self.run.topology, &filter, Page { after, limit: PAGE as i64 }).await
    }

    async fn add(&self, cx: &mut Context, gathering: &mut Gathering, letter: &Payload) -> Result<(), Error> {
        let ended = gathering.add(Record {
            offset: letter.letter.id,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            time_ms: letter.letter.record_time_us.map(|us| us.div_euclid(1000)),
            headers: letter.headers.clone(),
        });
        let full = gathering.is_full().then(|| gathering.finish()).flatten();
        for batch in ended.into_iter().flatten().chain(full) {
            hand_on(cx, batch).await?;
        }
        Ok(())
    }
}

/// Whether the claim does not hold any more.
fn lost(cx: &Context, claim: &Claim) -> Option<Loss> {
    let rewinds = cx.claims.take_rewinds(&claim.key.source);
    rewinds.into_iter().find(|(_, epoch, _)| *epoch == claim.epoch).map(|(_, _, loss)| loss)
}

async fn hand_on(cx: &mut Context, batch: Batch) -> Result<(), Error> {
    cx.ledger.read(&batch.origin, &batch.raw);
    cx.push(batch).await?;
    cx.status.progressed();
    Ok(())
}

/// The letters of the run that are not done and have not failed in it, ascending.
async fn still_open(run: &Run, epoch: i64) -> Result<Vec<i64>, Error> {
    let ids = run.ids();
    let sinks: Vec<&str> = run
        .lane
        .topology
        .actors
        .iter()
        .filter(|actor| actor.kind.is_sink())
        .map(|actor| actor.id.value.as_str())
        .collect();
    let connection = run.timescale.checkout().await?;
    let params: [&(dyn ToSql + Sync); 4] = [&&*run.topology, &ids, &sinks, &epoch];
    let rows = connection.rows("read which letters are open", STILL_OPEN, &params).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A letter that some sink of the lane has, and another lacks, would be doubled in the first: such letters have a lane of
/// their own, so in this one they wait for the next run.
const STILL_OPEN: &str = "\
    SELECT l.id FROM aqueduct.dead_letter AS l \
    WHERE l.topology = $1 AND l.id = ANY ($2::int8[]) AND l.replayed_at IS NULL \
      AND NOT l.replayed_to && $3::text[] AND l.attempted_epoch IS DISTINCT FROM $4 \
    ORDER BY l.id";
