//! Reads a recorded file.

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, ReplaySource};

/// The factory of one `replay_source`.
pub fn factory(actor: &Actor, _options: &ReplaySource, _services: &Services) -> Result<Factory, Error> {
    Err(Error::new(
        Class::Config,
        format!("actor `{}`: kind replay_source is not built yet", actor.name.value),
    ))
}
