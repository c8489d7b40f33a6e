//! Seeing inside: `/admin` and `/admin/api/…`, for operators alone.

mod actions;
mod actors;
mod audit;
mod events;
mod gate;
mod page;
mod rooms;
mod sessions;
mod shape;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::HttpState;

pub fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/admin")
            .wrap(from_fn(gate::admit))
            .route("", web::get().to(page::show))
            .route("/", web::get().to(page::show))
            .route("/assets/{file}", web::get().to(page::asset))
            .route("/api/actors", web::get().to(actors::list))
            .route("/api/series", web::get().to(actors::series))
            .route("/api/events", web::get().to(events::find))
            .route("/api/audit", web::get().to(audit::list))
            .route("/api/rooms/{name}", web::get().to(rooms::show))
            .route("/api/rooms/{name}/restart", web::post().to(actions::restart_room))
            .route("/api/sessions/{id}", web::get().to(sessions::show))
            .route("/api/sessions/{id}/disconnect", web::post().to(actions::disconnect))
            .route("/api/drain", web::post().to(actions::drain))
            .default_service(web::to(not_found)),
    );
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": "Not found" }))
}

fn bad_request(error: &'static str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": error }))
}

/// Looks at much on a thread that no connection lives on.
async fn look(work: impl FnOnce() -> Option<Value> + Send + 'static) -> HttpResponse {
    match web::block(work).await {
        Ok(Some(answer)) => HttpResponse::Ok().json(answer),
        Ok(None) => not_found().await,
        Err(error) => {
            tracing::error!(%error, "an operator's question was not answered");
            HttpResponse::InternalServerError().json(json!({ "error": "Internal error" }))
        }
    }
}
