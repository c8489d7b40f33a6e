//! Takes what was committed into the index, and brings it from the write-ahead log into the database's file: beside
//! the appends and not as a part of one, which would hold up an append for the time of several.
//!
//! On a thread that gives way to all others: on a machine with few cores it would otherwise have one for milliseconds
//! while events wait. Only the steps that need the writing connection run on that one's thread, as who holds it must not
//! have to give way; and where much has come, all of it has its share, or the write-ahead log would outgrow it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;
use parking_lot::Mutex;

use super::disk::pause;
use super::{Sqlite, index, writer};
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(1);
/// Pages of 4 KiB from which on the write-ahead log is to begin anew, though that makes a commit wait.
const LONG_LOG: i32 = 16_000;
/// Pages that may be left for that commit to wait for, and how often it is tried to have no more.
const SHORT_REST: i32 = 500;
const PASSES: usize = 3;
/// As `nice` counts, below the process's own: it still has a tenth of a core where all are busy.
const GIVES_WAY: i32 = 10;
/// Events of which a tenth of a core makes an end before the next ones are due.
const FEW: i64 = 10_000;

/// Begins, and goes on for as long as the store is open.
pub fn start(store: Weak<Sqlite>, path: &Path, patience: Duration) -> Result<(), StoreError> {
    let broken = |error: &dyn std::fmt::Display| StoreError::Connection(error.to_string());
    let mut reader = writer::connect(path, patience).map_err(|error| broken(&error))?;
    let aside = Aside::start().map_err(|error| broken(&error))?;
    let path = path.to_owned();
    let tidying = move || {
        loop {
            pause(EVERY);
            let Some(store) = store.upgrade() else { return };
            let few = index::behind(&mut reader).is_ok_and(|events| events <= FEW);
            let work = move || {
                let outcome = tidy(&store, &mut reader);
                (reader, outcome)
            };
            let done = if few { aside.run(work) } else { catch_unwind(AssertUnwindSafe(work)) };
            // After a panic the connection may be within a transaction for ever.
            let done = done.or_else(|_| writer::connect(&path, patience).map(|reader| (reader, Ok(()))));
            let outcome;
            (reader, outcome) = match done {
                Ok(done) => done,
                Err(error) => return tracing::error!(%error, "the log is not tidied any more"),
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "the log's index or file could not be brought up to date");
            }
        }
    };
    thread::Builder::new().name("store-tidy".to_owned()).spawn(tidying).map(drop).map_err(|error| broken(&error))
}

/// A thread that gives way. A priority that was given up cannot be had back.
struct Aside(SyncSender<Box<dyn FnOnce() + Send>>);

impl Aside {
    fn start() -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Box<dyn FnOnce() + Send>>(1);
        let running = move || {
            give_way();
            queue.into_iter().for_each(|job| job());
        };
        thread::Builder::new().name("store-aside".to_owned()).spawn(running)?;
        Ok(Self(jobs))
    }

    /// Runs `work` there and waits for it.
    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> thread::Result<T> {
        let (done, outcome) = sync_channel(1);
        let job = move || drop(done.send(catch_unwind(AssertUnwindSafe(work))));
        // The thread is there for as long as this is, and answers everything.
        self.0.send(Box::new(job)).ok();
        outcome.recv().unwrap_or_else(|gone| Err(Box::new(gone)))
    }
}

/// Elsewhere than on Linux a priority is the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, own + GIVES_WAY))
    {
        tracing::debug!(%error, "the thread that tidies does not give way to others");
    }
}

fn tidy(store: &Sqlite, reader: &mut SqliteConnection) -> Result<(), StoreError> {
    while extend_index(store, reader)? {}
    *store.indexed.lock() = Instant::now();
    let mut log = checkpoint(reader, "PASSIVE")?;
    // What has come meanwhile; a slow thread would leave much of it.
    for _ in 0..PASSES {
        if log.pages <= LONG_LOG || log.pages - log.checkpointed <= SHORT_REST {
            break;
        }
        log = checkpoint(reader, "PASSIVE")?;
    }
    if log.pages > LONG_LOG {
        store.writer.run_blocking(|connection| checkpoint(connection, "RESTART"))?;
    }
    Ok(())
}

/// Whether there may be more to take in.
fn extend_index(store: &Sqlite, reader: &mut SqliteConnection) -> Result<bool, StoreError> {
    let Some(missing) = index::missing(reader)? else { return Ok(false) };
    let (more, missing) = (missing.more, Arc::new(Mutex::new(missing)));
    // In steps, so that appends come between.
    loop {
        let step = missing.clone();
        if store.writer.run_blocking(move |connection| step.lock().take_in_some(connection))? {
            return Ok(more);
        }
    }
}

/// Pages in the write-ahead log, and how many of them are in the file by now.
#[derive(QueryableByName)]
struct Log {
    #[diesel(sql_type = Integer, column_name = log)]
    pages: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

fn checkpoint(connection: &mut SqliteConnection, mode: &str) -> QueryResult<Log> {
    diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(connection)
}
