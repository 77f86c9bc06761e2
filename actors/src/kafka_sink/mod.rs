//! Writes rows to a topic.

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, KafkaSink};

/// The factory of one `kafka_sink`.
pub fn factory(actor: &Actor, _options: &KafkaSink, _services: &Services) -> Result<Factory, Error> {
    Err(Error::new(Class::Config, format!("actor `{}`: kind kafka_sink is not built yet", actor.name.value)))
}
