//! `GET /metrics`: Prometheus text, or the specification's three figures in JSON.

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::HttpState;

pub async fn show(request: HttpRequest, state: web::Data<HttpState>) -> HttpResponse {
    let metrics = &state.services.metrics;
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return HttpResponse::Ok().json(json!({
            "connections": state.services.directory.len(),
            "rooms": metrics.room_count(),
            "uptime": metrics.uptime().as_secs_f64(),
        }));
    }
    let metrics = metrics.clone();
    // On a thread that no connection lives on.
    match web::block(move || metrics.render()).await {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(_) => HttpResponse::ServiceUnavailable().json(json!({ "error": "Shutting down" })),
    }
}
