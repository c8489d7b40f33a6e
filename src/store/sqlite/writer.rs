//! The one connection that writes to the embedded database, and the thread that it has where nobody else may wait
//! for it. A batch is committed in the write-ahead log, where it survives the death of the process; the disk
//! follows at once where whoever waits asks for it, and a moment later otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::disk::{Disk, pause};
use super::{append, connection};
use crate::store::StoreError;
use crate::store::log::now_ms;

/// Runs once, or again where the database was locked by another.
type Job = Box<dyn FnMut(&mut Line) -> Progress + Send>;

#[derive(PartialEq, Eq)]
enum Progress {
    Done,
    Locked,
}

/// The writing connection and what is known of the disk.
pub struct Writer {
    /// Used by the writing thread, and by who commits where it is while nothing is in the way.
    line: Arc<Mutex<Line>>,
    jobs: SyncSender<Job>,
    disk: Disk,
    pace: Pace,
}

impl Writer {
    /// Jobs that may wait; there is one batch at a time, and what keeps the house.
    const MAX_JOBS: usize = 64;

    /// Opens the file once more, for writing. A locked database is waited for up to `patience`.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let broken = |error: &dyn std::fmt::Display| StoreError::Connection(error.to_string());
        let mut connection = connect(path, patience).map_err(|error| broken(&error))?;
        append::note_boot(&mut connection, &boot_id())?;
        // From here on who is refused by a lock decides whether it can wait.
        connection.batch_execute("PRAGMA busy_timeout = 0")?;
        let line = Line { connection, path: path.to_owned(), patience };
        let disk = Disk::watch(path).map_err(|error| broken(&error))?;
        let line = Arc::new(Mutex::new(line));
        let (jobs, queue) = sync_channel::<Job>(Self::MAX_JOBS);
        let shared = line.clone();
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| carry_through(job, &shared, patience)))
            .map_err(|error| broken(&error))?;
        Ok(Self { line, jobs, disk, pace: Pace::default() })
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Runs `work` on the writing connection: here where it is `small` and the database has been quick, which
    /// spares two crossings of threads; otherwise on the writing thread, after what was asked for before. It is
    /// carried through even when nobody waits any longer.
    pub async fn run<T: Send + 'static>(
        &self,
        small: bool,
        mut work: impl FnMut(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if small
            && self.pace.is_quick(&self.disk)
            && let Some(mut line) = self.line.try_lock()
        {
            let began = Instant::now();
            let outcome = line.attempt(&mut work);
            self.pace.note(began.elapsed());
            if !is_locked(&outcome) {
                return Ok(outcome?);
            }
        }
        answer(self.queue(work)?.await)
    }

    /// The same on the writing thread, for a caller that may wait.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        answer(self.queue(work)?.blocking_recv())
    }

    fn queue<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<QueryResult<T>>, StoreError> {
        let (done, outcome) = oneshot::channel();
        let mut done = Some(done);
        let job: Job = Box::new(move |line| {
            let outcome = line.attempt(&mut work);
            // The last answer stands, also that it was locked to the end.
            if is_locked(&outcome) && done.as_ref().is_some_and(|done| !done.is_closed()) {
                return Progress::Locked;
            }
            // Who asked may have gone.
            done.take().map(|done| done.send(outcome).ok());
            Progress::Done
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Timeout,
            TrySendError::Disconnected(_) => StoreError::Connection("the writing thread has ended".to_owned()),
        })?;
        Ok(outcome)
    }
}

/// Without an outcome it was locked to the end.
fn answer<T>(outcome: Result<QueryResult<T>, oneshot::error::RecvError>) -> Result<T, StoreError> {
    Ok(outcome.map_err(|_| StoreError::Query("database is locked".to_owned()))??)
}

/// Tries again while another process or connection holds the database.
fn carry_through(mut job: Job, line: &Mutex<Line>, patience: Duration) {
    let began = Instant::now();
    while job(&mut line.lock()) == Progress::Locked && began.elapsed() < patience {
        pause(Duration::from_millis(1));
    }
}

/// The writing connection.
struct Line {
    connection: SqliteConnection,
    path: PathBuf,
    patience: Duration,
}

