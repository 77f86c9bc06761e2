//! What the engine says about itself: metrics, logs, lag.

pub mod event_ids;
mod exposition;
mod lag;
pub mod log;
pub mod names;
pub(crate) mod probe;
pub mod recorder;
mod render;
mod repeats;

pub use lag::{Lag, LagBoard};
pub use render::render;
