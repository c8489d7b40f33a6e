//! What is written down of who did what: never a token, nor anything that opens a door.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Command, Cuid, RoomName};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    Done,
    /// It was not allowed, or made no sense.
    Refused,
    /// The service could not do it.
    Failed,
}

impl AuditOutcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// What is written down besides clients' events, which go by their own names.
pub mod action {
    pub const CONNECT: &str = "connect";
    pub const REQUEST: &str = "request";
    pub const SESSION_END: &str = "session:end";
    pub const ROOM_LOST: &str = "room:lost";
    pub const RIGHTS: &str = "rights:read";
    pub const REVOKE: &str = "token:revoke";
    pub const ADMIN_ACCESS: &str = "admin:access";
    pub const ADMIN_DISCONNECT: &str = "admin:disconnect";
    pub const ADMIN_RESTART: &str = "admin:restart";
    pub const ADMIN_DRAIN: &str = "admin:drain";
    pub const ADMIN_EMIT: &str = "admin:emit";
    pub const ADMIN_JOIN: &str = "admin:join";
    pub const ADMIN_LEAVE: &str = "admin:leave";

    pub const ALL: [&str; 13] = [
        CONNECT,
        REQUEST,
        SESSION_END,
        ROOM_LOST,
        RIGHTS,
        REVOKE,
        ADMIN_ACCESS,
        ADMIN_DISCONNECT,
        ADMIN_RESTART,
        ADMIN_DRAIN,
        ADMIN_EMIT,
        ADMIN_JOIN,
        ADMIN_LEAVE,
    ];
}

/// The name with a life as long as the program, `None` where nothing is written down by it.
pub fn known_action(name: &str) -> Option<&'static str> {
    action::ALL.into_iter().find(|known| *known == name).or_else(|| Command::known_event(name))
}

/// What something was done to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuditTarget {
    pub room: Option<RoomName>,
    /// The tab of the item in question.
    pub tab: Option<Cuid>,
    /// The id of an item, a notification, a user, a session or a revoked token.
    pub subject: Option<Box<str>>,
    /// What it was to become.
    pub detail: Option<&'static str>,
}

impl AuditTarget {
    pub fn room(room: &RoomName) -> Self {
        Self { room: Some(room.clone()), ..Self::default() }
    }

    pub fn subject(id: &str) -> Self {
        Self { subject: Some(id.into()), ..Self::default() }
    }

    /// A publish is told of each of its rooms, when it is made.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Join { room, .. } | Command::Leave(room) => Self::room(room),
            Command::UpdateStatus { item, status } => {
                Self { detail: Some(status.as_str()), ..Self::subject(item.as_str()) }
            }
            Command::Bump { item } => Self::subject(item.as_str()),
            Command::ReadNotification { notification } => Self::subject(notification.as_str()),
            Command::Publish(_) => Self::default(),
        }
    }
}

/// One thing that somebody did. Two that are equal are written down as one that happened twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditRecord {
    /// As the log calls the identity; `None` where nobody was identified.
    pub actor: Option<Arc<str>>,
    /// One that [`known_action`] knows.
    pub action: &'static str,
    pub outcome: AuditOutcome,
    /// Why it was refused or failed.
    pub cause: Option<&'static str>,
    pub target: AuditTarget,
    /// The id of the Socket.IO session.
    pub session: Option<Arc<str>>,
    pub address: Option<IpAddr>,
}

impl AuditRecord {
    /// A token was revoked, from the command line.
    pub fn revoked(id: &str) -> Self {
        Self {
            actor: Some("command line".into()),
            action: action::REVOKE,
            outcome: AuditOutcome::Done,
            cause: None,
            target: AuditTarget::subject(id),
            session: None,
            address: None,
        }
    }

    /// Somebody tried to get into `/admin`.
    pub const fn admin_refused(cause: &'static str, address: Option<IpAddr>) -> Self {
        Self {
            actor: None,
            action: action::ADMIN_ACCESS,
            outcome: AuditOutcome::Refused,
            cause: Some(cause),
            target: AuditTarget { room: None, tab: None, subject: None, detail: None },
            session: None,
            address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_goes_by_one_name() {
        let mut names: Vec<_> = action::ALL.into_iter().chain(Command::EVENTS).collect();
        assert!(names.iter().all(|name| known_action(name) == Some(*name)));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(known_action("no:such"), None);
        assert!(AuditOutcome::ALL.into_iter().all(|outcome| AuditOutcome::parse(outcome.as_str()) == Some(outcome)));
    }
}
