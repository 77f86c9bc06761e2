//! The ends of links as an actor sees them: inputs it leases from, outputs it pushes to.
//!
//! Everything here may be cancelled at any await: nothing is taken or lost by it.

mod edge;
mod inputs;
mod outputs;
#[cfg(test)]
mod tests;

pub use edge::{Edge, EdgeMeter};
pub use inputs::{Inputs, Watch};
pub use outputs::Outputs;
