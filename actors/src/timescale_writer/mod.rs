//! Appends rows to a hypertable, exactly once.
//!
//! Batches of several partitions are merged into one transaction: COPY BINARY, then one compare-and-set of all their
//! offsets, then COMMIT. What happens next follows from the error's class alone:
//! - an outage, a full disk or a missing table is waited through, with the reason in the actor's state;
//! - an offset that is not where we left it is read: an ambiguous commit had succeeded, or the claim does not hold and
//!   the source is asked to claim anew; the other partitions go on without it;
//! - a letter that is gone, of a record over which the offset would move, says that the database went back: likewise;
//! - a row the database refuses becomes a dead letter in the same transaction as its neighbours.
//!
//! Invariant: a lease is settled as written only after a COMMIT was answered or its offset was read back.
//! Deliberately absent: INSERT on the way of every row; under `unique`, rows go through a staging table.

mod ahead;
mod alone;
pub mod array;
pub mod encode;
pub(crate) mod fault;
mod flight;
mod gather;
pub(crate) mod noting;
mod numeric;
pub mod parsed;
mod positions;
#[cfg(test)]
mod rebalance;
pub(crate) mod rows;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod table;
mod transaction;
mod writer;

use crate::Services;
use crate::timescale::{Identifier, TableName};
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{self, Column, Flush, OnConflict, Policy, TimescaleWriter};
use std::sync::Arc;
use store::{Conflict, Store, Target};
use writer::Writer;

/// The factory of one `timescale_writer`.
pub fn factory(
    actor: &model::Actor,
    options: &TimescaleWriter,
    services: &Services,
) -> Result<Factory, Error> {
    let name = &actor.name.value;
    let timescale = services.timescale.clone().ok_or_else(|| {
        let message =
            format!("actor `{name}` writes to TimescaleDB: set `connections.timescale.url` or TIMESCALE_URL");
        Error::new(Class::Config, message)
    })?;
    over(actor, options, services, Arc::new(timescale))
}

/// A `timescale_writer` that writes into `store`.
pub(crate) fn over(
    actor: &model::Actor,
    options: &TimescaleWriter,
    services: &Services,
    store: Arc<dyn Store>,
) -> Result<Factory, Error> {
    let unique = options.unique.iter().map(|column| Identifier::new(column)).collect::<Result<_, _>>()?;
    let target = Target {
        topology: services.topology.name.value.as_str().into(),
        sink: actor.id.value.as_str().into(),
        table: TableName::parse(&options.table)?,
        columns: columns_of(&services.topology, actor)?,
        unique,
        conflict: conflict(options)?,
        looked_up_by: None,
        node: services.node.clone(),
    };
    let (name, said) = (actor.name.value.as_str().into(), options.table.value.as_str().into());
    let required = actor.policy == Policy::Required;
    let (flush, transactions) = (options.flush, options.transactions as usize);
    let spec = Spec { target: Arc::new(target), name, said, flush, transactions, required, store };
    Ok(Arc::new(move || Box::new(Writer::new(spec.clone()))))
}

fn conflict(options: &TimescaleWriter) -> Result<Conflict, Error> {
    Ok(match options.on_conflict {
        OnConflict::Keep => Conflict::Keep,
        OnConflict::Replace => {
            Conflict::Replace(options.order_by.as_ref().map(|field| Identifier::new(field)).transpose()?)
        }
    })
}

/// The row that reaches `actor`.
pub(crate) fn columns_of(topology: &model::Topology, actor: &model::Actor) -> Result<Vec<Column>, Error> {
    let columns = topology.input_columns(&actor.name.value);
    if columns.is_empty() {
        let message = format!("actor `{}` needs rows: let it read from a normalizer", actor.name.value);
        return Err(Error::new(Class::Config, message));
    }
    Ok(columns)
}

#[derive(Clone)]
struct Spec {
    target: Arc<Target>,
    /// The actor's name in the file.
    name: Arc<str>,
    /// The table, as the file says it.
    said: Arc<str>,
    flush: Flush,
    /// The most that are in flight at once.
    transactions: usize,
    required: bool,
    store: Arc<dyn Store>,
}
