//! Identifiers of the application's rows, checked where they enter.

use std::fmt;
use std::sync::Arc;

/// The id of a tab, venue, table or tab item: a `c` and at least 8 characters
/// that are neither white space nor hyphen, 64 characters at most.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cuid(Arc<str>);

impl Cuid {
    const MIN_CHARS: usize = 9;
    const MAX_CHARS: usize = 64;

    /// Returns `None` where the text has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '-';
        let chars = text.chars().take(Self::MAX_CHARS + 1).count();
        let valid =
            text.starts_with('c') && (Self::MIN_CHARS..=Self::MAX_CHARS).contains(&chars) && text.chars().all(allowed);
        valid.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Whether it could be an id whose form the application chooses: not empty, 255 bytes at most, without white space or
/// control characters.
fn is_an_id(text: &str) -> bool {
    const MAX_BYTES: usize = 255;
    let allowed = |c: char| !c.is_whitespace() && !c.is_control();
    !text.is_empty() && text.len() <= MAX_BYTES && text.chars().all(allowed)
}

/// The id of a user, in the application's form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Returns `None` where the text cannot be an id.
    pub fn parse(text: &str) -> Option<Self> {
        is_an_id(text).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The id of a notification, in the application's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationId(Box<str>);

impl NotificationId {
    /// Returns `None` where the text cannot be an id.
    pub fn parse(text: &str) -> Option<Self> {
        is_an_id(text).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cuid_has_its_form() {
        for good in ["cvenuebistro00000000000001", "c12345678", &format!("c{}", "x".repeat(63))] {
            assert!(Cuid::parse(good).is_some(), "{good}");
        }
        let too_long = format!("c{}", "x".repeat(64));
        for bad in ["", "c", "c1234567", "d12345678", "c1234-5678", "c1234 5678", "c1234\n5678", &too_long] {
            assert!(Cuid::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_length_of_a_cuid_is_counted_in_characters() {
        assert!(Cuid::parse(&format!("c{}", "é".repeat(63))).is_some());
        assert!(Cuid::parse(&format!("c{}", "é".repeat(64))).is_none());
    }

    #[test]
    fn a_user_id_is_bounded() {
        assert!(UserId::parse(&"u".repeat(255)).is_some());
        assert!(UserId::parse(&"u".repeat(256)).is_none());
        assert!(UserId::parse("").is_none());
        assert!(UserId::parse("a b").is_none());
    }
}
