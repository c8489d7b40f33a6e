//! Between the registry and its rooms.

use actix::prelude::*;

use super::{Entry, Leave};
use crate::actors::publication::Part;
use crate::domain::RoomName;

/// Takes the event's place in this room's order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Place {
    pub part: Part,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Depart {
    pub leave: Leave,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter {
    pub entry: Entry,
}

/// An event to several rooms has been reached by all of them: go on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Resume;

/// A room that nobody is in, and that nobody has asked for anything since, may go.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RetireRoom {
    pub room: RoomName,
    pub generation: u64,
    /// Messages that the room has handled: if the registry sent more, some are on their way.
    pub handled: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

/// A room's actor is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomEnded {
    pub room: RoomName,
    pub generation: u64,
    /// What it said as it panicked; `None` if it retired.
    pub panic: Option<String>,
    pub handled: u64,
}

/// Answered when the registry has handled what was sent to it before.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Makes a room, or the bridge, panic. Only tests send it, to see that nobody notices.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProvokePanic {
    pub room: RoomName,
}
