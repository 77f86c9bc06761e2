//! The source of a replay: letters as records, the letter's id as the offset.
//!
//! It claims its own partition, then asks which letters are still open under that claim, and hands them on page by page.
//! A claim that is lost is made anew and begins with that question again: what was committed meanwhile is marked.

use super::filter::Filter;
use super::offsets::request;
use super::read::{Page, Payload, payloads};
use super::run::Run;
use crate::kafka::records::{Gathering, Record};
use crate::lane::source::{self, ASK_MAX, End};
use aqueduct_engine::{Actor, Batch, Claim, Context, Error, Factory, Loss, OffsetStore};
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// Letters of one page.
const PAGE: usize = 500;
/// Letters of one batch.
const BATCH_ROWS: usize = 512;

/// The factory of the source of `run`.
pub(super) fn factory(run: Arc<Run>, offsets: Arc<dyn OffsetStore>) -> Factory {
    Arc::new(move || Box::new(Source { run: run.clone(), offsets: offsets.clone() }))
}

struct Source {
    run: Arc<Run>,
    offsets: Arc<dyn OffsetStore>,
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        let taken_over = "another replay of this topology has taken over";
        Box::pin(async move { source::serve(cx, taken_over, async |cx| self.replay(cx).await).await })
    }
}

impl Source {
    async fn replay(&self, cx: &mut Context) -> Result<End, Error> {
        let claim = self.claim(cx).await?;
        let run = self.run.clone();
        let open = cx.until_ok(ASK_MAX, async || run.still_open().await).await?;
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
                        hand_on(cx, &self.run, batch).await?;
                    }
                    return Ok(End::Asked);
                }
                if let Some(loss) = lost(cx, &claim) {
                    return Ok(End::Lost(loss));
                }
            }
        }
        if let Some(batch) = gathering.finish() {
            hand_on(cx, &self.run, batch).await?;
        }
        Ok(source::rest(cx, |cx| lost(cx, &claim)).await)
    }

    async fn claim(&self, cx: &mut Context) -> Result<Claim, Error> {
        let offsets = self.offsets.clone();
        let requests = [request(&self.run.topology)];
        let claims = cx.until_ok(ASK_MAX, async || offsets.claim(&requests).await).await?;
        let [claim]: [Claim; 1] = claims.try_into().map_err(|_| Error::bug("one request has one claim"))?;
        self.run.begin(claim.epoch);
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
        for batch in ended.into_iter().chain(full) {
            hand_on(cx, &self.run, batch).await?;
        }
        Ok(())
    }
}

/// Whether the claim does not hold any more.
fn lost(cx: &Context, claim: &Claim) -> Option<Loss> {
    let rewinds = cx.claims.take_rewinds(&claim.key.source);
    rewinds.into_iter().find(|(_, epoch, _)| *epoch == claim.epoch).map(|(_, _, loss)| loss)
}

/// What a sink has of it may be marked from here on, so it is noted first.
async fn hand_on(cx: &mut Context, run: &Run, batch: Batch) -> Result<(), Error> {
    run.hand_on(batch.origin.epoch, batch.raw.offsets.values());
    cx.ledger.read(&batch.origin, &batch.raw);
    cx.push(batch).await?;
    cx.status.progressed();
    Ok(())
}
