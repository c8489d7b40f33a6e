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
mod services;
mod state;
mod told;
mod trail;

pub use access::read_publish;
pub use actor::{Session, SessionSeed};
pub use commands::publishing;
pub use directory::{Directory, Listed};
pub use identify::{NotIdentified, identify, operator, operator_lapsed};
pub use operator::as_if_asked;
pub use sampler::Sampler;
pub use services::{PublishIds, SessionServices};
