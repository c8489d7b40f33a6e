//! The thread that brings what was committed to the disk, a moment later, for many commits at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::store::log::{Generation, Synced, now_ms};

/// What has reached the disk. Cheap to clone.
#[derive(Clone)]
pub struct Disk {
    wal: Arc<Wal>,
    requests: Sender<()>,
}

/// The write-ahead log's file.
struct Wal {
    file: File,
    committed: AtomicU64,
    synced: watch::Sender<Synced>,
    /// ms since 1970 at which the sync under way began; 0 without one.
    syncing_since: AtomicI64,
}

impl Disk {
    /// What was committed is brought to the disk this far apart, so that many commits share it.
    const PACE: Duration = Duration::from_millis(2);
    /// A sync that takes longer is a sign of a disk that may make a commit wait as well.
    const LATE_MS: i64 = 20;

    pub fn watch(database: &Path) -> std::io::Result<Self> {
        let database = database.canonicalize()?;
        let mut path = database.clone().into_os_string();
        path.push("-wal");
        let file = File::open(PathBuf::from(path))?;
        // A new file is on the disk once its folder is.
        if let Some(folder) = database.parent() {
            File::open(folder)?.sync_all()?;
        }
        let (committed, syncing_since) = (AtomicU64::new(0), AtomicI64::new(0));
        let wal = Arc::new(Wal { file, committed, synced: watch::Sender::default(), syncing_since });
        let (requests, waiting) = channel();
        let followed = wal.clone();
        // It ends with the last of the senders.
        thread::Builder::new().name("store-disk".to_owned()).spawn(move || follow(&waiting, &followed))?;
        Ok(Self { wal, requests })
    }

    /// Counts a commit; it will be on the disk soon.
    pub fn committed(&self) -> Generation {
        let generation = self.wal.committed.fetch_add(1, Ordering::AcqRel) + 1;
        // The thread lives as long as this does.
        self.requests.send(()).ok();
        generation
    }

    /// Counts a commit and brings it to the disk before it returns.
    pub fn committed_and_synced(&self) -> Generation {
        let generation = self.wal.committed.fetch_add(1, Ordering::AcqRel) + 1;
        self.wal.sync(generation);
        generation
    }

    pub fn synced(&self) -> watch::Receiver<Synced> {
        self.wal.synced.subscribe()
    }

    pub fn is_late(&self) -> bool {
        let since = self.wal.syncing_since.load(Ordering::Relaxed);
        since != 0 && now_ms() - since > Self::LATE_MS
    }
}

fn follow(requests: &Receiver<()>, wal: &Wal) {
    let mut last = Instant::now();
    while requests.recv().is_ok() {
        pause(Disk::PACE.saturating_sub(last.elapsed()));
        while requests.try_recv().is_ok() {}
        last = Instant::now();
        let generation = wal.committed.load(Ordering::Acquire);
        if wal.synced.borrow().through < generation {
            wal.sync(generation);
        }
    }
}

impl Wal {
    /// Everything that was committed before is on the disk when this returns, or is known not to be.
    fn sync(&self, generation: Generation) {
        self.syncing_since.store(now_ms(), Ordering::Relaxed);
        let outcome = self.file.sync_data();
        self.syncing_since.store(0, Ordering::Relaxed);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the disk does not take what was committed");
        }
        self.synced.send_modify(|synced| {
            synced.through = synced.through.max(generation);
            if outcome.is_err() {
                synced.lost_through = synced.lost_through.max(generation);
            }
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when a lock is free; and commits share a sync by waiting")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
