//! Logging, every metric's name and description, and the spans.

mod bridge;
mod events;
mod help;
mod log;
mod metrics;
mod queries;
mod recorder;
mod runtime;
mod sampled;
pub mod spans;
mod times;
mod traces;

pub use bridge::BridgeMetrics;
pub use events::{EventMetrics, EventStatus};
pub use log::init as init_logging;
pub use metrics::Metrics;
pub use queries::{Query, QueryMetrics, StoreFailure};
pub use runtime::Lateness;
pub use sampled::SampledMetrics;
pub use times::{Counts, Times};
pub use traces::{Traces, TracesError};
