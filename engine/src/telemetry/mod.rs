//! What the engine says about itself: metrics, logs, lag.

mod bottleneck;
pub mod catalogue;
pub mod event_ids;
mod exposition;
pub mod figures;
mod gates;
pub(crate) mod history;
mod lag;
pub mod log;
mod memory;
pub mod names;
pub(crate) mod probe;
mod process;
pub mod recorder;
mod render;
mod repeats;

pub use bottleneck::bottleneck;
pub(crate) use exposition::cut;
pub use figures::Figures;
pub use history::History;
pub use lag::{Lag, LagBoard, Settled, StoredOffset};
pub use render::render;
