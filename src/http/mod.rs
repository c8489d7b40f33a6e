//! The plain HTTP side: health, metrics, the operator's pages, the demo. Everything else is 404 in JSON.

mod admin;
pub(crate) mod api;
pub mod assets;
mod asyncapi;
pub(crate) mod authorization;
mod bearer;
pub mod demo;
mod health;
mod metrics;
mod rights;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use tokio::sync::Notify;

use crate::access::{AdminAccess, Tokens};
use crate::actors::session::SessionServices;
use crate::socket::{SocketServer, polling};

/// What the handlers read.
pub struct HttpState {
    pub services: Arc<SessionServices>,
    pub tokens: Arc<Tokens>,
    pub draining: Arc<AtomicBool>,
    /// Bytes of one request's body.
    pub max_payload: usize,
    /// How long a request's body may take.
    pub request_patience: Duration,
    pub admin: Arc<AdminAccess>,
    /// Stops the instance as SIGTERM does.
    pub stop: Arc<Notify>,
}

/// Puts every path in its place.
pub fn configure(
    config: &mut web::ServiceConfig,
    state: web::Data<HttpState>,
    socket: web::Data<SocketServer>,
    demo: Option<web::Data<demo::Demo>>,
) {
    config
        .app_data(state)
        .app_data(socket)
        .route("/health", web::get().to(health::alive))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(metrics::show))
        .route("/asyncapi.json", web::get().to(asyncapi::show))
        .route("/api/broadcast", web::post().to(api::broadcast))
        .route("/api/rights", web::post().to(rights::read_again));
    config.configure(admin::configure);
    for path in ["/socket.io/", "/socket.io"] {
        config.service(
            web::resource(path)
                .route(web::get().to(polling::serve))
                .route(web::post().to(polling::serve))
                .default_service(web::to(not_allowed)),
        );
    }
    if let Some(demo) = demo {
        config.app_data(demo).configure(demo::configure);
    }
    config.default_service(web::to(not_found));
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(serde_json::json!({ "error": "Not found" }))
}

async fn not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed().json(serde_json::json!({ "error": "Method not allowed" }))
}
