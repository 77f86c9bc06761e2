//! The stores of a topology, for commands that speak to them and run nothing: connections, and what their silence means.

use crate::environment::host_name;
use crate::exit::{Unavailable, WrongUsage};
use anyhow::Result;
use aqueduct_actors::timescale::{Connection, Connector};
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::Topology;

/// Runs `work` on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    actix_rt::System::new().block_on(work)
}

/// What a store said: one that is away is exit 69, one that must be changed 78.
pub(crate) fn answered<T>(outcome: Result<T, Error>) -> Result<T> {
    outcome.map_err(|error| match error.class {
        Class::Transient | Class::Capacity => Unavailable(error.message.into_owned()).into(),
        _ => error.into(),
    })
}

/// A connection to the topology's database; `what` lies there.
pub(crate) async fn database(topology: &Topology, what: &str) -> Result<Connection> {
    let Some(connection) = &topology.connections.timescale else {
        let name = &topology.name.value;
        let message = format!("topology `{name}` has no `connections.timescale`, and {what} lie there");
        return Err(Error::new(Class::Config, message).into());
    };
    let connector = Connector::new(connection, &topology.name.value, &host_name(), Clock::system())?;
    answered(connector.connect().await)
}

/// The command line asks for what cannot be.
pub(crate) fn wrong<T>(message: String) -> Result<T> {
    Err(WrongUsage(message).into())
}
