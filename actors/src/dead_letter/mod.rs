//! Keeps what was rejected.

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, DeadLetter};

/// The factory of one `dead_letter`.
pub fn factory(actor: &Actor, _options: &DeadLetter, _services: &Services) -> Result<Factory, Error> {
    Err(Error::new(Class::Config, format!("actor `{}`: kind dead_letter is not built yet", actor.name.value)))
}
