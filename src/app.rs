//! The composition root: starts every part and ties it to the others. Production and
//! tests go through the same [`App::build`].

mod house;
mod serving;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;

use self::house::{House, Resumed};
use crate::access::Policy;
use crate::actors::session::{Directory, SessionServices};
use crate::actors::supervision;
use crate::config::{Config, DatabaseConfig};
use crate::http::{HttpState, demo::Demo};
use crate::shutdown;
use crate::store::log::PageLimit;
use crate::store::{Store, migrations};

/// What is in memory from the start, for clients that come back after a restart: half of what may be.
const NEWEST: PageLimit = PageLimit { events: 10_000, bytes: 32 * 1024 * 1024 };
/// How long a room stays that nobody is in.
const ROOM_IDLE: Duration = Duration::from_mins(1);
/// Handshakes that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 8192;

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

/// Reaches the running parts of an instance; tests look inside with it.
#[derive(Clone)]
pub struct Inside(Arc<OnceLock<House>>);

impl Inside {
    /// `None` until the first worker has started.
    pub fn services(&self) -> Option<&SessionServices> {
        self.0.get().map(|house| &*house.services)
    }
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
            serving::serve_worker(&config, state, house, demo)
        };
        let server = actix_server::Server::build()
            .workers(workers)
            .disable_signals()
            .max_concurrent_connections(usize::MAX)
            .listen("expeditor", listener, factory)?;
        Ok(server.run())
    }
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
