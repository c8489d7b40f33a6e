//! A session: one client, who it is, which rooms it is in, and what it asks for.

mod access;
mod actor;
mod commands;
mod cursor;
mod directory;
mod identify;
mod joins;
mod operator;
mod orders;
mod reading;
pub mod recovery;
mod rights;
mod sampler;
mod state;
mod trail;

pub use access::read_publish;
pub use actor::{PublishIds, Session, SessionSeed, SessionServices};
pub use commands::publishing;
pub use directory::{Directory, Listed};
pub use identify::{NotIdentified, identify, operator};
pub use operator::as_if_asked;
pub use sampler::Sampler;
