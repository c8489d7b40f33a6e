//! Logging, and every metric's name and description.

mod bridge;
mod help;
mod log;
mod metrics;
mod times;

pub use bridge::BridgeMetrics;
pub use log::init as init_logging;
pub use metrics::{EventStatus, Metrics};
pub use times::{Counts, Times};
