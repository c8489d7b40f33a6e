//! The pages that npm built, carried in the program.

use actix_web::HttpResponse;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Pages;

/// Scripts and styles from here alone; nothing may frame the page.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; frame-ancestors 'none'";

/// A file of the front end; `None` where there is none.
pub fn serve(path: &str) -> Option<HttpResponse> {
    let file = Pages::get(path)?;
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mut response = HttpResponse::Ok();
    response
        .content_type(mime.as_ref())
        .insert_header(("content-security-policy", CONTENT_SECURITY_POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-cache"));
    Some(response.body(file.data.into_owned()))
}
