//! A room: who is in it, and the order of its events.

mod actor;
mod state;

pub use actor::{Room, RoomSeed};
