//! The offsets of a replay: the topology's own store, for the one partition of letters.
//!
//! A claim begins at 0 again: what is done is told by the letters' marks, not by how far an earlier replay came, which
//! may have taken others. Sinks whose rows no transaction writes (caches, topics) mark their letters here.

use super::run::Run;
use crate::timescale::fence::owner_text;
use crate::timescale::offsets::TimescaleOffsets;
use aqueduct_engine::{Claim, ClaimRequest, Error, OffsetStore, PartitionKey, Position};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// See the module.
pub(super) struct LetterOffsets {
    pub(super) run: Arc<Run>,
    pub(super) inner: TimescaleOffsets,
}

impl LetterOffsets {
    async fn claim_from_zero(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        let mut claims = self.inner.claim(requests).await?;
        let connection = self.run.timescale.checkout().await?;
        for claim in &mut claims {
            let owner = owner_text(claim.owner);
            let params: [&(dyn ToSql + Sync); 4] =
                [&&*self.run.topology, &&*claim.key.source, &claim.epoch, &owner];
            connection.hits("begin a replay", BEGIN_AGAIN, &params).await?;
            claim.start = 0;
            claim.sinks.values_mut().for_each(|next| *next = 0);
            claim.skipped.clear();
        }
        Ok(claims)
    }

    async fn advance_and_mark(
        &self,
        sink: &str,
        positions: &[(PartitionKey, i64, i64)],
    ) -> Result<(), Error> {
        self.inner.advance(sink, positions).await?;
        let connection = self.run.timescale.checkout().await?;
        for (_, epoch, next) in positions {
            let ids = self.run.ids_in(0..*next);
            self.run.mark(&connection, (sink, *epoch), &ids, &ids).await?;
        }
        Ok(())
    }
}

impl OffsetStore for LetterOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(self.claim_from_zero(requests))
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        self.inner.positions()
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.advance_and_mark(sink, positions))
    }

    fn exactly_once(&self) -> bool {
        true
    }
}

const BEGIN_AGAIN: &str = "\
    UPDATE aqueduct.offsets SET next_offset = 0 \
    WHERE topology = $1 AND input = $2 AND epoch = $3 AND owner = $4::text::uuid";
