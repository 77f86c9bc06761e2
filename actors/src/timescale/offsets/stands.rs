//! Where every sink stands, for people: one row of `aqueduct.offsets`, and whether its owner lives.

use crate::timescale::Connection;
use aqueduct_engine::{Error, PartitionKey};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// One sink in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stand {
    /// The sink's identity.
    pub sink: String,
    /// Identity of the source.
    pub input: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The newest claim.
    pub epoch: i64,
    /// The node that made it.
    pub node: String,
    /// Whether sessions of that node's process are open in the database.
    pub owned: bool,
    /// The next offset the sink needs.
    pub next_offset: i64,
    /// Whether records count as written only with it.
    pub required: bool,
    /// What it feeds.
    pub target: String,
    /// Records it will never see.
    pub skipped: i64,
    /// When its offset moved last, microseconds since 1970 UTC.
    #[serde(skip)]
    pub updated_us: i64,
}

impl Stand {
    /// Its partition.
    pub fn key(&self) -> PartitionKey {
        let (source, topic) = (self.input.as_str().into(), self.topic.as_str().into());
        PartitionKey { source, topic, partition: self.partition }
    }
}

/// Names of applications are there for everybody to see, whoever else's sessions they are.
const STANDS: &str = "\
    SELECT o.sink, o.input, o.topic, o.partition, o.epoch, o.node, \
           EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a \
                   WHERE a.application_name = o.session AND a.datname = pg_catalog.current_database() \
                     AND a.pid <> pg_catalog.pg_backend_pid()), \
           o.next_offset, o.required, o.target, o.skipped, (EXTRACT(epoch FROM o.updated_at) * 1000000)::int8 \
    FROM aqueduct.offsets AS o WHERE o.topology = $1 \
    ORDER BY o.input, o.topic, o.partition, o.sink";

/// Every sink of `topology` in every partition, sinks included that its file does not have any more.
pub async fn stands(connection: &Connection, topology: &str) -> Result<Vec<Stand>, Error> {
    let params: [&(dyn ToSql + Sync); 1] = [&topology];
    let rows = connection.rows("read the offsets", STANDS, &params).await?;
    let stand = |row: &Row| Stand {
        sink: row.get(0),
        input: row.get(1),
        topic: row.get(2),
        partition: row.get(3),
        epoch: row.get(4),
        node: row.get(5),
        owned: row.get(6),
        next_offset: row.get(7),
        required: row.get(8),
        target: row.get(9),
        skipped: row.get(10),
        updated_us: row.get(11),
    };
    Ok(rows.iter().map(stand).collect())
}
