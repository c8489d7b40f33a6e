//! A session: one client, who it is, which rooms it is in, and what it asks for.

mod access;
mod actor;
mod commands;
mod directory;
mod identify;
mod rights;
mod state;

pub use actor::{PublishIds, Session, SessionSeed, SessionServices};
pub use directory::Directory;
pub use identify::{NotIdentified, identify};
