//! The connection to Redis: one that subscribes and one that publishes, each made again by itself.
//!
//! Nothing here waits for Redis on behalf of an event: what is to be published goes into a bounded
//! queue, and what does not fit is left out and counted. The log has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::Pool;
use futures_util::future::BoxFuture;
use redis::{Client, ConnectionInfo};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::subscriber::Subscriber;
use super::{adapter, relay};

/// What came on a channel.
#[derive(Debug)]
pub struct Incoming {
    pub channel: String,
    pub body: Vec<u8>,
}

struct Outgoing {
    channel: String,
    body: Vec<u8>,
}

/// Takes what came. The next is offered when this has been dealt with.
pub type Sink = Arc<dyn Fn(Vec<Incoming>) -> BoxFuture<'static, ()> + Send + Sync>;

/// What is known of the connections.
#[derive(Default)]
pub struct Counts {
    /// Bytes that wait to be published.
    waiting: AtomicUsize,
    /// Frames that were put into the queue, and those of them that Redis has taken or that are lost.
    queued: AtomicU64,
    settled: AtomicU64,
    /// Batches that Redis did not take, one after the other.
    failures: AtomicU32,
    /// A batch was published, or not.
    tried: Notify,
    /// What could not be published, or came faster than it could be taken.
    pub lost: AtomicU64,
}

#[derive(Clone)]
pub struct Bus {
    queue: mpsc::Sender<Outgoing>,
    counts: Arc<Counts>,
    /// Whether what Node servers publish is subscribed to.
    node_events: Arc<watch::Sender<bool>>,
    /// Whether Redis has taken the subscription to it.
    heard: Arc<watch::Sender<bool>>,
    /// Counts up where the connections are to be made anew.
    generation: Arc<watch::Sender<u64>>,
    pool: Pool<RedisConnectionManager>,
}

impl Bus {
    const MAX_FRAMES: usize = 8_192;
    const MAX_WAITING: usize = 64 * 1024 * 1024;
    /// What came and was not taken yet, in bytes. Past it the subscription begins anew, and the log is read.
    pub(super) const MAX_UNTAKEN: usize = 64 * 1024 * 1024;
    /// After as many batches that Redis did not take nobody waits for it to take the next.
    const GIVEN_UP: u32 = 2;
    /// How long Redis may take for an answer.
    pub(super) const PATIENCE: Duration = Duration::from_secs(1);
    pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(50);
    pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);

    /// Connects, in its own time, and goes on doing so. To be called within a runtime.
    ///
    /// # Panics
    /// Never: what it is given has been read as the address of a Redis.
    pub fn start(info: ConnectionInfo, sink: Sink) -> Self {
        // Another part of the process may have chosen before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::open(info.clone()).expect("it is a connection's");
        let pool = Pool::builder()
            .max_size(2)
            .connection_timeout(Self::PATIENCE)
            .build_unchecked(RedisConnectionManager::new(info).expect("it is a connection's"));
        let (queue, queued) = mpsc::channel(Self::MAX_FRAMES);
        let bus = Self {
            queue,
            counts: Arc::default(),
            node_events: Arc::new(watch::channel(false).0),
            heard: Arc::new(watch::channel(false).0),
            generation: Arc::new(watch::channel(0).0),
            pool: pool.clone(),
        };
        tokio::spawn(publish(pool, queued, bus.counts.clone()));
        let subscriber = Subscriber {
            client,
            sink,
            counts: bus.counts.clone(),
            node_events: bus.node_events.subscribe(),
            heard: bus.heard.clone(),
            generation: bus.generation.subscribe(),
        };
        tokio::spawn(subscriber.run());
        bus
    }

    /// Puts it behind what waits to be published; `false` where too much does.
    pub fn publish(&self, channel: impl Into<String>, body: impl Into<Vec<u8>>) -> bool {
        let body = body.into();
        let bytes = body.len();
        let waiting = self.counts.waiting.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let fits = waiting <= Self::MAX_WAITING;
        if fits && self.queue.try_send(Outgoing { channel: channel.into(), body }).is_ok() {
            self.counts.queued.fetch_add(1, Ordering::AcqRel);
            return true;
        }
        self.counts.waiting.fetch_sub(bytes, Ordering::AcqRel);
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Resolves once nothing is left of what has been put into the queue so far; `false` where Redis takes nothing.
    pub async fn has_sent(&self) -> bool {
        let queued = self.counts.queued.load(Ordering::Acquire);
        loop {
            let tried = self.counts.tried.notified();
            if self.counts.settled.load(Ordering::Acquire) >= queued {
                return true;
            }
            if self.counts.failures.load(Ordering::Acquire) >= Self::GIVEN_UP {
                return false;
            }
            tried.await;
        }
    }

    /// Resolves once so little waits to be published that an answer of any size has room.
    pub async fn has_room(&self) {
        loop {
            let tried = self.counts.tried.notified();
            if self.counts.waiting.load(Ordering::Acquire) <= Self::MAX_WAITING / 4 {
                return;
            }
            tried.await;
        }
    }

    /// Frames that were left out since the start.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Whether to be sent what Node servers publish to rooms.
    pub fn hear_node_events(&self, hear: bool) {
        self.node_events.send_if_modified(|before| std::mem::replace(before, hear) != hear);
    }

    /// Whether all that Node servers publish from now on comes here.
    pub fn is_hearing_node_events(&self) -> bool {
        *self.heard.borrow()
    }

    /// Resolves once it does.
    pub async fn hears_node_events(&self) {
        // Its sender is this.
        drop(self.heard.subscribe().wait_for(|heard| *heard).await);
    }

    /// The subscription begins anew: it does not bring what it should.
    pub fn renew(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// How many listen to the adapter's requests who are no instance of ours: Node servers. `None` where
    /// Redis does not say.
    pub async fn count_node_servers(&self) -> Option<u64> {
        let mut connection = self.pool.get().await.ok()?;
        let mut asking = redis::cmd("PUBSUB");
        asking.arg("NUMSUB").arg(adapter::REQUESTS).arg(relay::CONTROL);
        let asked = timeout(Self::PATIENCE, asking.query_async::<(String, u64, String, u64)>(&mut *connection));
        let (_, all, _, ours) = asked.await.ok()?.ok()?;
        Some(all.saturating_sub(ours))
    }
}

/// Publishes what is queued, many in one round trip.
async fn publish(pool: Pool<RedisConnectionManager>, mut queued: mpsc::Receiver<Outgoing>, counts: Arc<Counts>) {
    const AT_ONCE: usize = 256;
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut connection = None;
    while queued.recv_many(&mut batch, AT_ONCE).await > 0 {
        let bytes: usize = batch.iter().map(|frame| frame.body.len()).sum();
        let mut pipe = redis::pipe();
        for Outgoing { channel, body } in &batch {
            pipe.cmd("PUBLISH").arg(channel).arg(body).ignore();
        }
        if connection.is_none() {
            connection = pool.get().await.ok();
        }
        let published = match &mut connection {
            Some(open) => {
                timeout(Bus::PATIENCE, pipe.query_async::<()>(&mut **open)).await.is_ok_and(|done| done.is_ok())
            }
            None => false,
        };
        if published {
            counts.failures.store(0, Ordering::Release);
        } else {
            connection = None;
            counts.failures.fetch_add(1, Ordering::AcqRel);
            counts.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
            sleep(Bus::SHORTEST_WAIT).await;
        }
        counts.waiting.fetch_sub(bytes, Ordering::AcqRel);
        counts.settled.fetch_add(batch.len() as u64, Ordering::AcqRel);
        counts.tried.notify_waiters();
        batch.clear();
    }
}
