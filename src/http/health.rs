//! `GET /health`: the process lives. `GET /health/ready`: it can do its work.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use chrono::{SecondsFormat, Utc};
use serde_json::json;

use super::HttpState;

pub async fn alive(state: web::Data<HttpState>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "status": "ok",
        "connections": state.services.directory.len(),
        "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        "uptime": state.services.metrics.uptime().as_secs_f64(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

pub async fn ready(state: web::Data<HttpState>) -> HttpResponse {
    let database = state.services.view.is_durable() && state.services.store.is_ready().await;
    let draining = state.draining.load(Ordering::Acquire);
    // An instance that stands alone has no peers to lose. One whose Redis is away goes on: the database brings
    // what its peers publish, and taking it out of service would help nobody.
    let cluster = state.services.cluster.as_ref().is_none_or(|cluster| cluster.is_connected());
    let ready = database && !draining;
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "ready": ready, "database": database, "cluster": cluster, "draining": draining }))
}
