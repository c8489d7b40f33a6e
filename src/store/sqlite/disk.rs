//! The thread that brings what was committed to the disk: at once where an acknowledgement waits for it, otherwise
//! a moment later; for many commits at a time in either case.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::store::log::{Generation, Synced, now_ms};

/// What has reached the disk. Cheap to clone.
#[derive(Clone)]
pub struct Disk {
    wal: Arc<Wal>,
    requests: Sender<Request>,
}

#[derive(PartialEq, Eq)]
enum Request {
    Now,
    Later,
}

/// The write-ahead log's file.
struct Wal {
    file: File,
    committed: AtomicU64,
    /// Somebody waits for a sync, and the thread has been told.
    wanted: AtomicBool,
    /// Something was committed since the last sync, and the thread has been told.
    due: AtomicBool,
    synced: watch::Sender<Synced>,
    /// ms since 1970 at which the sync under way began; 0 without one.
    syncing_since: AtomicI64,
}

impl Disk {
    /// Syncs that somebody waits for are this far apart, so that many commits share one.
    const PACE: Duration = Duration::from_millis(2);
    /// How long what nobody waits for may stay in the system's memory.
    const LATER: Duration = Duration::from_millis(100);
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
        let wal = Arc::new(Wal {
            file,
            committed: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            due: AtomicBool::new(false),
            synced: watch::Sender::default(),
            syncing_since: AtomicI64::new(0),
        });
        let (requests, waiting) = channel();
        let followed = wal.clone();
        // It ends with the last of the senders.
        thread::Builder::new().name("store-disk".to_owned()).spawn(move || follow(&waiting, &followed))?;
        Ok(Self { wal, requests })
    }

    /// Counts a commit; it will be on the disk soon.
    pub fn committed(&self) -> Generation {
        let generation = self.wal.committed.fetch_add(1, Ordering::AcqRel) + 1;
        if !self.wal.due.swap(true, Ordering::AcqRel) {
            self.request(Request::Later);
        }
        generation
    }

    /// Somebody waits for what was committed.
    pub fn hurry(&self) {
        if !self.wal.wanted.swap(true, Ordering::AcqRel) {
            self.request(Request::Now);
        }
    }

    fn request(&self, request: Request) {
        // The thread lives as long as this does.
        self.requests.send(request).ok();
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

fn follow(requests: &Receiver<Request>, wal: &Wal) {
    let mut last = Instant::now();
    while let Ok(request) = requests.recv() {
        if request == Request::Later {
            // Until then, or until somebody waits.
            requests.recv_timeout(Disk::LATER).ok();
        }
        pause(Disk::PACE.saturating_sub(last.elapsed()));
        while requests.try_recv().is_ok() {}
        // Before it is read how far to go, so that what is committed from here on is told anew.
        wal.due.store(false, Ordering::Release);
        wal.wanted.store(false, Ordering::Release);
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
