//! What the engine says about itself: metrics, logs, lag.

mod exposition;
pub(crate) mod history;
mod lag;
pub mod log;
pub mod names;
pub(crate) mod probe;
pub mod recorder;
mod render;

pub use history::History;
pub use lag::{Lag, LagBoard};
pub use render::render;
