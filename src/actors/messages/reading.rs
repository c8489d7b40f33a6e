//! Between a session and its audience, while the session reads from the log.

use actix::prelude::*;

use super::SessionKey;
use crate::domain::{Position, RoomName};

/// The outlet took no more: the events after this one, of all of the session's rooms, are
/// for the session to read from the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FellBehind {
    pub after: Position,
    /// From where each of the session's rooms is to be read.
    pub starts: Vec<(RoomName, Position)>,
}

/// Keep the session's events from here on: it is about to read up to them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hold {
    pub key: SessionKey,
}

/// The session has sent its client everything up to and with `through`: send what was kept after it,
/// and all that comes.
#[derive(Message)]
#[rtype(result = "GoneLive")]
pub struct GoLive {
    pub key: SessionKey,
    pub through: Position,
}

/// Whether a session is sent its events as they come now.
#[derive(Debug, MessageResponse)]
pub enum GoneLive {
    Live,
    /// Not yet: more came than was kept, or a room was entered meanwhile. The session has to
    /// read its rooms on, each from here.
    ReadOn(Vec<(RoomName, Position)>),
}

/// Who of this thread is in a room: a room that starts again asks.
#[derive(Message)]
#[rtype(result = "Vec<SessionKey>")]
pub struct FindMembers {
    pub room: RoomName,
}
