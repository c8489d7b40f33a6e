//! Who is let in: a client shows its token, and its session is started before CONNECT is sent.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;
use socketioxide::extract::SocketRef;
use socketioxide::socket::DisconnectReason;

use super::handshake::HandshakeTimer;
use super::intake::Intake;
use super::lane::Lane;
use super::link::Link;
use super::ordinary::Ordinary;
use super::worker::Worker;
use crate::access::{Decisions, Permit, Spender, TokenRefusal, Tokens};
use crate::actors::Session;
use crate::actors::messages::{Closed, Outlet};
use crate::actors::session::recovery::{self, Recovery};
use crate::actors::session::{NotIdentified, SessionSeed, SessionServices, identify};
use crate::config::SocketConfig;
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity};
use crate::store::StoreError;

/// Lets clients in.
pub struct Reception {
    pub tokens: Arc<Tokens>,
    pub config: SocketConfig,
    pub services: Arc<SessionServices>,
    pub handshakes: HandshakeTimer,
}

/// What a client that is not let in is told, and no more.
#[derive(Debug)]
pub enum NotAdmitted {
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
    /// Starts the session of a client that may have one; one that shows a `pid` has back what it had.
    ///
    /// # Errors
    /// Where it is not let in: what it is told of that.
    pub async fn receive(&self, socket: SocketRef, link: Arc<Link>, auth: Option<Value>) -> Result<(), NotAdmitted> {
        let auth = auth.and_then(|auth| serde_json::from_value(auth).ok()).unwrap_or_default();
        let outcome = async {
            let (identity, expires_at) = self.identify(&auth).await?;
            let is_outage = !self.services.view.is_durable();
            if is_outage && !identity.is_backend() {
                // In an outage nobody can be sent on from a place in the log; the client tries again.
                let outage = StoreError::Connection("events wait to be stored".to_owned());
                return Err(Cause::NotIdentified(outage.into()));
            }
            let place = Spender::of(&identity).map(|spender| self.services.sessions.take(Some(spender)));
            let place = place.transpose().map_err(|_| Cause::TooMany)?;
            let decisions = Decisions::new(self.services.policy.clone());
            // A backend is there to publish, now as well: it begins anew.
            let pid = auth.pid.as_ref().and_then(Value::as_str).filter(|_| !is_outage);
            let recovery = self.recover(&decisions, &identity, pid, &auth).await;
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
        pid: Option<&str>,
        auth: &Auth,
    ) -> Result<Option<Recovery>, StoreError> {
        let Some(pid) = pid else { return Ok(None) };
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

/// CONNECT has passed: what was held back may follow.
pub fn open(socket: &SocketRef) {
    if let Some(ordinary) = socket.extensions.get::<Arc<Ordinary>>() {
        ordinary.open();
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
