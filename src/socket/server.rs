//! The Socket.IO server: how it is set up, and what all connections share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engineioxide::service::NotFoundService;
use ipnet::IpNet;
use serde_json::Value;
use socketioxide::extract::{HttpExtension, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::service::SocketIoService;
use socketioxide::{ParserConfig, SocketIo};

use super::admin_ui::AdminUi;
use super::connection::Backlog;
use super::handshake::HandshakeTimer;
use super::link::{Link, Links};
use super::origin::Origins;
use super::reception::{Reception, open};
use crate::access::quota::one_client;
use crate::access::{AdminAccess, Exhausted, Permit, Quota, Tokens};
use crate::actors::session::SessionServices;
use crate::config::{Config, SocketConfig};

/// Everything that connections share. One for an instance.
pub struct SocketServer {
    pub service: SocketIoService<NotFoundService>,
    pub links: Arc<Links>,
    pub origins: Origins,
    pub trusted_proxies: Vec<IpNet>,
    pub config: SocketConfig,
    pub services: Arc<SessionServices>,
    pub backlog: Arc<Backlog>,
    pub handshakes: HandshakeTimer,
    /// How long a request's body may take.
    pub request_patience: Duration,
    /// Engine.IO sessions, by address.
    sessions: Arc<Quota<IpAddr>>,
    draining: Arc<AtomicBool>,
}

/// Packets that may wait in socketioxide's queue for one client. Bytes are bounded apart, by `MAX_OUTBOX`.
const MAX_QUEUED_PACKETS: usize = 16_384;
/// The websocket library keeps such a buffer for each connection. It does not bound how much a read takes from
/// the socket: see `Connection::poll_read`.
const READ_BUFFER: usize = 128;
/// The largest number of attachments that is read at all; none is ever accepted.
const MAX_ATTACHMENTS: usize = 16;

impl SocketServer {
    /// `draining` is set once the instance stops: nobody new is let in then.
    pub fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        services: Arc<SessionServices>,
        draining: Arc<AtomicBool>,
        admin: Arc<AdminAccess>,
    ) -> Self {
        let limits = &config.limits;
        let sessions = Quota::new(limits.max_connections, limits.max_connections_per_address);
        let request_patience = limits.request_timeout;
        let handshakes = HandshakeTimer::new(limits.handshake_timeout, services.metrics.clone());
        // The library's own come after ours, which are counted, and clean up behind them.
        let library_patience = limits.handshake_timeout + Duration::from_secs(1);
        let origins = Origins::new(config.server.allowed_origins.clone());
        let trusted_proxies = config.server.trusted_proxies.clone();
        let config = config.socket.clone();
        // Up to twice the limit a message gets an answer; past that its connection is closed.
        let max_message = config.max_payload * 2;
        let parser =
            ParserConfig::common().max_incoming_binaries(MAX_ATTACHMENTS).max_incoming_binary_buf_size(max_message);
        let (service, io) = SocketIo::builder()
            .with_parser(parser)
            .req_path("/socket.io")
            .ping_interval(config.ping_interval)
            .ping_timeout(config.ping_timeout)
            .connect_timeout(library_patience)
            .upgrade_timeout(library_patience)
            .max_payload(max_message as u64)
            .ws_max_message_size(max_message)
            .ws_max_frame_size(max_message)
            .ws_read_buffer_size(READ_BUFFER)
            .max_buffer_size(MAX_QUEUED_PACKETS)
            .build_svc();
        let reception = Arc::new(Reception {
            tokens: tokens.clone(),
            config: config.clone(),
            services: services.clone(),
            handshakes: handshakes.clone(),
        });
        let greet = {
            let reception = reception.clone();
            async move |socket: SocketRef, link: HttpExtension<Arc<Link>>, auth: TryData<Value>| {
                reception.receive(socket, link.0, auth.0.ok()).await
            }
        };
        io.ns("/", (async |socket: SocketRef| open(&socket)).with(greet));
        AdminUi::serve(&io, admin, tokens, services.clone(), handshakes.clone());
        let (links, backlog) = (Arc::default(), Arc::default());
        Self {
            service,
            links,
            origins,
            trusted_proxies,
            config,
            services,
            backlog,
            handshakes,
            request_patience,
            sessions,
            draining,
        }
    }

    /// A place for one more Engine.IO session of this client.
    ///
    /// # Errors
    /// Where there are as many as there may be.
    pub fn sessions_of(&self, client: Option<IpAddr>) -> Result<Permit<IpAddr>, Exhausted> {
        self.sessions.take(client.map(one_client)).inspect_err(|met| {
            self.services.metrics.limited(match met {
                Exhausted::InAll => "connections",
                Exhausted::ForOne => "connections_per_address",
            });
        })
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
