//! Clients' connections: from the TCP stream to a session and back.
//!
//! ```text
//!  in:   TcpStream ─► Wire ─► socketioxide ─► intake ─► Session
//!  out:  Audience, Session ─► Outlet ─┬─ Lane: one encoding, appended to the connection's Outbox
//!                                     └─ Ordinary: through socketioxide's queue (polling)
//! ```
//!
//! The lane is there for speed: a server's websocket frames are not masked, so the
//! bytes of an event are the same for everyone, and appending them to a connection's
//! [`outbox`] costs a copy where the ordinary way costs an encoding, a channel, a task
//! and a write for each recipient. What keeps it right: the websocket library writes
//! through the same outbox, whole frames at a time; the lane holds its frames back until
//! CONNECT has passed and takes none after DISCONNECT; a session that is upgraded from polling
//! goes over to it once, behind a last packet on the ordinary way ([`tally`]), so the two cannot
//! reorder its events; and the outbox has a bound, past which the transport is closed and the
//! client comes back.

pub mod admin_ui;
pub mod body;
pub mod buffers;
pub mod connection;
pub mod frame;
pub mod guarded;
pub mod handover;
pub mod handshake;
pub mod intake;
pub mod lane;
pub mod link;
pub mod ordinary;
pub mod origin;
pub mod outbox;
pub mod peer;
pub mod polling;
pub mod reception;
pub mod server;
pub mod tally;
pub mod turn;
pub mod wire;
pub mod worker;

pub use server::SocketServer;
