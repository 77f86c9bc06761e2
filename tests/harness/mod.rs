//! What every test on real parts needs: a [`world::World`] (a database, a topic and a key prefix of its own on the shared
//! stack, or a private stack whose parts it may stop), the product's own binary as a [`node::Node`] or as commands of a [`console`], the [`oracle`] that is
//! asked afterwards, and a [`wire`] to the database that can be cut or fall silent.
#![allow(dead_code, reason = "two test targets share it, and neither uses all of it")]
#![expect(clippy::disallowed_methods, reason = "tests watch the machine's clock from outside")]

pub mod console;
pub mod node;
pub mod oracle;
pub(crate) mod registry;
pub mod rules;
pub mod secured;
pub mod tools;
pub mod topologies;
pub mod wait;
pub mod wire;
pub mod world;
