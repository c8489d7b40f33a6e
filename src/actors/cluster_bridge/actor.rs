//! The bridge's actor: its messages, its pulse, and how it comes back after a failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::Semaphore;

use super::intake;
use super::lease::Lease;
use super::{Announcement, Cluster};
use crate::actors::cluster_messages::{BridgeStarted, Stored, WentOut};
use crate::actors::insight::{Post, State};
use crate::actors::messages::ProvokePanic;
use crate::actors::session::SessionServices;
use crate::actors::supervision;
use crate::bus::Garbage;
use crate::bus::redis::{Bus, Incoming};
use crate::bus::relay::Fact;

pub struct ClusterBridge {
    pub(super) cluster: Arc<Cluster>,
    pub(super) services: Arc<SessionServices>,
    pub(super) bus: Bus,
    /// Under which Node servers know this instance.
    pub(super) uid: String,
    /// When something of its own last came back through Redis.
    pub(super) echoed: Instant,
    renewed: Instant,
    /// Node servers that listen; `None` where it is not known, and they may.
    pub(super) node_servers: Option<u64>,
    pub(super) lease: Lease,
    /// Places for events of Node servers that are on their way to be stored.
    pub(super) intake: Arc<Semaphore>,
    /// Bytes that the sequencer was sent since it was last known to have handled all.
    pub(super) unhandled: usize,
    lost: u64,
    /// When each kind of garbage was last written to the log.
    complained: HashMap<Garbage, Instant>,
}

/// What came through Redis. Answered once it has been dealt with, or a little is yet to be, so that no more comes than can be.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Received(pub Vec<Incoming>);

/// The instance stops: others take over what it does for all.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave;

impl ClusterBridge {
    /// How often it makes itself heard.
    const PULSE: Duration = Duration::from_millis(500);
    /// Without an echo for so long the relay is not open.
    const SILENCE: Duration = Duration::from_millis(2_500);
    /// Past this nothing more is taken in until the sequencer has handled what it was sent. To ask it for each frame would
    /// wake this thread once more for each.
    pub(super) const MAX_UNHANDLED: usize = 256 * 1024;
    const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

    /// Starts it on this thread, in the place of one that has failed, too.
    pub(super) fn start(cluster: &Arc<Cluster>, services: &Arc<SessionServices>) {
        let (cluster, services) = (cluster.clone(), services.clone());
        let listed = cluster.clone();
        let probe = services.census.bridge.clone();
        let bridge = Self::create(move |ctx| {
            let address = ctx.address();
            let sink = Arc::new(move |incoming| {
                let taken = address.send(Received(incoming));
                // A bridge that is gone takes nothing; the one after it subscribes for itself.
                Box::pin(async move { taken.await.unwrap_or_default() }) as futures_util::future::BoxFuture<'static, ()>
            });
            let bus = Bus::start(cluster.to.connection.clone(), sink);
            let long_ago = Instant::now();
            Self {
                uid: crate::bus::adapter::uid(cluster.instance),
                bus,
                echoed: long_ago,
                renewed: long_ago,
                node_servers: None,
                lease: Lease::default(),
                intake: Arc::new(Semaphore::new(intake::MAX_UNDERWAY)),
                unhandled: 0,
                lost: 0,
                complained: HashMap::new(),
                cluster,
                services,
            }
        });
        *listed.bridge.lock() = Some(Post::new(bridge, probe));
    }

    fn pulse(&mut self, ctx: &mut Context<Self>) {
        let head = self.services.view.head();
        self.tell_peers(Fact::Alive { head, lease: self.lease.is_held() });
        let silent = self.echoed.elapsed();
        if silent > Self::SILENCE && self.renewed.elapsed() > Self::SILENCE {
            self.renewed = Instant::now();
            self.bus.renew();
        }
        if silent > Self::SILENCE {
            self.set_connected(false);
        }
        self.report(silent);
        let bus = self.bus.clone();
        let counting = async move { bus.count_node_servers().await };
        ctx.spawn(counting.into_actor(self).map(|servers, bridge, _| bridge.node_servers = servers));
        self.keep_lease(ctx);
    }

