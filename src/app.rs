//! The composition root: starts every part and ties it to the others. Production and
//! tests go through the same [`App::build`].

use std::future::Future;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Arbiter;
use actix_cors::Cors;
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_rt::net::TcpStream;
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web;
use anyhow::{Context, anyhow};
use ipnet::IpNet;
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use crate::access::quota::one_client;
use crate::access::{AdminAccess, Exhausted, Pids, Policy, Quota, RateLimit, Tokens};
use crate::actors::cluster_bridge::Cluster;
use crate::actors::insight::Census;
use crate::actors::messages::AudienceStarted;
use crate::actors::sequencer::LogView;
use crate::actors::session::Sampler;
use crate::actors::session::{Directory, PublishIds, SessionServices};
use crate::actors::{Audience, AuditTrail, Registry, RevocationMonitor, RightsMonitor, Sequencer, supervision};
use crate::bus::relay::Seal;
use crate::config::{Config, DatabaseConfig, LimitsConfig};
use crate::http::{self, HttpState, demo::Demo};
use crate::shutdown;
use crate::socket::guarded::{GuardedStream, HeadDeadline, Patience};
use crate::socket::worker::Worker;
use crate::socket::{SocketServer, handover};
use crate::store::log::{LogInfo, StoredEvent};
use crate::store::{Store, migrations};
use crate::telemetry::{Lateness, Metrics};

/// Events that are in memory from the start, for clients that come back after a restart.
const NEWEST: usize = 10_000;
/// How long a room stays that nobody is in.
const ROOM_IDLE: Duration = Duration::from_mins(1);
/// Handshakes that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 8192;
/// How often tables that grow with use are swept.
const UPKEEP: Duration = Duration::from_secs(5);

/// An instance that has its database open and its port bound.
pub struct App {
    config: Config,
    store: Store,
    policy: Arc<Policy>,
    log: Resumed,
    listener: TcpListener,
    /// Serves the demo's pages and its backend.
    demo: bool,
    room_idle: Duration,
    house: Arc<OnceLock<House>>,
}

/// Where the log goes on.
#[derive(Clone)]
struct Resumed {
    log: LogInfo,
    newest: Vec<StoredEvent>,
}

/// Reaches the running parts of an instance; tests look inside with it.
#[derive(Clone)]
pub struct Inside(Arc<OnceLock<House>>);

impl Inside {
    /// `None` until the first worker has started.
    pub fn services(&self) -> Option<&SessionServices> {
        self.0.get().map(|house| &*house.services)
    }
}

/// The parts that the worker threads share, made by the first of them.
struct House {
    services: Arc<SessionServices>,
    socket: Arc<SocketServer>,
    /// TCP connections, by address.
    connections: Arc<Quota<IpAddr>>,
    tokens: Arc<Tokens>,
    admin: Arc<AdminAccess>,
}

impl App {
    /// Opens the database, brings it up to date, then binds the port. Blocks.
    ///
    /// # Errors
    /// What the operator has to mend, in one line.
    pub fn build(config: Config, demo: bool) -> anyhow::Result<Self> {
        supervision::install_panic_hook();
        let policy = load_policy(&config)?;
        migrate(&config.database)?;
        if demo {
            crate::demo::seed(&config.database).context("the sample restaurant cannot be set up")?;
        }
        let store =
            Store::open(&config.database, &config.log).context("DATABASE_URL: the database cannot be opened")?;
        let (log, newest) = store.block_on(store.resume_log(NEWEST)).context("DATABASE_URL: the log cannot be read")?;
        let address = SocketAddr::new(config.server.host, config.server.port);
        let listener = listen(address).map_err(|error| anyhow!("PORT: cannot listen on {address}: {error}"))?;
        let log = Resumed { log, newest };
        Ok(Self { config, store, policy, log, listener, demo, room_idle: ROOM_IDLE, house: Arc::default() })
    }

    /// Lets rooms that nobody is in go sooner.
    #[must_use]
    pub fn with_room_idle(mut self, idle: Duration) -> Self {
        self.room_idle = idle;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    pub fn inside(&self) -> Inside {
        Inside(self.house.clone())
    }

    /// Serves until `stop` resolves, then drains. To be called within an actix `System`.
    ///
    /// # Errors
    /// Where the server cannot start or fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let address = self.address()?;
        let drain = self.config.server.drain;
        let workers = self.config.server.workers;
        let draining = Arc::new(AtomicBool::new(false));
        let directory = Arc::new(Directory::default());
        let house = self.house.clone();
        let stopped_inside = Arc::new(Notify::new());
        let server = self.serve(draining.clone(), directory.clone(), stopped_inside.clone())?;
        let handle = server.handle();
        let running = actix_rt::spawn(server);
        tracing::info!(%address, workers, "listening");
        tokio::select! {
            () = stop => {}
            () = stopped_inside.notified() => {}
        }
        let inside = Inside(house);
        shutdown::drain(&directory, inside.services(), &draining, drain).await;
        handle.stop(false).await;
        running.await?.map_err(Into::into)
    }

