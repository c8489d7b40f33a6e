//! The recorder of an instance's metrics: which buckets its histograms have.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// The buckets of the specification, in seconds.
const EVENT_DURATION_BUCKETS: [f64; 7] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// In seconds: from a commit on a fast disk to one that makes events go out unstored.
const COMMIT_BUCKETS: [f64; 9] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// In seconds: from a busy thread's turn to a client that would be called slow.
const DELIVERY_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// In seconds: from rows that are in memory to the longest that an operator would let a question take.
const STORE_BUCKETS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0];

pub fn build() -> PrometheusRecorder {
    let buckets: [(&str, &[f64]); 4] = [
        ("socket_event_duration_seconds", &EVENT_DURATION_BUCKETS),
        ("expeditor_delivery_seconds", &DELIVERY_BUCKETS),
        ("expeditor_log_commit_seconds", &COMMIT_BUCKETS),
        ("expeditor_store_seconds", &STORE_BUCKETS),
    ];
    buckets
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
        })
        .expect("the lists of buckets are not empty")
        .build_recorder()
}
