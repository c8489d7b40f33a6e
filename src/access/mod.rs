//! Who someone is and what they may do. Decisions only: no database, no actors.

pub mod admin;
pub mod pids;
pub mod policy;
pub mod rate_limit;
pub mod tokens;

pub use admin::{AdminAccess, NotAdministrator};
pub use pids::Pids;
pub use policy::{Decisions, Policy};
pub use rate_limit::RateLimit;
pub use tokens::{Claim, TokenRefusal, Tokens};
