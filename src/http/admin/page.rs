//! `GET /admin`: the page, which asks the API with the credentials that it was let in with.

use actix_web::{HttpResponse, web};

use super::not_found;
use crate::http::assets;

pub async fn show() -> HttpResponse {
    match assets::serve("admin/admin.html") {
        Some(page) => page,
        None => not_found().await,
    }
}

pub async fn asset(file: web::Path<String>) -> HttpResponse {
    match assets::serve(&format!("admin/{file}")) {
        Some(asset) => asset,
        None => not_found().await,
    }
}
