//! A session: one client, who it is, which rooms it is in, and what it asks for.

mod access;
mod actor;
mod directory;
mod state;

pub use actor::{Session, SessionSeed, SessionServices};
pub use directory::Directory;
