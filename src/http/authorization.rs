//! The token in an `Authorization` header (RFC 9110, 11.4: a scheme's name is of either case).

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The token that a request brings as Bearer.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    bearer_in(header(request)?)
}

/// The token that a request brings as Bearer, or as the password of Basic with any user name.
pub fn bearer_or_password(request: &HttpRequest) -> Option<String> {
    bearer_or_password_in(header(request)?)
}

fn header(request: &HttpRequest) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()
}

fn bearer_in(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn bearer_or_password_in(header: &str) -> Option<String> {
    if let Some(token) = bearer_in(header) {
        return Some(token.to_owned());
    }
    let (_, credentials) = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // What cannot be read was shown all the same, and is counted as wrong.
    Some(decoded.and_then(|text| text.split_once(':').map(|(_, password)| password.to_owned())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_whatever_the_case_of_its_scheme() {
        for header in ["Bearer secret", "bearer secret", "BEARER  secret "] {
            assert_eq!(bearer_in(header), Some("secret"), "{header}");
            assert_eq!(bearer_or_password_in(header).as_deref(), Some("secret"), "{header}");
        }
        for header in ["Basic YW55b25lOnNlY3JldA==", "basic YW55b25lOnNlY3JldA=="] {
            assert_eq!(bearer_in(header), None, "{header}");
            assert_eq!(bearer_or_password_in(header).as_deref(), Some("secret"), "{header}");
        }
        for header in ["", "secret", "Bearer", "Bearersecret x", "Digest secret"] {
            assert_eq!((bearer_in(header), bearer_or_password_in(header)), (None, None), "{header}");
        }
        assert_eq!(bearer_or_password_in("Basic !").as_deref(), Some(""));
    }
}
