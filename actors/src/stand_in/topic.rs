//! A `kafka_sink` over a topic in memory: the same JSON, at least once as there.

use super::sink::{ATTEMPT_MAX, each_lease, text};
use super::{Outages, Rows, StandIns};
use crate::json::rows::{Rows as Json, json_columns};
use aqueduct_engine::{Actor, Context, Error, Factory, Lease, OffsetStore};
use aqueduct_topology::model;
use futures::future::LocalBoxFuture;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

/// The stand-in of one `kafka_sink`.
pub(super) fn factory(actor: &model::Actor, around: &StandIns) -> Factory {
    let topic = Arc::new(Topic {
        name: actor.name.value.clone(),
        json: json_columns(actor, &around.services.topology),
        rows: around.rows[&actor.name.value].clone(),
        offsets: around.offsets(),
        outages: around.outages.clone(),
    });
    Arc::new(move || Box::new(Sink { topic: topic.clone() }))
}

struct Topic {
    name: String,
    json: BTreeSet<String>,
    rows: Rows,
    offsets: Arc<dyn OffsetStore>,
    outages: Outages,
}

struct Sink {
    topic: Arc<Topic>,
}

impl Actor for Sink {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(each_lease(cx, async |cx, lease| self.write(cx, lease).await))
    }
}

impl Sink {
    async fn write(&self, cx: &mut Context, lease: Lease) -> Result<(), Error> {
        let topic = &self.topic;
        let rows = topic.encode(&lease)?;
        cx.until_ok(ATTEMPT_MAX, async || topic.outages.check(&topic.name)).await?;
        topic.rows.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
        let reached = [(lease.origin.key.clone(), lease.origin.epoch, lease.origin.next)];
        cx.settle_written(lease);
        topic.offsets.advance(&cx.identity.id, &reached).await
    }
}

impl Topic {
    fn encode(&self, lease: &Lease) -> Result<Vec<String>, Error> {
        let json = Json::new(&lease.rows, &self.json)?;
        (0..lease.rows.num_rows()).map(|row| text(&json, row)).collect()
    }
}