    fn serve(
        self,
        draining: Arc<AtomicBool>,
        directory: Arc<Directory>,
        stop: Arc<Notify>,
    ) -> anyhow::Result<actix_server::Server> {
        let Self { config, store, policy, log, listener, demo, room_idle, house } = self;
        let workers = config.server.workers;
        let next_worker = Arc::new(AtomicUsize::new(0));
        // Runs once on each worker's thread.
        let factory = move || {
            // The first worker to come here starts the registry, and with it all rooms, on its own thread.
            let house =
                house.get_or_init(|| House::found(&config, &store, &policy, &log, room_idle, &draining, &directory));
            house.settle_worker(next_worker.fetch_add(1, Ordering::Relaxed));
            let demo = demo.then(|| Demo { services: house.services.clone(), tokens: house.tokens.clone() });
            let state = HttpState {
                services: house.services.clone(),
                tokens: house.tokens.clone(),
                draining: draining.clone(),
                max_payload: config.socket.max_payload,
                request_patience: config.limits.request_timeout,
                admin: house.admin.clone(),
                stop: stop.clone(),
            };
            serve_worker(&config, state, house, demo)
        };
        let server = actix_server::Server::build()
            .workers(workers)
            .disable_signals()
            .max_concurrent_connections(usize::MAX)
            .listen("expeditor", listener, factory)?;
        Ok(server.run())
    }
}

impl House {
    fn found(
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
    fn settle_worker(&self, index: usize) {
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

/// One worker's HTTP service; upgrades leave it for [`handover`].
fn serve_worker(
    config: &Config,
    state: HttpState,
    house: &House,
    demo: Option<Demo>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<> {
    let (state, demo) = (web::Data::new(state), demo.map(web::Data::new));
    let socket = house.socket.clone();
    let polling = web::Data::from(socket.clone());
    let app = actix_web::App::new()
        .wrap(cors(&config.server.allowed_origins))
        .wrap_fn(|request, next| {
            request.conn_data::<HeadDeadline>().into_iter().for_each(HeadDeadline::met);
            next.call(request)
        })
        .configure(move |routes| http::configure(routes, state, polling, demo));
    let upgrade = fn_service(move |(request, framed)| {
        let socket = socket.clone();
        async move {
            handover::hand_over(&socket, request, framed).await;
            Ok::<_, actix_http::Error>(())
        }
    });
    let patience = Patience::from(&config.limits);
    let http = HttpService::build()
        .keep_alive(patience.keep_alive())
        // Each connection has deadlines of its own, for every request and not the first alone.
        .client_request_timeout(Duration::ZERO)
        .on_connect_ext(|stream: &GuardedStream, extensions| {
            extensions.insert(stream.head_deadline());
        })
        .upgrade(upgrade)
        .h1(map_config(app, |()| AppConfig::default()));
    let (connections, proxies) = (house.connections.clone(), config.server.trusted_proxies.clone());
    let metrics = house.services.metrics.clone();
    fn_service(move |stream: TcpStream| {
        let admitted = admit(stream, &connections, &proxies, patience, &metrics);
        std::future::ready(admitted)
    })
    .and_then(http)
}

/// Takes a connection in, or closes it at once: its client comes back later.
fn admit(
    stream: TcpStream,
    connections: &Arc<Quota<IpAddr>>,
    proxies: &[IpNet],
    patience: Patience,
    metrics: &Arc<Metrics>,
) -> Result<(GuardedStream, Option<SocketAddr>), DispatchError> {
    send_at_once(&stream);
    let peer = stream.peer_addr().ok();
    // A proxy's connections are many clients'; each of those is counted by its session.
    let client = peer.map(|peer| peer.ip()).filter(|peer| !proxies.iter().any(|network| network.contains(peer)));
    let place = connections.take(client.map(one_client)).map_err(|met| {
        metrics.limited(match met {
            Exhausted::InAll => "connections",
            Exhausted::ForOne => "connections_per_address",
        });
        DispatchError::Io(std::io::Error::other(met))
    })?;
    Ok((GuardedStream::new(stream, place, patience, metrics.clone()), peer))
}

/// Without this the kernel holds a small frame back until the one before it is acknowledged,
/// up to 40 ms. (actix-http 3.20 takes a `tcp_nodelay` setting, and does not apply it to plain TCP.)
fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}

/// For pages of the allowed origins, with credentials; others get no CORS headers, as in the specification.
fn cors(allowed: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allow_any_header()
        .supports_credentials()
        .block_on_origin_mismatch(false)
        .max_age(3600);
    allowed.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The standard library's own listener queues 128 handshakes; what comes in the same moment
/// past them is dropped by the kernel, and tries again a second later.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A port whose last connections are still being forgotten can be taken again at once.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn load_policy(config: &Config) -> anyhow::Result<Arc<Policy>> {
    let file = config.auth.policy_file.as_deref();
    let policy = Policy::load(file).map_err(|fault| {
        let name = file.map(|file| file.display().to_string()).unwrap_or_default();
        anyhow!("POLICY_FILE: {name}: {fault}; it takes a file like policies/default.datalog")
    })?;
    Ok(Arc::new(policy))
}

/// Applies the migrations that the database lacks: nobody else would.
fn migrate(config: &DatabaseConfig) -> anyhow::Result<()> {
    for migration in migrations::run(config).context("DATABASE_URL: the database cannot be brought up to date")? {
        tracing::info!(migration, "applied");
    }
    Ok(())
}
