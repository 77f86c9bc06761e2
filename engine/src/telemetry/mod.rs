//! What the engine says about itself: metrics, logs, lag.

mod lag;
pub(crate) mod probe;

pub use lag::{Lag, LagBoard};
