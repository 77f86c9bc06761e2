//! The offsets of a replay: the topology's own store, for the one partition of letters.
//!
//! A claim begins at 0 again: what is done is told by the letters' marks, not by how far an earlier replay came, which
//! may have taken others. Sinks whose rows no transaction writes (caches, topics) mark their letters here.
//!
//! **A replay claims before it chooses** ([`begin`]), every sink of the topology. One that was killed may have words on their
//! way to the database, such as that its cache has these letters, and one that was frozen may wake up: what is said under an
//! older claim is said before this one or never ([`Run::mark_told`]). ADR 0017 has the interleaving.

use super::SOURCE_PREFIX;
use super::lane::TOPIC;
use super::run::Run;
use crate::services::sinks_by_source;
use crate::timescale::Timescale;
use crate::timescale::fence::owner_text;
use crate::timescale::offsets::TimescaleOffsets;
use aqueduct_engine::{
    Claim, ClaimRequest, Error, LogRange, OffsetStore, PartitionKey, Position, SinkIdentity,
};
use aqueduct_topology::model::Topology;
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// The partition of letters of `topology`, and what a claim of it asks for.
pub(super) fn request(topology: &str) -> ClaimRequest {
    let source = format!("{SOURCE_PREFIX}{topology}").into();
    let key = PartitionKey { source, topic: TOPIC.into(), partition: 0 };
    ClaimRequest { key, log: LogRange { start: 0, end: i64::MAX, initial: 0 }, begun: false }
}

/// Claims the letters of `topology` for all of its sinks: from here on nothing changes about them but by this replay. Gives
/// the claim's epoch, above that of every replay whose marks there are.
pub async fn begin(topology: &Topology, timescale: &Timescale, node: &Arc<str>) -> Result<i64, Error> {
    let name: Arc<str> = topology.name.value.as_str().into();
    let request = request(&name);
    let mut sinks = sinks_by_source(topology);
    sinks.values_mut().flatten().for_each(|sink| sink.adopts = None);
    let all: BTreeMap<Arc<str>, SinkIdentity> =
        sinks.values().flatten().map(|sink| (sink.id.clone(), sink.clone())).collect();
    sinks.insert(request.key.source.clone(), all.into_values().collect());
    let marked: i64 =
        timescale.checkout().await?.row("see the last replay", LAST_EPOCH, &[&&*name]).await?.get(0);
    let offsets = TimescaleOffsets::new(timescale.clone(), name.clone(), node.clone(), sinks);
    let offsets = offsets.above(&request.key, marked);
    let claims = claim_from_zero(&offsets, (timescale, &name), &[request]).await?;
    let [claim] = &claims[..] else { return Err(Error::bug("one request has one claim")) };
    Ok(claim.epoch)
}

/// Claims, and begins anew.
async fn claim_from_zero(
    offsets: &TimescaleOffsets,
    (timescale, topology): (&Timescale, &str),
    requests: &[ClaimRequest],
) -> Result<Vec<Claim>, Error> {
    let mut claims = offsets.claim(requests).await?;
    let connection = timescale.checkout().await?;
    for claim in &mut claims {
        let owner = owner_text(claim.owner);
        let params: [&(dyn ToSql + Sync); 4] = [&topology, &&*claim.key.source, &claim.epoch, &owner];
        connection.hits("begin a replay", BEGIN_AGAIN, &params).await?;
        claim.start = 0;
        claim.sinks.values_mut().for_each(|next| *next = 0);
        claim.skipped.clear();
    }
    Ok(claims)
}

/// See the module.
pub(super) struct LetterOffsets {
    pub(super) run: Arc<Run>,
    pub(super) inner: TimescaleOffsets,
}

impl LetterOffsets {
    async fn claim_all(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        claim_from_zero(&self.inner, (&self.run.timescale, &self.run.topology), requests).await
    }

    async fn advance_and_mark(
        &self,
        sink: &str,
        positions: &[(PartitionKey, i64, i64)],
    ) -> Result<(), Error> {
        self.inner.advance(sink, positions).await?;
        let connection = self.run.timescale.checkout().await?;
        for (_, epoch, next) in positions {
            self.run.mark_told(&connection, (sink, *epoch), *next).await?;
        }
        Ok(())
    }
}

impl OffsetStore for LetterOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(self.claim_all(requests))
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

/// Offsets may have been forgotten or reset since; marks stay.
const LAST_EPOCH: &str =
    "SELECT COALESCE(max(attempted_epoch), 0) FROM aqueduct.dead_letter WHERE topology = $1";

const BEGIN_AGAIN: &str = "\
    UPDATE aqueduct.offsets SET next_offset = 0, skipped = 0 \
    WHERE topology = $1 AND input = $2 AND epoch = $3 AND owner = $4::text::uuid";
