//! Takes what was committed into the index, and brings it from the write-ahead log into the database's file: beside
//! the appends and not as a part of one, which would hold up an append for the time of several.
//!
//! On a thread of its own that gives way to all others: on a machine with few cores it would otherwise have one for
//! milliseconds while events wait. Only the steps that need the writing connection run on that one's thread, as who
//! holds it must not have to give way.

use std::io;
use std::path::Path;
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
/// As `nice` counts: it still has a tenth of a core where all are busy.
const GIVES_WAY: i32 = 10;

/// Begins, and goes on for as long as the store is open.
pub fn start(store: Weak<Sqlite>, path: &Path, patience: Duration) -> Result<(), StoreError> {
    let broken = |error: &dyn std::fmt::Display| StoreError::Connection(error.to_string());
    let mut reader = writer::connect(path, patience).map_err(|error| broken(&error))?;
    let tidying = move || {
        if let Err(error) = give_way() {
            tracing::debug!(%error, "the thread that tidies does not give way to others");
        }
        loop {
            pause(EVERY);
            let Some(store) = store.upgrade() else { return };
            if let Err(error) = tidy(&store, &mut reader) {
                tracing::warn!(%error, "the log's index or file could not be brought up to date");
            }
        }
    };
    thread::Builder::new().name("store-tidy".to_owned()).spawn(tidying).map(drop).map_err(|error| broken(&error))
}

/// On Linux a priority is one thread's: this one's.
fn give_way() -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, GIVES_WAY)?)
}

fn tidy(store: &Sqlite, reader: &mut SqliteConnection) -> Result<(), StoreError> {
    while extend_index(store, reader)? {}
    *store.indexed.lock() = Instant::now();
    let pages = run_checkpoint(reader, "PASSIVE")?;
    if pages > LONG_LOG {
        // Nearly all of it is done: what is left is what came meanwhile.
        store.writer.run_blocking(|connection| run_checkpoint(connection, "RESTART"))?;
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

/// The pages in the write-ahead log.
fn run_checkpoint(connection: &mut SqliteConnection, mode: &str) -> QueryResult<i32> {
    #[derive(QueryableByName)]
    struct Progress {
        #[diesel(sql_type = Integer)]
        log: i32,
    }
    let query = diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})"));
    query.get_result::<Progress>(connection).map(|progress| progress.log)
}
