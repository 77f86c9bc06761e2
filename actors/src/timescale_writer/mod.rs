//! Appends rows to a hypertable, exactly once.

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, TimescaleWriter};

/// The factory of one `timescale_writer`.
pub fn factory(actor: &Actor, _options: &TimescaleWriter, _services: &Services) -> Result<Factory, Error> {
    Err(Error::new(
        Class::Config,
        format!("actor `{}`: kind timescale_writer is not built yet", actor.name.value),
    ))
}
