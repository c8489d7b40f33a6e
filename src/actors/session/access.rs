//! Reads what a decision needs, and asks the policy.

use std::sync::Arc;

use crate::access::policy;
use crate::actors::messages::{Facts, Subject};
use crate::domain::{Cuid, ErrorCode, Identity, KitchenStatus, Refusal, RoomKind, RoomName};
use crate::store::{Store, StoreError, StoredItem};

use super::state::failure_message;

/// Leave to be in a room.
pub struct Admission {
    /// The row that it rests on besides the user's own.
    pub rests_on: Option<(Subject, Facts)>,
}

/// The identity as the database has it now; `None` where the user is gone or no longer active.
pub async fn identity_now(store: &Store, identity: &Identity) -> Result<Option<Identity>, StoreError> {
    match identity {
        Identity::System => Ok(Some(Identity::System)),
        Identity::User(facts) => Ok(store.find_user(&facts.id).await?.map(|facts| Identity::User(Arc::new(facts)))),
    }
}

/// Whether the identity may be in the room.
pub async fn may_be_in(store: &Store, identity: &Identity, room: &RoomName) -> Result<Admission, AccessError> {
    let denied = || AccessError::Refused(policy::denied(room.kind()));
    let id = || Cuid::parse(room.id()).ok_or_else(denied);
    let mut rests_on = None;
    match room.kind() {
        RoomKind::Venue => policy::enter_venue(identity, &id()?)?,
        RoomKind::Kitchen => policy::enter_kitchen(identity, &id()?)?,
        RoomKind::Tab => {
            let id = id()?;
            let tab = store.find_tab(&id).await?;
            policy::enter_tab(identity, tab.as_ref())?;
            rests_on = Some((Subject::Tab(id), Facts::Tab(tab)));
        }
        RoomKind::Table => {
            let id = id()?;
            let table = store.find_table(&id).await?;
            policy::enter_table(identity, table.as_ref())?;
            rests_on = Some((Subject::Table(id), Facts::Table(table)));
        }
        RoomKind::User => {
            let own = identity.user().is_some_and(|user| user.id.as_str() == room.id());
            if !own {
                return Err(denied());
            }
        }
    }
    Ok(Admission { rests_on })
}

/// Whether the identity may give the item this state, and where the item is.
pub async fn may_change(
    store: &Store,
    identity: &Identity,
    item: &Cuid,
    status: KitchenStatus,
) -> Result<StoredItem, AccessError> {
    let found = store.find_item(item).await?.ok_or(AccessError::Refused(policy::ITEM_NOT_FOUND))?;
    policy::change_item(identity, &found.facts, status)?;
    Ok(found)
}

/// No, or no answer.
pub enum AccessError {
    Refused(Refusal),
    Store(StoreError),
}

impl AccessError {
    /// What the client is told. A failure of the store is logged here, its one place.
    pub fn into_refusal(self, event: &'static str) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(error) => {
                tracing::warn!(event, %error, "the store failed");
                Refusal::new(ErrorCode::Unavailable, failure_message(event))
            }
        }
    }
}

impl From<Refusal> for AccessError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
