//! Up to which event time a table is closed, asked by a schedule at work: see [`crate::export::watermark`].

use crate::export::watermark::{Watermark, sinks_of, watermark};
use crate::kafka::logs::Logs;
use crate::timescale::Connection;
use crate::timescale::offsets::stands;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::Topology;
use std::sync::Arc;

/// Of the rows of `table` at `now_us`, if events trail their records by no more than `lateness_us`.
pub(super) async fn closed(
    topology: &Arc<Topology>,
    session: &Connection,
    table: &str,
    (now_us, lateness_us): (i64, i64),
) -> Result<Watermark, Error> {
    let stands = stands(session, &topology.name.value).await?;
    let (topology, table) = (topology.clone(), table.to_owned());
    // Questions to Kafka block.
    let asked = tokio::task::spawn_blocking(move || {
        let Some(kafka) = &topology.connections.kafka else {
            let message = "without a Kafka connection nobody can tell which rows may still come";
            return Err(Error::new(Class::Config, message));
        };
        let logs = Logs::new(kafka, &topology.name.value)?;
        watermark(&topology, &sinks_of(&topology, &table), &stands, &logs, (now_us, lateness_us))
    });
    asked.await.expect("invariant: asking for a watermark does not panic")
}
