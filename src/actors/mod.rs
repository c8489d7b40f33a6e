//! The actors and how they are tied:
//!
//! ```text
//!  Session ──Publish, Join, Leave──► Registry ──Place, Enter, Leave──► Room ──Sequence──► Sequencer ──► store
//!     ▲ ▲                               ▲ RoomEnded, RetireRoom          │                  │    ▲
//!     │ │ PublishSettled                └────────────────────────────────┘                  │    │ ReadLog
//!     │ └──────────────────────────────────────────────────────────────────────────────────┤    │
//!     └─ Entered, FellBehind                                Deliver, AddMember, RemoveMember │    Session
//!  connection ◄── Outlet ◄── Audience (one on each worker thread, a Seat for each session) ◄─┘
//! ```
//!
//! The ClusterBridge, on a thread of its own, hears from the Sequencer what was stored (`Stored`, `WentOut`), and tells
//! it what other instances have stored (`Relayed`, `RelayedLoose`, `PeerIsAt`).
//!
//! Everything for a room goes through the Registry's mailbox and the room's to the Sequencer, which
//! has it stored and hands it on in one order. So a publisher's events keep their order, a
//! publish to several rooms takes its places in all of them in one step, and one number says of
//! all rooms what a session has had. Everything for sessions goes through the Audience of their
//! thread, so events cross each thread at most once.

pub mod audience;
pub mod audit;
pub mod cluster_bridge;
pub mod cluster_messages;
pub mod ingress;
pub mod insight;
pub mod logged;
pub mod messages;
pub mod publication;
pub mod registry;
pub mod revocations;
pub mod rights;
pub mod room;
pub mod seat;
pub mod sequencer;
pub mod session;
pub mod supervision;

pub use audience::Audience;
pub use audit::AuditTrail;
pub use registry::Registry;
pub use revocations::RevocationMonitor;
pub use rights::RightsMonitor;
pub use sequencer::Sequencer;
pub use session::Session;
