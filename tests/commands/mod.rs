//! Commands as their users start them, as far as they need no service.

mod audit;
mod plan;
mod settings;
