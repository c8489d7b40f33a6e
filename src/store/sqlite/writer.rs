//! The one thread that writes to the embedded database, and the one that brings what was written to the disk.
//! A batch is committed in the write-ahead log without waiting for the disk, where it survives the death of
//! the process; the disk follows at once where whoever waits asks for it, and a moment later otherwise.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use tokio::sync::{oneshot, watch};

use super::{append, connection};
use crate::store::StoreError;
use crate::store::log::{Generation, Synced, now_ms};

type Job = Box<dyn FnOnce(&mut SqliteConnection) + Send>;

/// The writing connection and what is known of the disk.
pub struct Writer {
    jobs: SyncSender<Job>,
    disk: Disk,
}

/// What has reached the disk. Cheap to clone.
#[derive(Clone)]
pub struct Disk {
    wal: Arc<File>,
    committed: Arc<AtomicU64>,
    /// Up to which commit everything is on the disk; `Err` with it where the disk refused it.
    synced: watch::Sender<Synced>,
    requests: Sender<()>,
}

impl Writer {
    /// Jobs that may wait; there is one batch at a time, and what keeps the house.
    const MAX_JOBS: usize = 64;

    /// Opens the file once more, for writing.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let broken = |error: &dyn std::fmt::Display| StoreError::Connection(error.to_string());
        let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| broken(&error))?;
        let pragmas = connection::pragmas(busy_timeout, "NORMAL");
        diesel::connection::SimpleConnection::batch_execute(&mut connection, &pragmas)?;
        append::note_boot(&mut connection, &boot_id())?;
        let disk = Disk::watch(path).map_err(|error| broken(&error))?;
        let (jobs, queue) = sync_channel::<Job>(Self::MAX_JOBS);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&mut connection)))
            .map_err(|error| broken(&error))?;
        Ok(Self { jobs, disk })
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Runs `work` on the writing connection, after what was asked for before. It is carried through even when
    /// nobody waits any longer.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'static {
        let jobs = self.jobs.clone();
        async move {
            let (done, outcome) = oneshot::channel();
            let job: Job = Box::new(move |connection| {
                // Who asked may have gone.
                done.send(work(connection)).ok();
            });
            jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Timeout,
                TrySendError::Disconnected(_) => StoreError::Connection("the writing thread has ended".to_owned()),
            })?;
            let outcome = outcome.await.map_err(|_| StoreError::Connection("a write died".to_owned()))?;
            Ok(outcome?)
        }
    }
}

impl Disk {
    /// What was committed is brought to the disk this far apart, so that many commits share it.
    const PACE: Duration = Duration::from_millis(2);

    fn watch(database: &Path) -> std::io::Result<Self> {
        let database = database.canonicalize()?;
        let mut wal = database.clone().into_os_string();
        wal.push("-wal");
        let wal = Arc::new(File::open(PathBuf::from(wal))?);
        // A new file is on the disk once its folder is.
        if let Some(folder) = database.parent() {
            File::open(folder)?.sync_all()?;
        }
        let (requests, waiting) = channel();
        let disk = Self { wal, committed: Arc::default(), synced: watch::Sender::default(), requests };
        // The thread ends with the last of the senders.
        let (wal, committed, synced) = (disk.wal.clone(), disk.committed.clone(), disk.synced.clone());
        thread::Builder::new()
            .name("store-disk".to_owned())
            .spawn(move || follow(&waiting, &wal, &committed, &synced))?;
        Ok(disk)
    }

    /// Counts a commit; it will be on the disk soon.
    pub fn committed(&self) -> Generation {
        let generation = self.committed.fetch_add(1, Ordering::AcqRel) + 1;
        // The thread lives as long as this does.
        self.requests.send(()).ok();
        generation
    }

    /// Counts a commit and brings it to the disk before it returns.
    pub fn committed_and_synced(&self) -> Generation {
        let generation = self.committed.fetch_add(1, Ordering::AcqRel) + 1;
        bring(&self.wal, generation, &self.synced);
        generation
    }

    pub fn synced(&self) -> watch::Receiver<Synced> {
        self.synced.subscribe()
    }
}

fn follow(requests: &Receiver<()>, wal: &File, committed: &AtomicU64, synced: &watch::Sender<Synced>) {
    let mut last = Instant::now();
    while requests.recv().is_ok() {
        let wait = Disk::PACE.saturating_sub(last.elapsed());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
        while requests.try_recv().is_ok() {}
        last = Instant::now();
        let generation = committed.load(Ordering::Acquire);
        if synced.borrow().through < generation {
            bring(wal, generation, synced);
        }
    }
}

/// Everything that was committed before is on the disk when this returns, or is known not to be.
fn bring(wal: &File, generation: Generation, synced: &watch::Sender<Synced>) {
    let outcome = wal.sync_data();
    if let Err(error) = &outcome {
        tracing::error!(%error, "the disk does not take what was committed");
    }
    synced.send_modify(|synced| {
        synced.through = synced.through.max(generation);
        if outcome.is_err() {
            synced.lost_through = synced.lost_through.max(generation);
        }
    });
}

/// What tells one boot of the machine from any other; on a system that does not say, every start counts as one.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| format!("start {}", now_ms()), |id| id.trim().to_owned())
}
