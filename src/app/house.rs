//! What the worker threads share, and what each of them has of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Arbiter;
use tokio::time::MissedTickBehavior;

use crate::access::{AdminAccess, Pids, Policy, Quota, RateLimit, Tokens};
use crate::actors::cluster_bridge::Cluster;
use crate::actors::insight::Census;
use crate::actors::messages::AudienceStarted;
use crate::actors::sequencer::LogView;
use crate::actors::session::{Directory, PublishIds, Sampler, SessionServices};
use crate::actors::{Audience, AuditTrail, Registry, RevocationMonitor, RightsMonitor, Sequencer};
use crate::bus::relay::Seal;
use crate::config::{Config, LimitsConfig};
use crate::socket::SocketServer;
use crate::socket::worker::Worker;
use crate::store::Store;
use crate::store::log::{LogInfo, StoredEvent};
use crate::telemetry::{Lateness, Metrics};

/// How often tables that grow with use are swept.
const UPKEEP: Duration = Duration::from_secs(5);

/// Where the log goes on.
#[derive(Clone)]
pub struct Resumed {
    pub log: LogInfo,
    pub newest: Vec<StoredEvent>,
}

/// The parts that the worker threads share, made by the first of them.
pub struct House {
    pub services: Arc<SessionServices>,
    pub socket: Arc<SocketServer>,
    /// TCP connections, by address.
    pub connections: Arc<Quota<IpAddr>>,
    pub tokens: Arc<Tokens>,
    pub admin: Arc<AdminAccess>,
}

impl House {
    pub fn found(
        config: &Config,
        store: &Store,
        policy: &Arc<Policy>,
        log: &Resumed,
        room_idle: Duration,
        draining: &Arc<AtomicBool>,
        directory: &Arc<Directory>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        store.measure(&metrics);
        let tokens = Arc::new(Tokens::new(&config.auth));
        let view = Arc::new(LogView::new(&log.log));
        let census = Arc::new(Census::default());
        let seal = Seal::new(log.log.log, &log.log.pid_secret);
        let cluster = config.redis.clone().map(|redis| Cluster::new(redis, config.socket.max_payload, seal));
        let newest = log.newest.clone();
        let sequencer = Sequencer::start(store.clone(), view.clone(), newest, metrics.clone(), census.clone());
        let services = Arc::new(SessionServices {
            registry: Registry::start(sequencer.clone(), room_idle, metrics.clone(), census.clone()),
            sequencer,
            view,
            pids: Pids::new(&log.log.pid_secret),
            log_limits: config.log.clone(),
            slow_patience: config.socket.slow_patience,
            rights: RightsMonitor::start(store.clone(), census.rights.clone()),
            revocations: RevocationMonitor::start(store.clone(), census.revocations.clone()),
            policy: policy.clone(),
            store: store.clone(),
            rate_limit: RateLimit::new(&config.limits),
            sessions: Quota::new(usize::MAX, config.limits.max_sessions_per_user),
            metrics: metrics.clone(),
            directory: directory.clone(),
            census,
            cluster: cluster.map(Arc::new),
            max_rooms: config.limits.max_rooms_per_session,
            publish_ids: PublishIds::default(),
            audit: AuditTrail::start(store.clone(), metrics.clone()),
        });
        let admin = Arc::new(AdminAccess::new(&config.admin, &config.limits));
        let socket = SocketServer::new(config, tokens.clone(), services.clone(), draining.clone(), admin.clone());
        keep_up(services.clone(), admin.clone());
        Cluster::start(&services);
        let LimitsConfig { max_connections, max_connections_per_address, .. } = config.limits;
        let connections = Quota::new(max_connections, max_connections_per_address);
        Self { services, socket: Arc::new(socket), connections, tokens, admin }
    }

    /// Starts what each worker thread has of its own.
    pub fn settle_worker(&self, index: usize) {
        let SessionServices { view, metrics, census, .. } = &*self.services;
        let audience = Audience::start(index, view.log, metrics.clone(), census.clone());
        self.services.registry.do_send(AudienceStarted { index, audience: audience.clone() });
        note_lateness(metrics.worker(index));
        Worker { arbiter: Arbiter::current(), audience, index }.settle();
    }
}

/// Sweeps what grows with use, for as long as the thread lives.
fn keep_up(services: Arc<SessionServices>, admin: Arc<AdminAccess>) {
    actix_rt::spawn(async move {
        let mut sampler = Sampler::default();
        let mut ticks = actix_rt::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            services.metrics.run_upkeep();
            services.rate_limit.forget_idle();
            admin.forget_idle();
            sampler.sample(&services);
        }
    });
}

/// Notes how late this thread comes to a timer, for as long as it lives.
fn note_lateness(lateness: Arc<Lateness>) {
    const EVERY: Duration = Duration::from_millis(250);
    actix_rt::spawn(async move {
        let mut ticks = actix_rt::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = ticks.tick().await;
            lateness.note(due.elapsed());
        }
    });
}
