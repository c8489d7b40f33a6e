//! The Socket.IO server: who connects, and what becomes of them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use engineioxide::service::NotFoundService;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use socketioxide::extract::{HttpExtension, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::service::SocketIoService;
use socketioxide::socket::DisconnectReason;
use socketioxide::{ParserConfig, SocketIo};

use super::admin_ui::AdminUi;
use super::connection::Backlog;
use super::handshake::HandshakeTimer;
use super::intake::Intake;
use super::lane::Lane;
use super::link::{Link, Links};
use super::ordinary::Ordinary;
use super::origin::Origins;
use super::worker::Worker;
use crate::access::quota::one_client;
use crate::access::{AdminAccess, Decisions, Exhausted, Permit, Quota, Spender, TokenRefusal, Tokens};
use crate::actors::Session;
use crate::actors::messages::{Closed, Outlet};
use crate::actors::session::recovery::{self, Recovery};
use crate::actors::session::{NotIdentified, SessionSeed, SessionServices, identify};
use crate::config::{Config, SocketConfig};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity};
use crate::store::StoreError;

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

/// CONNECT has passed: what was held back may follow.
fn open(socket: &SocketRef) {
    if let Some(ordinary) = socket.extensions.get::<Arc<Ordinary>>() {
        ordinary.open();
    }
}

/// Lets clients in.
struct Reception {
    tokens: Arc<Tokens>,
    config: SocketConfig,
    services: Arc<SessionServices>,
    handshakes: HandshakeTimer,
}

/// What a client that is not let in is told, and no more.
#[derive(Debug)]
enum NotAdmitted {
    TokenRequired,
    Failed,
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenRequired => "Authentication token required",
            Self::Failed => "Authentication failed",
        })
    }
}

/// What of a client's auth object is read. Other types than these are no reason to fail on the whole.
#[derive(Default, Deserialize)]
struct Auth {
    token: Option<Value>,
    pid: Option<Value>,
    offset: Option<Value>,
}

/// Why it is not let in, for the log.
enum Cause {
    Missing,
    /// Its user has as many sessions as one may have.
    TooMany,
    NotIdentified(NotIdentified),
}

/// Who is let in.
struct Admitted {
    identity: Identity,
    expires_at: Option<SystemTime>,
    decisions: Decisions,
    recovery: Option<Recovery>,
    place: Option<Permit<Spender>>,
}

impl Reception {
    async fn receive(&self, socket: SocketRef, link: Arc<Link>, auth: Option<Value>) -> Result<(), NotAdmitted> {
        let auth = auth.and_then(|auth| serde_json::from_value(auth).ok()).unwrap_or_default();
        let outcome = async {
            let (identity, expires_at) = self.identify(&auth).await?;
            if !identity.is_backend() && !self.services.view.is_durable() {
                // In an outage nobody can be sent on from a place in the log; the client tries again.
                let outage = StoreError::Connection("events wait to be stored".to_owned());
                return Err(Cause::NotIdentified(outage.into()));
            }
            let place = Spender::of(&identity).map(|spender| self.services.sessions.take(Some(spender)));
            let place = place.transpose().map_err(|_| Cause::TooMany)?;
            let decisions = Decisions::new(self.services.policy.clone());
            let recovery = self.recover(&decisions, &identity, &auth).await;
            let recovery = recovery.map_err(|error| Cause::NotIdentified(error.into()))?;
            Ok(Admitted { identity, expires_at, decisions, recovery, place })
        };
        match outcome.await {
            Ok(admitted) => {
                self.admit(socket, link, admitted);
                Ok(())
            }
            Err(cause) => Err(self.refuse(&cause, &link)),
        }
    }

    async fn identify(&self, auth: &Auth) -> Result<(Identity, Option<SystemTime>), Cause> {
        let token = match &auth.token {
            None | Some(Value::Null) => return Err(Cause::Missing),
            Some(Value::String(token)) if token.is_empty() => return Err(Cause::Missing),
            Some(Value::String(token)) => token,
            Some(_) => return Err(Cause::NotIdentified(TokenRefusal::Malformed.into())),
        };
        identify(&self.tokens, &self.services.store, token).await.map_err(Cause::NotIdentified)
    }

    /// What a client that shows a `pid` has back.
    async fn recover(
        &self,
        decisions: &Decisions,
        identity: &Identity,
        auth: &Auth,
    ) -> Result<Option<Recovery>, StoreError> {
        let Some(pid) = auth.pid.as_ref().and_then(Value::as_str) else { return Ok(None) };
        let offset = auth.offset.as_ref().and_then(Value::as_str);
        let planned = recovery::plan(&self.services, decisions, identity, pid, offset).await?;
        let outcome = planned.as_ref().map_or_else(|not| not.outcome(), |_| "recovered");
        self.services.metrics.recovery(outcome);
        Ok(planned.ok())
    }

