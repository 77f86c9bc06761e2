//! What the engine says about itself: metrics, logs, lag.

mod exposition;
mod gates;
mod lag;
pub mod log;
pub mod names;
pub(crate) mod probe;
pub mod recorder;
mod render;

pub use lag::{Lag, LagBoard};
pub use render::render;
