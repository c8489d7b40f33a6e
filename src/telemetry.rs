//! Logging, every metric's name and description, and the spans.

mod bridge;
mod help;
mod log;
mod metrics;
mod queries;
mod runtime;
mod sampled;
pub mod spans;
mod times;
mod traces;

pub use bridge::BridgeMetrics;
pub use log::init as init_logging;
pub use metrics::{EventStatus, Metrics};
pub use queries::{Query, QueryMetrics, StoreFailure};
pub use runtime::Lateness;
pub use sampled::SampledMetrics;
pub use times::{Counts, Times};
pub use traces::{Traces, TracesError};
