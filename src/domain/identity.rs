//! Who a session is, and the rows that say what it may do.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Cuid, RevocationId, UserId, Warrant};

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
}

/// An active user and its active `venue_staff` rows, sorted by venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    pub id: UserId,
    pub staff: Vec<(Cuid, StaffRole)>,
}

/// The states of a tab, as the application writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TabStatus {
    PendingAuth,
    Open,
    Closing,
    WalkAway,
    AutoClosed,
    Closed,
    Failed,
    Canceled,
    /// One that the application's schema did not have.
    Unknown,
}

impl TabStatus {
    pub const ALL: [Self; 8] = [
        Self::PendingAuth,
        Self::Open,
        Self::Closing,
        Self::WalkAway,
        Self::AutoClosed,
        Self::Closed,
        Self::Failed,
        Self::Canceled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingAuth => "PENDING_AUTH",
            Self::Open => "OPEN",
            Self::Closing => "CLOSING",
            Self::WalkAway => "WALK_AWAY",
            Self::AutoClosed => "AUTO_CLOSED",
            Self::Closed => "CLOSED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Unknown => "UNKNOWN",
        }
    }

    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or(Self::Unknown)
    }
}

/// The columns of a tab that decide who may enter its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabFacts {
    pub venue: Cuid,
    pub server: UserId,
    pub customer: Option<UserId>,
    pub status: TabStatus,
}

/// The column of a table that decides who may enter its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    pub venue: Cuid,
}

/// Who holds a biscuit: what the token says, and the user that it names, as the database has it.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub warrant: Arc<Warrant>,
    pub user: Option<Arc<UserFacts>>,
}

/// Who a session is. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The restaurant application's backend, by its secret.
    System,
    User(Arc<UserFacts>),
    Bearer(Bearer),
}

impl Identity {
    pub fn user(&self) -> Option<&Arc<UserFacts>> {
        match self {
            Self::System => None,
            Self::User(facts) => Some(facts),
            Self::Bearer(bearer) => bearer.user.as_ref(),
        }
    }

    pub fn warrant(&self) -> Option<&Arc<Warrant>> {
        match self {
            Self::Bearer(bearer) => Some(&bearer.warrant),
            Self::System | Self::User(_) => None,
        }
    }

    /// Whether it speaks for the application's backend, which nothing is counted against.
    pub fn is_backend(&self) -> bool {
        match self {
            Self::System => true,
            Self::User(_) => false,
            Self::Bearer(bearer) => bearer.warrant.is_backend,
        }
    }

    /// The names under which it can be revoked.
    pub fn revocation_ids(&self) -> &[RevocationId] {
        self.warrant().map_or(&[], |warrant| &warrant.revocation_ids)
    }

    /// The next moment at which a decision about it may become another, by its token alone.
    pub fn next_turning_point(&self, now: SystemTime) -> Option<SystemTime> {
        self.warrant()?.turning_points.iter().find(|point| **point > now).copied()
    }

    /// Whether nothing about it has changed: neither its token nor its rows.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_user = self.user() == other.user();
        match (self.warrant(), other.warrant()) {
            (None, None) => same_user && self.is_backend() == other.is_backend(),
            (Some(one), Some(other)) => same_user && Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Who it is, as no other can be: whose `pid`s and whose publishes' ids they are. All tokens that were
    /// made from one are the same in this.
    pub fn principal(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::User(facts) => format!("user:{}", facts.id),
            Self::Bearer(bearer) => format!("token:{}", bearer.warrant.family()),
        }
    }

    /// What the log calls it.
    pub fn label(&self) -> &str {
        match self {
            Self::System => "SYSTEM",
            Self::User(facts) => facts.id.as_str(),
            Self::Bearer(bearer) => &bearer.warrant.label,
        }
    }
}