    fn report(&mut self, silent: Duration) {
        let metrics = &self.services.metrics.bridge;
        let lag = if silent > Self::SILENCE { silent } else { Duration::ZERO };
        metrics.lag.set(lag.max(self.services.view.lag()).as_secs_f64());
        metrics.node_servers.set(self.node_servers.unwrap_or_default() as f64);
        metrics.lease.set(f64::from(u8::from(self.lease.is_held())));
        let lost = self.bus.lost();
        metrics.lost.increment(lost - self.lost);
        self.lost = lost;
    }

    /// Something of its own has come back.
    pub(super) fn hear_echo(&mut self) {
        self.echoed = Instant::now();
        self.set_connected(true);
    }

    fn set_connected(&self, connected: bool) {
        if self.cluster.connected.swap(connected, Ordering::AcqRel) != connected {
            self.services.store.set_relayed(connected);
            self.services.view.set_relay_open(connected);
            self.services.metrics.bridge.connected.set(f64::from(u8::from(connected)));
            self.services.census.bridge.set_state(if connected { State::Running } else { State::Outage });
            if connected {
                tracing::info!("relaying through Redis");
            } else {
                tracing::warn!("Redis does not relay: other instances find events through the database");
            }
        }
    }

    /// Counts what was not taken, and says so once in a while.
    pub(super) fn ignore(&mut self, garbage: Garbage, channel: &str) {
        self.services.metrics.bridge.ignored(garbage.as_str());
        let now = Instant::now();
        let due = self.complained.get(&garbage).is_none_or(|at| now.duration_since(*at) > Self::COMPLAIN_EVERY);
        if due {
            self.complained.insert(garbage, now);
            // What a stranger wrote, and how long it is, is the stranger's choice.
            let channel: String = channel.chars().take(64).collect();
            tracing::warn!(cause = %garbage, channel, "something on Redis was ignored; more of it is only counted");
        }
    }
}

impl Actor for ClusterBridge {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (stored, went_out) = (ctx.address().recipient(), ctx.address().recipient());
        self.services.sequencer.do_send(BridgeStarted { stored, went_out });
        ctx.run_interval(Self::PULSE, |bridge, ctx| supervision::supervised(|| bridge.pulse(ctx)));
        self.pulse(ctx);
    }
}

// A panic ends the actor without a word: it starts itself again, on its thread.
impl Drop for ClusterBridge {
    fn drop(&mut self) {
        let Some(panic) = supervision::panic_of_this_thread() else { return };
        tracing::error!(panic, "the bridge panicked and was started again");
        self.services.census.bridge.note_restart(&panic);
        self.cluster.connected.store(false, Ordering::Release);
        self.services.store.set_relayed(false);
        self.services.view.set_relay_open(false);
        let (cluster, services) = (self.cluster.clone(), self.services.clone());
        Arbiter::current().spawn_fn(move || Self::start(&cluster, &services));
    }
}

impl Handler<Stored> for ClusterBridge {
    type Result = ();

    fn handle(&mut self, stored: Stored, _: &mut Self::Context) {
        let _handling = self.services.census.bridge.handling_other();
        supervision::supervised(|| self.relay_stored(stored));
    }
}

impl Handler<WentOut> for ClusterBridge {
    type Result = ();

    fn handle(&mut self, went_out: WentOut, _: &mut Self::Context) {
        let _handling = self.services.census.bridge.handling_other();
        supervision::supervised(|| self.relay_loose(went_out));
    }
}

impl Handler<Received> for ClusterBridge {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, received: Received, ctx: &mut Self::Context) -> Self::Result {
        let _handling = self.services.census.bridge.handling_other();
        supervision::supervised(|| self.take_in(received.0, ctx))
    }
}

impl Handler<Announcement> for ClusterBridge {
    type Result = ();

    fn handle(&mut self, announcement: Announcement, _: &mut Self::Context) {
        let _handling = self.services.census.bridge.handling();
        supervision::supervised(|| self.announce(&announcement));
    }
}

impl Handler<ProvokePanic> for ClusterBridge {
    type Result = ();

    fn handle(&mut self, _: ProvokePanic, _: &mut Self::Context) {
        let _handling = self.services.census.bridge.handling();
        supervision::supervised(|| panic!("provoked by a test"));
    }
}

impl Handler<Leave> for ClusterBridge {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Leave, _: &mut Self::Context) -> Self::Result {
        let _handling = self.services.census.bridge.handling();
        // What goes out last is told of with it: nobody is there to do it afterwards.
        self.services.store.set_relayed(false);
        self.give_lease_back()
    }
}
