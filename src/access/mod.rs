//! Who someone is and what they may do. Decisions only: no database, no actors.

pub mod admin;
pub mod pids;
pub mod policy;
pub mod quota;
pub mod rate_limit;
mod secrets;
pub mod spender;
pub mod tokens;

pub use admin::{AdminAccess, NotAdministrator};
pub use pids::Pids;
pub use policy::{Decisions, Policy};
pub use quota::{Exhausted, Permit, Quota};
pub use rate_limit::RateLimit;
pub use spender::Spender;
pub use tokens::{Claim, TokenRefusal, Tokens};