    fn refuse(&self, cause: &Cause, link: &Link) -> NotAdmitted {
        let peer = link.peer.map(tracing::field::display);
        let (label, answer) = match cause {
            Cause::Missing => ("missing", NotAdmitted::TokenRequired),
            Cause::NotIdentified(NotIdentified::Token(refusal)) => (refusal.cause(), NotAdmitted::Failed),
            Cause::NotIdentified(NotIdentified::User) => ("user", NotAdmitted::Failed),
            // These two close the transport: a refusal would keep the stock client away for good.
            Cause::TooMany => {
                link.kill();
                self.services.metrics.limited("sessions_per_user");
                ("too_many", NotAdmitted::Failed)
            }
            Cause::NotIdentified(NotIdentified::Store(error)) => {
                link.kill();
                tracing::warn!(%error, peer, "a client was sent away to try again");
                self.services.metrics.connect_refused("unavailable");
                self.audit(AuditOutcome::Failed, "unavailable", link);
                return NotAdmitted::Failed;
            }
        };
        tracing::info!(cause = label, peer, "a connection was refused");
        self.services.metrics.connect_refused(label);
        self.audit(AuditOutcome::Refused, label, link);
        answer
    }

    /// Nobody was identified, so there is no name; who it was said to be, anyone may write into a token.
    fn audit(&self, outcome: AuditOutcome, cause: &'static str, link: &Link) {
        self.services.audit.record(AuditRecord {
            actor: None,
            action: action::CONNECT,
            outcome,
            cause: Some(cause),
            target: AuditTarget::default(),
            session: None,
            address: link.peer,
        });
    }

    fn admit(&self, socket: SocketRef, link: Arc<Link>, admitted: Admitted) {
        let Admitted { identity, expires_at, decisions, recovery, place } = admitted;
        let worker = Worker::current();
        let mut ordinary = None;
        // The stock client knows by the `pid` that it sees again that it has its session back.
        let (key, pid) = match &recovery {
            Some(recovery) => (recovery.key, self.services.pids.show(&recovery.key, &identity)),
            None => self.services.new_pid(&identity),
        };
        let outlet: Arc<dyn Outlet> = if let Some(connection) = link.connection() {
            Arc::new(Lane::begin(connection.clone(), socket.clone(), &pid))
        } else {
            link.expect_connect(&pid);
            let metrics = self.services.metrics.clone();
            let way = Arc::new(Ordinary::new(socket.clone(), link.clone(), self.config.max_outbox, metrics));
            socket.extensions.insert(way.clone());
            link.carries(&way);
            ordinary = Some(way.clone());
            way
        };
        let seed = SessionSeed {
            identity,
            expires_at,
            decisions,
            socket_id: socket.id.as_str().into(),
            outlet,
            audience: worker.audience,
            audience_index: worker.index,
            address: link.peer,
            pid: key,
            recovery,
            place,
        };
        link.used();
        let session = Session::start(seed, self.services.clone(), &worker.arbiter);
        let (closed, never_opened) = (session.clone(), session.clone());
        // Before CONNECT is sent, so that no event can come first.
        let (left, handshakes) = (link.clone(), self.handshakes.clone());
        socket.on_fallback::<Intake, Intake>(Intake { session, link, ordinary, max_payload: self.config.max_payload });
        socket.on_disconnect(async move |reason: DisconnectReason| {
            closed.do_send(Closed { reason: label(reason) });
            // A transport may be used again, but not be kept for nothing.
            left.unused();
            handshakes.expect_session(&left);
        });
        // Where the transport went while the client was looked up, socketioxide forgets the socket without a
        // word. This runs once it has sent CONNECT, or failed to.
        tokio::spawn(async move {
            if !socket.connected() {
                never_opened.do_send(Closed { reason: "transport close" });
            }
        });
    }
}

const fn label(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport close",
        DisconnectReason::MultipleHttpPollingError => "overlapping polls",
        DisconnectReason::PacketParsingError => "invalid packet",
        DisconnectReason::TransportError => "transport error",
        DisconnectReason::HeartbeatTimeout => "ping timeout",
        DisconnectReason::ClientNSDisconnect => "client disconnect",
        DisconnectReason::ServerNSDisconnect => "server disconnect",
        DisconnectReason::ClosingServer => "server closing",
    }
}
