//! Logging, and every metric's name and description.

mod help;
mod log;
mod metrics;
mod times;

pub use log::init as init_logging;
pub use metrics::{EventStatus, Metrics};
pub use times::{Counts, Times};