impl Line {
    /// A panic in `work` may leave the connection within a transaction: it is replaced.
    fn attempt<T>(&mut self, work: &mut impl FnMut(&mut SqliteConnection) -> QueryResult<T>) -> QueryResult<T> {
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| work(&mut self.connection))) else {
            self.connection = connect(&self.path, self.patience).map_err(|error| died(&error))?;
            self.connection.batch_execute("PRAGMA busy_timeout = 0")?;
            return Err(died(&"it panicked"));
        };
        outcome
    }
}

pub fn connect(path: &Path, busy_timeout: Duration) -> ConnectionResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let prepared = connection.batch_execute(&connection::pragmas(busy_timeout, "NORMAL"));
    prepared.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn died(cause: &dyn std::fmt::Display) -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError(format!("a write died: {cause}").into())
}

fn is_locked<T>(outcome: &QueryResult<T>) -> bool {
    let Err(diesel::result::Error::DatabaseError(_, information)) = outcome else { return false };
    // diesel has no kind of error for SQLITE_BUSY; this is SQLite's own text for it.
    information.message().contains("database is locked")
}

/// Whether the database answers so quickly that a thread which serves sessions may wait for it.
#[derive(Default)]
struct Pace {
    /// ms since 1970
    slow_until: AtomicI64,
}

impl Pace {
    /// A commit to memory takes a tenth of this; past it something is in its way.
    const QUICK: Duration = Duration::from_millis(2);
    /// For so many times as long as it was slow nobody waits for it: so a slow database costs sessions a
    /// twentieth of their time at most.
    const WARY: u32 = 20;

    fn is_quick(&self, disk: &Disk) -> bool {
        now_ms() >= self.slow_until.load(Ordering::Relaxed) && !disk.is_late()
    }

    fn note(&self, took: Duration) {
        if took > Self::QUICK {
            let wary_ms = i64::try_from((took * Self::WARY).as_millis()).unwrap_or(i64::MAX);
            self.slow_until.store(now_ms().saturating_add(wary_ms), Ordering::Relaxed);
        }
    }
}

/// What tells one boot of the machine from any other; on a system that does not say, every start counts as one.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| format!("start {}", now_ms()), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Writer {
        let path = folder.path().join("log.db");
        let target = crate::config::DatabaseTarget::Sqlite(path.clone());
        crate::store::migrations::run(&crate::config::DatabaseConfig {
            target,
            given: true,
            timeout: Duration::from_secs(1),
        })
        .unwrap();
        Writer::open(&path, Duration::from_secs(1)).unwrap()
    }

    #[tokio::test]
    async fn what_is_committed_comes_to_the_disk_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let writer = open(&folder);
        let mut synced = writer.disk().synced();
        let generation = writer.disk().committed();
        let reached = synced.wait_for(|synced| synced.through >= generation).await.unwrap();
        assert_eq!(reached.lost_through, 0);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_write_and_no_other() {
        for small in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let writer = open(&folder);
            let dying = writer.run(small, |connection| {
                connection.immediate_transaction::<(), diesel::result::Error, _>(|_| panic!("a write that dies"))
            });
            dying.await.unwrap_err();
            writer.run(small, |connection| connection.immediate_transaction(|_| QueryResult::Ok(()))).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_lock_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let writer = open(&folder);
        let mut other = connect(&folder.path().join("log.db"), Duration::from_secs(1)).unwrap();
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        let write = || writer.run(true, |connection| connection.immediate_transaction(|_| QueryResult::Ok(())));
        write().await.unwrap_err();
        let waiting = write();
        let free = async { other.batch_execute("COMMIT").unwrap() };
        tokio::join!(async { waiting.await.unwrap() }, free);
    }

    #[tokio::test]
    async fn positions_are_not_given_out_again_after_the_machine_went_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        drop(open(&folder));
        let mut connection = connect(&path, Duration::from_secs(1)).unwrap();
        let head = |connection: &mut SqliteConnection| super::super::read::info(connection).unwrap().head;
        connection.batch_execute("UPDATE log_head SET head = 7").unwrap();
        drop(Writer::open(&path, Duration::from_secs(1)).unwrap());
        assert_eq!(head(&mut connection), 7, "another process of the same boot");
        connection.batch_execute("UPDATE log_head SET boot = 'an earlier one'").unwrap();
        drop(Writer::open(&path, Duration::from_secs(1)).unwrap());
        assert!(head(&mut connection) > 1_000_000_000);
    }
}
