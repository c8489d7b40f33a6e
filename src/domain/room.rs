//! The names of rooms: `tab:{id}`, `venue:{id}`, `kitchen:{venueId}`, `user:{id}`, `table:{id}`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Cuid, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomKind {
    Tab,
    Venue,
    Kitchen,
    User,
    Table,
}

impl RoomKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tab => "tab",
            Self::Venue => "venue",
            Self::Kitchen => "kitchen",
            Self::User => "user",
            Self::Table => "table",
        }
    }

    /// The event by which a client enters a room of this kind; `None` for
    /// `user:`, which is entered by connecting.
    pub const fn join_event(self) -> Option<&'static str> {
        match self {
            Self::Tab => Some("tab:join"),
            Self::Venue => Some("venue:join"),
            Self::Kitchen => Some("kitchen:join"),
            Self::Table => Some("table:join"),
            Self::User => None,
        }
    }
}

/// A room's name, cheap to clone.
#[derive(Clone)]
pub struct RoomName {
    kind: RoomKind,
    text: Arc<str>,
}

impl RoomName {
    pub fn tab(id: &Cuid) -> Self {
        Self::new(RoomKind::Tab, id.as_str())
    }

    pub fn venue(id: &Cuid) -> Self {
        Self::new(RoomKind::Venue, id.as_str())
    }

    pub fn kitchen(venue: &Cuid) -> Self {
        Self::new(RoomKind::Kitchen, venue.as_str())
    }

    pub fn table(id: &Cuid) -> Self {
        Self::new(RoomKind::Table, id.as_str())
    }

    pub fn user(id: &UserId) -> Self {
        Self::new(RoomKind::User, id.as_str())
    }

    /// Returns `None` where the text names no room.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        let cuid = |room: fn(&Cuid) -> Self| Cuid::parse(id).map(|id| room(&id));
        match kind {
            "tab" => cuid(Self::tab),
            "venue" => cuid(Self::venue),
            "kitchen" => cuid(Self::kitchen),
            "table" => cuid(Self::table),
            "user" => UserId::parse(id).map(|id| Self::user(&id)),
            _ => None,
        }
    }

    fn new(kind: RoomKind, id: &str) -> Self {
        Self { kind, text: format!("{}:{id}", kind.as_str()).into() }
    }

    pub fn kind(&self) -> RoomKind {
        self.kind
    }

    /// What follows the colon.
    pub fn id(&self) -> &str {
        &self.text[self.kind.as_str().len() + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

// A name's text says its kind, so the text alone is compared and hashed.
impl PartialEq for RoomName {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RoomName {}

impl Hash for RoomName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_five_forms_are_rooms() {
        for good in ["tab:c12345678", "venue:c12345678", "kitchen:c12345678", "table:c12345678", "user:anyone@home"] {
            let room = RoomName::parse(good).expect(good);
            assert_eq!(room.as_str(), good);
            assert_eq!(format!("{}:{}", room.kind().as_str(), room.id()), good);
        }
        for bad in
            ["", "tab", "tab:", "tab:short", "bar:c12345678", "user:", "user:a b", "TAB:c12345678", "tab:c1234-5678"]
        {
            assert!(RoomName::parse(bad).is_none(), "{bad}");
        }
    }
}
