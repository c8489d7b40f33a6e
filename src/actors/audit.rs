//! The audit trail: whoever decides something says so here, and goes on. A task of its own writes it to the log
//! and to the store, what happened alike within a moment as one row. It never makes anyone wait: past
//! its bounds records are dropped, and counted.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::domain::{AuditOutcome, AuditRecord, Cuid, RoomName, audit::action};
use crate::store::{AuditEntry, Store};
use crate::telemetry::Metrics;

/// Records that may wait to be looked at.
const MAX_QUEUED: usize = 16_384;
/// Rows of one batch; while the database does not answer, no more are gathered.
const MAX_BATCH: usize = 4_096;
/// Rows of one transaction: an event's commit may wait behind it.
const STEP: usize = 128;
/// How long records are gathered: what is alike within it is one row.
const GATHER: Duration = Duration::from_millis(500);
/// How often the queue is emptied meanwhile.
const EMPTY_EVERY: Duration = Duration::from_millis(50);
/// How soon a batch that was not stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

enum Told {
    Record(Box<AuditRecord>, SystemTime),
    /// Answered once all before it is stored.
    Flush(oneshot::Sender<()>),
}

pub struct AuditTrail {
    told: mpsc::Sender<Told>,
    metrics: Arc<Metrics>,
}

impl AuditTrail {
    pub fn start(store: Store, metrics: Arc<Metrics>) -> Self {
        let (told, records) = mpsc::channel(MAX_QUEUED);
        store.clone().spawn(Writer { store, metrics: metrics.clone(), records }.run());
        Self { told, metrics }
    }

    pub fn record(&self, record: AuditRecord) {
        // Full, or at the process's end.
        if self.told.try_send(Told::Record(Box::new(record), SystemTime::now())).is_err() {
            self.metrics.audit_dropped(1);
        }
    }

    /// Resolves once all that was recorded before is stored, or given up.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.told.send(Told::Flush(done)).await.is_ok() {
            flushed.await.ok();
        }
    }
}

struct Writer {
    store: Store,
    metrics: Arc<Metrics>,
    records: mpsc::Receiver<Told>,
}

/// What is gathered: since when, and how often, in the order of its first time.
type Batch = IndexMap<AuditRecord, (SystemTime, i64)>;

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.records.recv().await {
            let (batch, flushed) = self.gather(first).await;
            for (record, (_, times)) in &batch {
                log(record, *times);
            }
            self.store(batch).await;
            if let Some(done) = flushed {
                // Whoever waited may have gone.
                done.send(()).ok();
            }
        }
    }

    async fn gather(&mut self, first: Told) -> (Batch, Option<oneshot::Sender<()>>) {
        let (mut batch, mut next) = (Batch::new(), Some(first));
        let end = Instant::now() + GATHER;
        loop {
            while let Some(told) = next {
                match told {
                    Told::Record(record, at) => batch.entry(*record).or_insert((at, 0)).1 += 1,
                    Told::Flush(done) => return (batch, Some(done)),
                }
                if batch.len() >= MAX_BATCH {
                    return (batch, None);
                }
                next = self.records.try_recv().ok();
            }
            if Instant::now() >= end || self.records.is_closed() {
                return (batch, None);
            }
            // Asleep, and not waiting for the next record: to be woken for each would cost whoever publishes a system call.
            sleep(EMPTY_EVERY).await;
            next = self.records.try_recv().ok();
        }
    }

    /// Tries until it is stored: what comes meanwhile waits in the queue, or is dropped there.
    async fn store(&self, batch: Batch) {
        let entry = |(record, (at, times)): (AuditRecord, (SystemTime, i64))| {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            AuditEntry { record, at: i64::try_from(at).unwrap_or(i64::MAX), times }
        };
        let mut entries = batch.into_iter().map(entry).peekable();
        while entries.peek().is_some() {
            let step: Arc<[AuditEntry]> = entries.by_ref().take(STEP).collect();
            while let Err(error) = self.store.append_audit(step.clone()).await {
                tracing::warn!(%error, rows = step.len(), "the audit trail could not be stored");
                if self.records.is_closed() {
                    return self.metrics.audit_dropped((step.len() + entries.len()) as u64);
                }
                sleep(AGAIN).await;
            }
            self.metrics.audit_stored(step.len() as u64);
        }
    }
}

/// One line. A backend's publishes are many, and in the log of events as well.
fn log(record: &AuditRecord, times: i64) {
    let AuditRecord { actor, action, outcome, cause, target, session, address } = record;
    let (actor, session, subject) = (actor.as_deref(), session.as_deref(), target.subject.as_deref());
    let (room, tab) = (target.room.as_ref().map(RoomName::as_str), target.tab.as_ref().map(Cuid::as_str));
    let address = address.map(tracing::field::display);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "audit",
                actor, action, outcome = outcome.as_str(), cause, room, tab, subject,
                detail = target.detail, session, address, times, "audit"
            )
        };
    }
    let is_plenty = matches!(*action, "broadcast" | action::ADMIN_EMIT) && *outcome == AuditOutcome::Done;
    if is_plenty { line!(debug) } else { line!(info) }
}
