//! Who a session is, and the rows that say what it may do.

use std::sync::Arc;

use super::{Cuid, UserId};

/// The roles of `venue_staff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StaffRole {
    Owner,
    Manager,
    AssistantManager,
    Server,
    Bartender,
    Host,
    KitchenManager,
    Chef,
    LineCook,
    PrepCook,
    Dishwasher,
    Busser,
}

impl StaffRole {
    pub const ALL: [Self; 12] = [
        Self::Owner,
        Self::Manager,
        Self::AssistantManager,
        Self::Server,
        Self::Bartender,
        Self::Host,
        Self::KitchenManager,
        Self::Chef,
        Self::LineCook,
        Self::PrepCook,
        Self::Dishwasher,
        Self::Busser,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Manager => "MANAGER",
            Self::AssistantManager => "ASSISTANT_MANAGER",
            Self::Server => "SERVER",
            Self::Bartender => "BARTENDER",
            Self::Host => "HOST",
            Self::KitchenManager => "KITCHEN_MANAGER",
            Self::Chef => "CHEF",
            Self::LineCook => "LINE_COOK",
            Self::PrepCook => "PREP_COOK",
            Self::Dishwasher => "DISHWASHER",
            Self::Busser => "BUSSER",
        }
    }

    /// Returns `None` for a role that the application's schema does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether this role may enter its venue's kitchen and change its tickets.
    pub const fn works_in_kitchen(self) -> bool {
        matches!(
            self,
            Self::KitchenManager
                | Self::Chef
                | Self::LineCook
                | Self::PrepCook
                | Self::Owner
                | Self::Manager
                | Self::AssistantManager
        )
    }
}

/// An active user and its active `venue_staff` rows, sorted by venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    pub id: UserId,
    pub staff: Vec<(Cuid, StaffRole)>,
}

impl UserFacts {
    /// The role in a venue, if the user is active staff there.
    pub fn role_in(&self, venue: &Cuid) -> Option<StaffRole> {
        self.staff.iter().find(|(id, _)| id == venue).map(|(_, role)| *role)
    }
}

/// The columns of a tab that decide who may enter its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabFacts {
    pub venue: Cuid,
    pub server: UserId,
    pub customer: Option<UserId>,
}

/// The column of a table that decides who may enter its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    pub venue: Cuid,
}

/// Who a session is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The restaurant application's backend.
    System,
    User(Arc<UserFacts>),
}

impl Identity {
    pub fn user(&self) -> Option<&UserFacts> {
        match self {
            Self::System => None,
            Self::User(facts) => Some(facts),
        }
    }

    pub fn is_system(&self) -> bool {
        matches!(self, Self::System)
    }

    /// What the log calls it.
    pub fn label(&self) -> &str {
        match self {
            Self::System => "SYSTEM",
            Self::User(facts) => facts.id.as_str(),
        }
    }
}
