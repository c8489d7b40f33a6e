//! The official Socket.IO Admin UI (`@socket.io/admin-ui` 0.5) in the namespace `/admin`. Its events
//! and commands are those of that package's `typed-events.d.ts`; payloads are never shown.
//!
//! Nothing on an event's way knows of it: each connected UI has a `Feed` that compares
//! the instance with what it last showed.

mod commands;
mod feed;
mod passes;
mod shape;

use std::fmt;
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
use crate::access::AdminAccess;
use crate::actors::session::SessionServices;
use crate::domain::AuditRecord;
use commands::Commands;
use feed::Feed;
use passes::Passes;

/// What the UI shows and offers beside the statistics; `lib/typed-events.ts`, `Feature`.
const FEATURES: [&str; 9] =
    ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "AGGREGATED_EVENTS", "ALL_EVENTS"];

pub struct AdminUi {
    access: Arc<AdminAccess>,
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    password: Option<String>,
    session_id: Option<String>,
}

impl AdminUi {
    /// Serves the namespace.
    pub fn serve(io: &SocketIo, access: Arc<AdminAccess>, services: Arc<SessionServices>, handshakes: HandshakeTimer) {
        let passes = Passes::default();
        let ui = Arc::new(Self { access, services, passes, handshakes, connected: AtomicUsize::new(0) });
        let greet = {
            let ui = ui.clone();
            async move |link: HttpExtension<Arc<Link>>, auth: TryData<Value>| ui.receive(&link.0, auth.0.ok())
        };
        let open = async move |socket: SocketRef, link: HttpExtension<Arc<Link>>| ui.open(&socket, &link.0);
        io.ns("/admin", open.with(greet));
    }

    fn receive(&self, link: &Link, auth: Option<Value>) -> Result<(), InvalidCredentials> {
        let auth: Auth = auth.and_then(|auth| serde_json::from_value(auth).ok()).unwrap_or_default();
        if auth.session_id.as_deref().is_some_and(|pass| self.passes.holds(pass)) {
            return Ok(());
        }
        // No biscuits: the UI stays connected, and comes back with its pass, whatever becomes of the token.
        self.access.check(auth.password.as_deref(), link.peer).map_err(|refused| {
            self.services.metrics.admin_refused(refused.cause());
            tracing::warn!(
                cause = refused.cause(),
                peer = link.peer.map(tracing::field::display),
                "an Admin UI was refused"
            );
            self.services.audit.record(AuditRecord::admin_refused(refused.cause(), link.peer));
            InvalidCredentials
        })
    }

    fn open(self: &Arc<Self>, socket: &SocketRef, link: &Arc<Link>) {
        tracing::info!("an Admin UI connected");
        socket.on_fallback::<Commands, Commands>(Commands { services: self.services.clone(), address: link.peer });
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
        socket.emit("session", &self.passes.issue()).ok();
        socket.emit("config", &json!({ "supportedFeatures": FEATURES })).ok();
        // Not a local task: socketioxide's own tasks are none either, though they stay on this thread.
        tokio::spawn(Feed::new(self.clone(), socket.clone()).run());
    }
}
