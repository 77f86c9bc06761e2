//! Reads a topic.

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, KafkaSource};

/// The factory of one `kafka_source`.
pub fn factory(actor: &Actor, _options: &KafkaSource, _services: &Services) -> Result<Factory, Error> {
    Err(Error::new(
        Class::Config,
        format!("actor `{}`: kind kafka_source is not built yet", actor.name.value),
    ))
}
