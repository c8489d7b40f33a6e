//! The official Socket.IO Admin UI (`@socket.io/admin-ui` 0.5) in the namespace `/admin`. Its events
//! and commands are those of that package's `typed-events.d.ts`; payloads are never shown.
//!
//! Nothing on an event's way knows of it: each connected UI has a `Feed` that compares
//! the instance with what it last showed.

mod commands;
mod feed;
mod operator;
mod passes;
mod shape;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use socketioxide::SocketIo;
use socketioxide::extract::{HttpExtension, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;

use super::handshake::HandshakeTimer;
use super::link::Link;
use crate::access::{AdminAccess, NotAdministrator, Tokens};
use crate::actors::session::{SessionServices, operator as biscuit_operator};
use crate::domain::AuditRecord;
use crate::store::StoreError;
use commands::Commands;
use feed::Feed;
use operator::Operator;
use passes::Passes;

/// What the UI shows and offers beside the statistics; `lib/typed-events.ts`, `Feature`.
const FEATURES: [&str; 9] =
    ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "AGGREGATED_EVENTS", "ALL_EVENTS"];

pub struct AdminUi {
    access: Arc<AdminAccess>,
    tokens: Arc<Tokens>,
    services: Arc<SessionServices>,
    passes: Passes,
    handshakes: HandshakeTimer,
    /// UIs that are connected.
    connected: AtomicUsize,
}

/// The text that the UI knows.
#[derive(Debug)]
struct InvalidCredentials;

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid credentials")
    }
}

/// Why nobody is let in.
enum NotAdmitted {
    Refused(NotAdministrator),
    /// It cannot be told now whether a biscuit holds.
    Store(StoreError),
}

impl From<NotAdministrator> for NotAdmitted {
    fn from(refused: NotAdministrator) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for NotAdmitted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    password: Option<String>,
    session_id: Option<String>,
}

impl AdminUi {
    /// Serves the namespace.
    pub fn serve(
        io: &SocketIo,
        access: Arc<AdminAccess>,
        tokens: Arc<Tokens>,
        services: Arc<SessionServices>,
        handshakes: HandshakeTimer,
    ) {
        let passes = Passes::default();
        let ui = Arc::new(Self { access, tokens, services, passes, handshakes, connected: AtomicUsize::new(0) });
        let greet = {
            let ui = ui.clone();
            async move |socket: SocketRef, link: HttpExtension<Arc<Link>>, auth: TryData<Value>| {
                ui.receive(&socket, &link.0, auth.0.ok()).await
            }
        };
        let open = async move |socket: SocketRef, link: HttpExtension<Arc<Link>>| ui.open(&socket, &link.0);
        io.ns("/admin", open.with(greet));
    }

    async fn receive(&self, socket: &SocketRef, link: &Link, auth: Option<Value>) -> Result<(), InvalidCredentials> {
        let auth: Auth = auth.and_then(|auth| serde_json::from_value(auth).ok()).unwrap_or_default();
        match self.operator_of(&auth, link.peer).await {
            Ok(operator) => {
                socket.extensions.insert(operator);
                Ok(())
            }
            Err(NotAdmitted::Refused(refused)) => {
                let (cause, peer) = (refused.cause(), link.peer.map(tracing::field::display));
                self.services.metrics.admin_refused(cause);
                tracing::warn!(cause, peer, "an Admin UI was refused");
                self.services.audit.record(AuditRecord::admin_refused(cause, link.peer));
                Err(InvalidCredentials)
            }
            // Without a refusal, after which the UI would not come back by itself.
            Err(NotAdmitted::Store(error)) => {
                tracing::warn!(%error, "an Admin UI was sent away to try again");
                link.kill();
                Err(InvalidCredentials)
            }
        }
    }

    async fn operator_of(&self, auth: &Auth, peer: Option<IpAddr>) -> Result<Operator, NotAdmitted> {
        if let Some(operator) = auth.session_id.as_deref().and_then(|pass| self.passes.holder(pass))
            && operator.lapsed(&self.services).await?.is_none()
        {
            return Ok(operator);
        }
        let token = auth.password.as_deref();
        let by_policy = match token {
            Some(token) => {
                self.access.may_try(peer)?;
                biscuit_operator(&self.tokens, &self.services, token).await?
            }
            None => None,
        };
        self.access.check(token, peer, by_policy.is_some())?;
        Ok(by_policy.map_or(Operator::ByToken, Operator::ByBiscuit))
    }

    fn open(self: &Arc<Self>, socket: &SocketRef, link: &Arc<Link>) {
        let Some(operator) = socket.extensions.get::<Operator>() else { return };
        tracing::info!(operator = operator.name(), "an Admin UI connected");
        socket.on_fallback::<Commands, Commands>(Commands {
            services: self.services.clone(),
            operator: operator.name().into(),
            address: link.peer,
        });
        socket.on_disconnect({
            let (ui, link) = (self.clone(), link.clone());
            async move |_: DisconnectReason| {
                link.unused();
                ui.handshakes.expect_session(&link);
                ui.connected.fetch_sub(1, Ordering::Relaxed);
            }
        });
        link.used();
        self.connected.fetch_add(1, Ordering::Relaxed);
        // A UI that has gone needs nothing. With the pass the page gets in again after a reload.
        socket.emit("session", &self.passes.issue(operator.clone())).ok();
        socket.emit("config", &json!({ "supportedFeatures": FEATURES })).ok();
        // Not local tasks: socketioxide's own tasks are none either, though they stay on this thread.
        tokio::spawn(Feed::new(self.clone(), socket.clone()).run());
        tokio::spawn(operator.attend(self.services.clone(), socket.clone(), link.clone()));
    }
}
