//! Which web pages may connect.

/// The allowed origins, in the form that browsers send: scheme, host, and port unless it is the default one.
#[derive(Clone, Debug)]
pub struct Origins(Vec<String>);

impl Origins {
    pub fn new(origins: Vec<String>) -> Self {
        Self(origins)
    }

    pub fn is_allowed(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Whether a websocket may be opened: programs send no origin, pages send
    /// theirs, and a page of this service's own has the host that it asks.
    pub fn may_open(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let own = origin
            .split_once("://")
            .zip(host)
            .is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host));
        own || self.is_allowed(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_allowed_origins_and_our_own_may_open() {
        let origins = Origins::new(vec!["https://pos.example.com".to_owned()]);
        for (origin, host, allowed) in [
            (None, Some("x:1"), true),
            (Some("https://pos.example.com"), Some("x:1"), true),
            (Some("https://POS.example.com"), Some("x:1"), true),
            (Some("http://x:1"), Some("x:1"), true),
            (Some("http://x:2"), Some("x:1"), false),
            (Some("http://pos.example.com"), Some("x:1"), false),
            (Some("https://pos.example.com.evil.test"), Some("x:1"), false),
            (Some("null"), Some("null"), false),
            (Some("null"), None, false),
        ] {
            assert_eq!(origins.may_open(origin, host), allowed, "{origin:?} {host:?}");
        }
    }
}
