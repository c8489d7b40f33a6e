//! Logging, and every metric's name and description.

mod log;
mod metrics;

pub use log::init as init_logging;
pub use metrics::{EventStatus, Metrics};
