//! What is asked of the policy.

use crate::domain::{Cuid, KitchenStatus, RoomKind, RoomName, TabFacts, TableFacts};

/// What someone is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The user's own room, which comes with connecting.
    Connect,
    /// A room of this kind, except the user's.
    Join(RoomKind),
    UpdateStatus(KitchenStatus),
    Bump,
    /// Whether one who may not change an item may know that it is there.
    SeeItem,
    ReadNotification,
    Broadcast,
    /// `POST /api/rights`.
    Rights,
    /// `/admin`.
    Admin,
}

impl Operation {
    /// All that [`Self::as_str`] returns.
    pub const NAMES: [&'static str; 12] = [
        "connect",
        "tab:join",
        "venue:join",
        "kitchen:join",
        "table:join",
        "kitchen:update-status",
        "kitchen:bump",
        "item:see",
        "notification:read",
        "broadcast",
        "rights",
        "admin",
    ];

    /// The operation by which one comes to be in a room of this kind.
    pub const fn entering(kind: RoomKind) -> Self {
        match kind {
            RoomKind::User => Self::Connect,
            kind => Self::Join(kind),
        }
    }

    /// What the policy and a token's checks call it: the client's event, where it is one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect | Self::Join(RoomKind::User) => "connect",
            Self::Join(RoomKind::Tab) => "tab:join",
            Self::Join(RoomKind::Venue) => "venue:join",
            Self::Join(RoomKind::Kitchen) => "kitchen:join",
            Self::Join(RoomKind::Table) => "table:join",
            Self::UpdateStatus(_) => "kitchen:update-status",
            Self::Bump => "kitchen:bump",
            Self::SeeItem => "item:see",
            Self::ReadNotification => "notification:read",
            Self::Broadcast => "broadcast",
            Self::Rights => "rights",
            Self::Admin => "admin",
        }
    }

    /// The state that an item would have.
    pub const fn new_status(self) -> Option<KitchenStatus> {
        match self {
            Self::UpdateStatus(status) => Some(status),
            Self::Bump => Some(KitchenStatus::Delivered),
            _ => None,
        }
    }
}

/// What the rows say of the room or item that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub venue: Option<Cuid>,
    pub tab: Option<TabFacts>,
}

impl Place {
    /// What a room's name alone says.
    pub fn named(room: &RoomName) -> Self {
        let venue =
            matches!(room.kind(), RoomKind::Venue | RoomKind::Kitchen).then(|| Cuid::parse(room.id())).flatten();
        Self { venue, tab: None }
    }

    /// `None` is a tab that is unknown.
    pub fn of_tab(tab: Option<&TabFacts>) -> Self {
        Self { venue: tab.map(|tab| tab.venue.clone()), tab: tab.cloned() }
    }

    pub fn of_table(table: Option<&TableFacts>) -> Self {
        Self { venue: table.map(|table| table.venue.clone()), tab: None }
    }
}

/// One thing to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub operation: Operation,
    pub room: Option<RoomName>,
    pub place: Place,
}

impl Question {
    pub fn enter(room: &RoomName, place: Place) -> Self {
        Self { operation: Operation::entering(room.kind()), room: Some(room.clone()), place }
    }

    /// `operation` is `UpdateStatus` or `Bump`.
    pub fn change_item(operation: Operation, tab: &TabFacts) -> Self {
        Self { operation, room: Some(RoomName::kitchen(&tab.venue)), place: Place::of_tab(Some(tab)) }
    }

    pub fn see_item(tab_id: &Cuid, tab: &TabFacts) -> Self {
        Self { operation: Operation::SeeItem, room: Some(RoomName::tab(tab_id)), place: Place::of_tab(Some(tab)) }
    }

    pub fn publish(room: &RoomName, place: Place) -> Self {
        Self { operation: Operation::Broadcast, room: Some(room.clone()), place }
    }

    /// What is about no room in particular.
    pub fn anywhere(operation: Operation) -> Self {
        Self { operation, room: None, place: Place::default() }
    }
}
