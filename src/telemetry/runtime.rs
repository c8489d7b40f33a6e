//! What the process takes of its machine, and how late the worker threads come to their work. Every worker
//! notes its own lateness; the rest is read when somebody asks for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Gauge, Key, Label, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_process::Collector;
use parking_lot::Mutex;

/// How late one worker thread was at the worst since the last look.
#[derive(Default)]
pub struct Lateness(AtomicU64);

impl Lateness {
    pub fn note(&self, late: Duration) {
        self.0.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(0, Ordering::Relaxed))
    }
}

#[derive(Default)]
pub(super) struct RuntimeMetrics {
    process: Collector,
    workers: Mutex<Vec<(Arc<Lateness>, Gauge)>>,
}

impl RuntimeMetrics {
    /// Names and describes the figures of the process.
    pub fn describe(&self, recorder: &PrometheusRecorder) {
        metrics::with_local_recorder(recorder, || self.process.describe());
    }

    /// Reads the figures of the process; with many connections that takes a millisecond.
    pub fn read_process(&self, recorder: &PrometheusRecorder) {
        metrics::with_local_recorder(recorder, || self.process.collect());
    }

    pub fn add_worker(&self, index: usize, recorder: &impl Recorder, metadata: &Metadata<'_>) -> Arc<Lateness> {
        let labels = vec![Label::new("worker", index.to_string())];
        let gauge = recorder.register_gauge(&Key::from_parts("expeditor_worker_lag_seconds", labels), metadata);
        let lateness = Arc::<Lateness>::default();
        self.workers.lock().push((lateness.clone(), gauge));
        lateness
    }

    /// Tells how late each worker was since the last call.
    pub fn set_lateness(&self) {
        self.workers.lock().iter().for_each(|(lateness, gauge)| gauge.set(lateness.take().as_secs_f64()));
    }
}
