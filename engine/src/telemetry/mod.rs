//! What the engine says about itself: metrics, logs, lag.

mod lag;

pub use lag::{Lag, LagBoard};
