//! Files of the product, embedded: node settings, migrations, topologies, samples.

pub mod migrations;
