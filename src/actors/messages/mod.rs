//! What actors tell each other. Commands are verbs, questions `Find…`, facts in the past tense.

mod client;
mod entering;
mod operator;
mod outlet;
mod reading;
mod rights;
mod rooms;
mod sequence;

pub use client::{ClientEvent, Closed, Drain, EventPayload, Replaced};
pub use entering::{
    Begin, Entered, EnteredAt, Entry, Join, JoinFailed, Leave, LeaveRoom, Publish, PublishSettled, Published,
};
pub use operator::{
    EndSession, InspectMembers, InspectSeat, InspectSession, MemberView, RestartRoom, SessionView, StartAgain, Tell,
};
pub use outlet::{Closing, Leaves, Member, Outlet, OutletDrained, Reply, SessionKey, Traffic};
pub use reading::{FellBehind, FindMembers, GoLive, GoneLive, Hold};
pub use rights::{
    Facts, ReadRights, RightsChanged, Subject, TokenRevoked, UnwatchRights, UnwatchToken, WatchRights, WatchToken,
};
pub use rooms::{Depart, Enter, Flush, Place, ProvokePanic, Resume, Retire, RetireRoom, RoomEnded};
pub use sequence::{
    AddMember, AudienceStarted, CloseMembers, Deliver, Look, Placed, ReadLog, RemoveMember, Sequence, Settle,
};
