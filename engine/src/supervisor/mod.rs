//! Supervision: the pure core (spec, intensity, core, tree) and the hosts that do what it says.

pub mod core;
pub mod exit;
pub(crate) mod guard;
pub(crate) mod host;
pub mod intensity;
#[cfg(test)]
mod model;
pub mod spec;
pub mod tree;
