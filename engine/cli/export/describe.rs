//! What the database says of the table, under the role of exports: for both commands the same.

use super::options::Which;
use crate::environment::{host_name, variable};
use crate::stores::{answered, wrong};
use anyhow::Result;
use aqueduct_actors::export::address::{self, Address};
use aqueduct_actors::export::{role, table};
use aqueduct_actors::timescale::{Connection, Connector, TableName};
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::{Kind, TimescaleConnection, Topology};
use aqueduct_topology::{Span, Spanned};

/// Names the user that exports log in as; without it, it is the topology's own.
pub(super) const URL_VARIABLE: &str = "AQUEDUCT_EXPORT_URL";

/// A table, and the way to it.
pub(super) struct Described {
    pub(super) connector: Connector,
    /// Under the role of exports.
    pub(super) connection: Connection,
    pub(super) address: Address,
    pub(super) shape: table::Shape,
    /// A name of the database that no address changes.
    pub(super) database: String,
}

/// Connects, takes the role, looks at the table and at what the role may do with it.
pub(super) async fn describe(topology: &Topology, which: &Which, name: &str) -> Result<Described> {
    let connection = login(topology)?;
    let table = TableName::parse(name)?;
    let connector = Connector::new(&connection, &topology.name.value, &host_name(), Clock::system())?;
    let address = address::address(&connection, connector.session())?;
    let session = open(&connector).await?;
    let event_time = event_time(topology, name);
    let time_column = which.time_column.as_deref();
    let shape = answered(table::look(&session, &table, time_column, event_time.as_deref()).await)?;
    answered(role::check(&session, &table, shape.oid).await)?;
    let database = answered(table::database(&session).await)?;
    Ok(Described { connector, connection: session, address, shape, database })
}

/// A session under the role of exports.
pub(super) async fn open(connector: &Connector) -> Result<Connection> {
    let session = answered(connector.connect().await)?;
    answered(role::take(&session).await)?;
    Ok(session)
}

fn login(topology: &Topology) -> Result<TimescaleConnection> {
    let own = topology.connections.timescale.clone();
    let url = variable(URL_VARIABLE).map(|url| Spanned::new(url.into(), Span::default()));
    match (own, url) {
        (Some(own), Some(url)) => {
            Ok(TimescaleConnection { url, user_file: None, password_file: None, ..own })
        }
        (None, Some(url)) => {
            Ok(TimescaleConnection { url, user_file: None, password_file: None, pool: 1, tls: None })
        }
        (Some(own), None) => Ok(own),
        (None, None) => {
            let name = &topology.name.value;
            let message =
                format!("topology `{name}` has no `connections.timescale`, and its tables lie there");
            Err(Error::new(Class::Config, message).into())
        }
    }
}

/// What the normalizer before the table's sink calls the event time.
fn event_time(topology: &Topology, table: &str) -> Option<String> {
    let writer = topology
        .actors
        .iter()
        .find(|actor| matches!(&actor.kind, Kind::TimescaleWriter(writer) if writer.table.value == table))?;
    writer.from.iter().find_map(|from| match &topology.actor(&from.value)?.kind {
        Kind::Normalizer(normalizer) => Some(normalizer.event_time.as_ref()?.field.value.clone()),
        _ => None,
    })
}

/// The columns of the partitioning behind `day`, each of which the table has.
pub(super) fn partition_columns(shape: &table::Shape, wanted: &[String]) -> Result<Vec<String>> {
    let Some(("day", rest)) = wanted.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return wrong("files are partitioned by the day first: --partition-by day, or day,symbol".into());
    };
    for name in rest {
        if !shape.columns.iter().any(|column| column.name == *name) {
            let (table, columns) = (shape.table.plain(), table::names(&shape.columns));
            return wrong(format!("{table} has no column `{name}` to partition by; it has {columns}"));
        }
        if *name == shape.time_column || rest.iter().filter(|other| *other == name).count() > 1 {
            return wrong(format!("`{name}` cannot be partitioned by, or is named twice"));
        }
    }
    Ok(rest.to_vec())
}
