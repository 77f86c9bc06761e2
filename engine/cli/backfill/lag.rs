//! How far the live topology is behind in what feeds the table: the age of the first record that its writer has not durable.

use aqueduct_actors::export::watermark::{sinks_of, watermark};
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::Connection;
use aqueduct_actors::timescale::offsets::stands;
use aqueduct_engine::{Clock, Error};
use aqueduct_topology::model::Topology;
use std::sync::Arc;
use std::time::Duration;

/// Asks the broker and the database.
pub(super) struct LiveLag {
    topology: Arc<Topology>,
    table: String,
    logs: Arc<Logs>,
}

impl LiveLag {
    /// Of what writes `table`; `None` where no topic feeds it.
    pub(super) fn new(topology: &Topology, table: &str) -> Result<Option<Self>, Error> {
        let Some(kafka) = &topology.connections.kafka else { return Ok(None) };
        let logs = Arc::new(Logs::new(kafka, &topology.name.value)?);
        Ok(Some(Self { topology: Arc::new(topology.clone()), table: table.to_owned(), logs }))
    }

    /// As it is now.
    pub(super) async fn look(&self, connection: &Connection) -> Result<Duration, Error> {
        let stands = stands(connection, &self.topology.name.value).await?;
        let (topology, table, logs) = (self.topology.clone(), self.table.clone(), self.logs.clone());
        // Questions to the broker block.
        let asked = tokio::task::spawn_blocking(move || -> Result<Duration, Error> {
            let now_us = Clock::system().wall_us();
            let sinks = sinks_of(&topology, &table);
            let seen = watermark(&topology, &sinks, &stands, &logs, (now_us, 0))?;
            Ok(Duration::from_micros(u64::try_from(now_us - seen.time_us).unwrap_or(0)))
        });
        asked.await.unwrap_or_else(|error| Err(Error::bug(format!("a look at the lag ended badly: {error}"))))
    }
}
