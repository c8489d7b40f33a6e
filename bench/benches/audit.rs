//! What the audit trail costs, in processor time of the whole process: whoever acts, the writer, its line in the
//! log, and SQLite. The clock stops once the rows are stored; waiting for the disk is not counted.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use expeditor::actors::AuditTrail;
use expeditor::config::Config;
use expeditor::domain::{AuditOutcome, AuditRecord, AuditTarget, Cuid};
use expeditor::store::{Store, migrations};
use expeditor::telemetry::Metrics;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

/// Acts that are stored together: one in half a second, and two hundred a second.
const BATCHES: [u64; 2] = [1, 100];

struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
    fn end(&self, began: Duration) -> Duration {
        self.start().saturating_sub(began)
    }
    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn trail(folder: &Path) -> AuditTrail {
    let url = format!("sqlite://{}", folder.join("bench.db").display());
    let config = Config::from_lookup(|name| (name == "DATABASE_URL").then(|| url.clone())).expect("a configuration");
    migrations::run(&config.database).expect("a new database");
    let store = Store::open(&config.database, &config.log).expect("it opens");
    AuditTrail::start(store, Arc::new(Metrics::new()))
}

/// A cook's change of an item, as a session tells of it.
fn act(number: u64) -> AuditRecord {
    let subject = format!("citem{number:020}");
    let tab = Cuid::parse("ctabbench0000000000000001");
    AuditRecord {
        actor: Some("cuserbench00000000000000001".into()),
        action: "kitchen:update-status",
        outcome: AuditOutcome::Done,
        cause: None,
        target: AuditTarget { tab, detail: Some("READY"), ..AuditTarget::subject(&subject) },
        session: Some("Zx8kQ0pYB2cXWJ1TAAAB".into()),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

/// In JSON, as in production; nobody reads it.
fn log_to_nowhere() {
    tracing_subscriber::fmt().json().with_writer(std::io::sink).init();
}

fn record_all(runtime: &Runtime, trail: &AuditTrail, acts: impl Iterator<Item = AuditRecord>) {
    acts.for_each(|act| trail.record(black_box(act)));
    runtime.block_on(trail.flush());
}

fn auditing(criterion: &mut Criterion<ProcessorTime>) {
    log_to_nowhere();
    let folder = tempfile::tempdir().expect("a folder");
    let (trail, runtime) = (trail(folder.path()), Builder::new_current_thread().build().expect("a runtime"));
    let mut next = 0;
    let mut group = criterion.benchmark_group("audit");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("acts", batch), |bencher| {
            bencher.iter(|| {
                record_all(&runtime, &trail, (next..next + batch).map(act));
                next += batch;
            });
        });
    }
    group.bench_function("100 times the same act", |bencher| {
        bencher.iter(|| {
            record_all(&runtime, &trail, (0..100).map(|_| act(next)));
            next += 1;
        });
    });
    group.finish();
}

criterion_group!(name = audit; config = Criterion::default().with_measurement(ProcessorTime); targets = auditing);
criterion_main!(audit);
