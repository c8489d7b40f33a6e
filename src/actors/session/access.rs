//! Reads what a decision needs, and asks the policy.

use std::sync::Arc;

use crate::access::Decisions;
use crate::access::policy::{self, Denied, Operation, Place, Question};
use crate::actors::messages::{Facts, Subject};
use crate::domain::{
    Bearer, Cuid, ErrorCode, Identity, PublishRequest, Refusal, RoomKind, RoomName, UserFacts, UserId,
};
use crate::store::{Store, StoreError, StoredItem};

use super::state::failure_message;

/// Leave to be in a room.
pub struct Admission {
    /// The row that it rests on besides the user's own.
    pub rests_on: Option<(Subject, Facts)>,
}

/// The identity as the database has it now; `None` where the user is gone or no longer active.
pub async fn identity_now(store: &Store, identity: &Identity) -> Result<Option<Identity>, StoreError> {
    let user_now = async |id: &UserId| Ok::<_, StoreError>(store.find_user(id).await?.map(Arc::new));
    Ok(match identity {
        Identity::System => Some(Identity::System),
        Identity::User(facts) => user_now(&facts.id).await?.map(Identity::User),
        Identity::Bearer(Bearer { user: None, .. }) => Some(identity.clone()),
        Identity::Bearer(Bearer { warrant, user: Some(facts) }) => {
            let bearer = |user: Arc<UserFacts>| Bearer { warrant: warrant.clone(), user: Some(user) };
            user_now(&facts.id).await?.map(bearer).map(Identity::Bearer)
        }
    })
}

/// Whether the identity may be in the room.
pub async fn may_be_in(
    store: &Store,
    decisions: &Decisions,
    identity: &Identity,
    room: &RoomName,
) -> Result<Admission, AccessError> {
    let (place, rests_on) = place_of(store, room).await?;
    let verdict = decisions.ask(identity, &Question::enter(room, place));
    verdict.map_err(|denied| AccessError::of(denied, policy::denied(room.kind())))?;
    Ok(Admission { rests_on })
}

/// The room that comes with connecting; `None` for who is no user, or whose token keeps out of it.
pub fn own_room(decisions: &Decisions, identity: &Identity) -> Option<RoomName> {
    let room = RoomName::user(&identity.user()?.id);
    decisions.ask(identity, &Question::enter(&room, Place::named(&room))).is_ok().then_some(room)
}

/// What the rows say of a room, and the row itself.
async fn place_of(store: &Store, room: &RoomName) -> Result<(Place, Option<(Subject, Facts)>), AccessError> {
    let id = || Cuid::parse(room.id()).ok_or(AccessError::Refused(policy::denied(room.kind())));
    Ok(match room.kind() {
        RoomKind::Venue | RoomKind::Kitchen | RoomKind::User => (Place::named(room), None),
        RoomKind::Tab => {
            let id = id()?;
            let tab = store.find_tab(&id).await?;
            (Place::of_tab(tab.as_ref()), Some((Subject::Tab(id), Facts::Tab(tab))))
        }
        RoomKind::Table => {
            let id = id()?;
            let table = store.find_table(&id).await?;
            (Place::of_table(table.as_ref()), Some((Subject::Table(id), Facts::Table(table))))
        }
    })
}

/// Whether the identity may do this to the item, and where the item is.
pub async fn may_change(
    store: &Store,
    decisions: &Decisions,
    identity: &Identity,
    item: &Cuid,
    operation: Operation,
) -> Result<StoredItem, AccessError> {
    let found = store.find_item(item).await?.ok_or(AccessError::Refused(policy::ITEM_NOT_FOUND))?;
    if let Err(denied) = decisions.ask(identity, &Question::change_item(operation, &found.facts)) {
        let seen = decisions.ask(identity, &Question::see_item(&found.tab, &found.facts));
        let refusal = if seen.is_ok() { policy::KITCHEN_DENIED } else { policy::ITEM_NOT_FOUND };
        return Err(AccessError::of(denied, refusal));
    }
    Ok(found)
}

/// Whether the identity may mark its user's notifications as read.
pub fn may_read_notifications(
    decisions: &Decisions,
    identity: &Identity,
    user: &UserId,
    refusal: Refusal,
) -> Result<(), AccessError> {
    let room = RoomName::user(user);
    let question = Question { room: Some(room), ..Question::anywhere(Operation::ReadNotification) };
    decisions.ask(identity, &question).map_err(|denied| AccessError::of(denied, refusal))
}

/// Whether the identity publishes at all, wherever that may be: who does not is told nothing of its payload's faults.
pub fn is_publisher(decisions: &Decisions, identity: &Identity) -> Result<(), Refusal> {
    match decisions.ask(identity, &Question::anywhere(Operation::Broadcast)) {
        Ok(()) | Err(Denied::ByToken) => Ok(()),
        Err(Denied::ByPolicy) => Err(policy::BROADCAST_DENIED),
        Err(Denied::TooCostly) => Err(AccessError::TooCostly.into_refusal("broadcast")),
    }
}

/// What is not yet known to be open to this publisher.
pub fn unknown_rooms(decisions: &Decisions, identity: &Identity, rooms: &[RoomName]) -> Vec<RoomName> {
    rooms.iter().filter(|room| !decisions.may_publish_still(identity, room)).cloned().collect()
}

/// Whether the identity may publish to the rooms.
pub async fn may_publish(
    store: &Store,
    decisions: &Decisions,
    identity: &Identity,
    rooms: &[RoomName],
) -> Result<(), AccessError> {
    for room in rooms {
        // The backend's own secret is for all venues, and publishes while the database is away.
        let place = match identity {
            Identity::System => Place::named(room),
            _ => place_of(store, room).await?.0,
        };
        let verdict = decisions.ask(identity, &Question::publish(room, place));
        verdict.map_err(|denied| AccessError::of(denied, policy::BROADCAST_DENIED))?;
    }
    Ok(())
}

/// Reads a publish, and whether the identity may make it.
///
/// # Errors
/// What the publisher is told.
pub async fn read_publish(
    store: &Store,
    decisions: &Decisions,
    identity: &Identity,
    json: &str,
) -> Result<PublishRequest, Refusal> {
    is_publisher(decisions, identity)?;
    let request = PublishRequest::parse(json)?;
    let allowed = may_publish(store, decisions, identity, &request.rooms).await;
    allowed.map(|()| request).map_err(|error| error.into_refusal("broadcast"))
}

/// No, or no answer.
pub enum AccessError {
    Refused(Refusal),
    Store(StoreError),
    /// The policy's limits were reached.
    TooCostly,
}

impl AccessError {
    fn of(denied: Denied, refusal: Refusal) -> Self {
        match denied {
            Denied::ByPolicy | Denied::ByToken => Self::Refused(refusal),
            Denied::TooCostly => Self::TooCostly,
        }
    }

    /// What the client is told. A failure of the store is logged here, its one place.
    pub fn into_refusal(self, event: &'static str) -> Refusal {
        let unavailable = || Refusal::new(ErrorCode::Unavailable, failure_message(event));
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(error) => {
                tracing::warn!(event, %error, "the store failed");
                unavailable()
            }
            Self::TooCostly => unavailable(),
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
