//! Commands as their users start them, as far as they need no service.

mod audit;
mod bad_input;
mod demo;
mod ending;
pub mod plan;
mod settings;
mod tap;
