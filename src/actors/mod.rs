//! The actors and how they are tied:
//!
//! ```text
//!  Session ──Publish, Join, Leave──► Registry ──Place, Enter, Leave──► Room
//!     ▲                                 ▲ RoomEnded, RetireRoom          │
//!     │ PublishSettled, JoinFailed      └────────────────────────────────┤
//!     └──────────────────────────────────────────────────────────────────┤
//!                                                                        │ Deliver, AddMember, RemoveMember
//!  connection ◄── Outlet ◄── Audience (one on each worker thread) ◄──────┘
//! ```
//!
//! Everything for a room goes through the Registry's mailbox and then the room's,
//! so a publisher's events keep their order, and a publish to several rooms takes
//! its places in all of them in one step. Everything from a room goes through the
//! Audience of each thread, so a room's events reach every session in one order
//! and cross each thread at most once.

pub mod audience;
pub mod ingress;
pub mod messages;
pub mod publication;
pub mod registry;
pub mod revocations;
pub mod rights;
pub mod room;
pub mod session;
pub mod supervision;

pub use audience::Audience;
pub use registry::Registry;
pub use revocations::RevocationMonitor;
pub use rights::RightsMonitor;
pub use session::Session;
