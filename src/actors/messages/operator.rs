//! From an operator.

use std::sync::Arc;

use actix::prelude::*;

use super::SessionKey;
use crate::actors::ingress::IngressSlot;
use crate::actors::insight::{Flow, Probe};
use crate::domain::{EventPacket, Identity, Position, RoomName};

/// Ends the session for good: the client is told to stay away.
#[derive(Message, Default)]
#[rtype(result = "()")]
pub struct EndSession {
    /// Given back once it has been handled.
    pub slot: Option<IngressSlot>,
}

/// Sends the session's client something that is for it alone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tell {
    pub packet: EventPacket,
}

/// What only the session knows of itself.
#[derive(Message)]
#[rtype(result = "SessionView")]
pub struct InspectSession;

pub struct SessionView {
    pub identity: Identity,
    /// The rooms, and the position that the session has each one's events after; `None` while it is on its way in.
    pub rooms: Vec<(RoomName, Option<Position>)>,
}

/// The rooms that this thread's audience has a session in, and the position that it has each one's events after.
#[derive(Message)]
#[rtype(result = "Vec<(RoomName, Position)>")]
pub struct InspectSeat {
    pub key: SessionKey,
}

/// How far this thread's members of a room are.
#[derive(Message)]
#[rtype(result = "Vec<MemberView>")]
pub struct InspectMembers {
    pub room: RoomName,
}

#[derive(Clone, Copy, Debug)]
pub struct MemberView {
    pub key: SessionKey,
    pub flow: Flow,
    /// Up to where it has had its events on this connection; `None` before the first.
    pub last: Option<Position>,
}

/// Has a room learn anew who is in it, as it does after a failure; nothing that it has accepted is lost.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct RestartRoom {
    pub room: RoomName,
}

/// The same, from the registry to the room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartAgain {
    pub probe: Arc<Probe>,
}
