//! What a session's rights rest on, and that it changed.

use std::sync::Arc;

use actix::prelude::*;

use super::SessionKey;
use crate::domain::{Cuid, RevocationId, TabFacts, TableFacts, UserFacts, UserId};
use crate::store::StoreError;

/// A row that a session's rights rest on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(UserId),
    Tab(Cuid),
    Table(Cuid),
}

/// What the row said; `None` where it is gone, or its user no longer active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    User(Option<Arc<UserFacts>>),
    Tab(Option<TabFacts>),
    Table(Option<TableFacts>),
}

/// Tells a session when a row becomes other than it was.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchRights {
    pub subject: Subject,
    pub facts: Facts,
    pub key: SessionKey,
    pub session: Recipient<RightsChanged>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct UnwatchRights {
    pub subject: Subject,
    pub key: SessionKey,
}

/// Reads a user's rows again now. Answered once that user's sessions have been told of a change.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct ReadRights {
    pub user: UserId,
}

/// Tells a session when its token is revoked, under any of its ids.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchToken {
    pub ids: Vec<RevocationId>,
    pub key: SessionKey,
    pub session: Recipient<TokenRevoked>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct UnwatchToken {
    pub key: SessionKey,
}

/// The session's token holds no longer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TokenRevoked;

/// A row behind a session is other than it was: look again at what the session may do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RightsChanged;
