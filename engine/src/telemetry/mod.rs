//! What the engine says about itself: metrics, logs, lag.

mod exposition;
mod lag;
pub mod log;
mod memory;
pub mod names;
pub(crate) mod probe;
pub mod recorder;
mod render;

pub use lag::{Lag, LagBoard};
pub use render::render;
