//! What the restaurant talks about: names, identities, events and refusals.
//! Values here are valid by their type, and nothing here does I/O.

pub mod audit;
pub mod command;
pub mod event;
pub mod except;
pub mod identity;
pub mod ids;
pub mod offset;
pub mod packet;
pub mod pid;
pub mod refusal;
pub mod room;
pub mod warrant;

pub use audit::{AuditOutcome, AuditRecord, AuditTarget};
pub use command::{Command, EventName, KitchenStatus, PublishRequest};
pub use event::Event;
pub use except::{Except, SocketId, TooManyExcepted};
pub use identity::{Bearer, Identity, StaffRole, TabFacts, TabStatus, TableFacts, UserFacts};
pub use ids::{Cuid, UserId};
pub use offset::{LogId, Offset, Position};
pub use packet::EventPacket;
pub use pid::PidKey;
pub use refusal::{ErrorCode, Refusal};
pub use room::{RoomKind, RoomName};
pub use warrant::{RevocationId, Warrant, WarrantFault, names_a_key};
