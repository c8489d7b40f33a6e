//! What a client that comes back with its `pid` may have back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::SessionServices;
use super::access::{self, AccessError, Admission};
use crate::access::Decisions;
use crate::actors::messages::{Facts, Subject};
use crate::domain::{Identity, Offset, PidKey, Position, Refusal, RoomName};
use crate::store::StoreError;
use crate::store::log::SessionRoom;

/// A session that goes on.
pub struct Recovery {
    pub key: PidKey,
    /// Up to where the client has had everything, as far as one number says.
    pub head: Position,
    pub rooms: Vec<Recovered>,
    /// Rooms that it may no longer be in.
    pub lost: Vec<(RoomName, Refusal)>,
}

/// A room to be in again, and to read on from `start`.
pub struct Recovered {
    pub room: RoomName,
    pub start: Position,
    pub rests_on: Option<(Subject, Facts)>,
}

/// Why a session cannot go on: its client starts a new one and knows that it must fetch anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecovered {
    /// No `pid` of this user, or an offset of another log.
    Unknown,
    /// It has been away for too long.
    TooOld,
    /// Events of one of its rooms are gone.
    Gap,
}

impl NotRecovered {
    /// The metric's label.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::TooOld => "too_old",
            Self::Gap => "gap",
        }
    }
}

/// Looks up what the session was, and whether nothing of it is lost.
///
/// # Errors
/// [`StoreError`] where that cannot be told now; the client should try again.
pub async fn plan(
    services: &SessionServices,
    decisions: &Decisions,
    identity: &Identity,
    pid: &str,
    offset: Option<&str>,
) -> Result<Result<Recovery, NotRecovered>, StoreError> {
    let Some(key) = services.pids.verify(pid, identity) else { return Ok(Err(NotRecovered::Unknown)) };
    let offset = match offset.filter(|text| !text.is_empty()).map(Offset::parse) {
        None => Offset::at(services.view.log, 0),
        Some(Some(offset)) if offset.log == services.view.log && services.reaches(offset.head).await? => offset,
        Some(_) => return Ok(Err(NotRecovered::Unknown)),
    };
    if !services.view.is_durable() {
        // What is held back for the database has no place yet that the client could be sent on from.
        return Err(StoreError::Connection("events wait to be stored".to_owned()));
    }
    let rows = services.store.session_rooms(key).await?;
    if is_too_old(services, &key, &rows) {
        return Ok(Err(NotRecovered::TooOld));
    }
    let mut recovery = Recovery { key, head: offset.head.max(key.began_at), rooms: Vec::new(), lost: Vec::new() };
    let own_room = access::own_room(decisions, identity);
    for (room, start) in starts(own_room, &key, &offset, rows) {
        match access::may_be_in(&services.store, decisions, identity, &room).await {
            Ok(Admission { rests_on }) => {
                if start < services.store.pruned_through(&room).await? {
                    return Ok(Err(NotRecovered::Gap));
                }
                recovery.rooms.push(Recovered { room, start, rests_on });
            }
            Err(AccessError::Refused(refusal)) => recovery.lost.push((room, refusal)),
            Err(AccessError::Store(error)) => return Err(error),
            Err(AccessError::TooCostly) => return Err(StoreError::Timeout),
        }
    }
    Ok(Ok(recovery))
}

/// From where each of the session's rooms is to be read.
fn starts(
    own_room: Option<RoomName>,
    key: &PidKey,
    offset: &Offset,
    rows: Vec<SessionRoom>,
) -> Vec<(RoomName, Position)> {
    let own = own_room.clone().map(|room| (room, offset.head.max(key.began_at)));
    let others = rows.into_iter().filter(|row| Some(&row.room) != own_room.as_ref());
    own.into_iter().chain(others.map(|row| start_of(offset, row))).collect()
}

fn start_of(offset: &Offset, row: SessionRoom) -> (RoomName, Position) {
    let named = offset.behind.iter().find(|(room, _)| *room == row.room).map(|(_, position)| *position);
    let start = match named {
        // An offset of an earlier session may name the room too: nothing before this one's entry is its own.
        Some(position) => position.max(row.since),
        // Nothing since it entered: neither what it asked to have replayed.
        None if offset.head < row.entered_at => row.since,
        None => offset.head,
    };
    (row.room, start)
}

/// A session that is noted was noted in time; one that is not began not long ago.
fn is_too_old(services: &SessionServices, key: &PidKey, rows: &[SessionRoom]) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = Duration::from_secs(key.began_secs.into());
    let seen = rows.iter().filter_map(|row| u64::try_from(row.seen_at_ms).ok()).max().map(Duration::from_millis);
    now.saturating_sub(seen.unwrap_or(began)) > services.log_limits.session_age()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LogId;

    fn row(entered_at: Position, since: Position) -> SessionRoom {
        SessionRoom { room: RoomName::parse("tab:c0000000a").unwrap(), entered_at, since, seen_at_ms: 0 }
    }

    #[test]
    fn a_room_is_read_on_from_what_the_client_has_had() {
        let start = |head, row| start_of(&Offset::at(LogId(1), head), row).1;
        assert_eq!(start(9, row(5, 5)), 9);
        assert_eq!(start(3, row(5, 5)), 5, "it entered after its last event");
        assert_eq!(start(0, row(5, 5)), 5, "it has had no event at all");
        assert_eq!(start(3, row(5, 2)), 2, "it had nothing of the replay that it asked for");
        assert_eq!(start(9, row(5, 2)), 9, "it had all of it");
        let mut cut = Offset::at(LogId(1), 4);
        cut.behind.push((row(5, 2).room, 3));
        assert_eq!(start_of(&cut, row(5, 2)).1, 3, "it had some of it");
    }
}
