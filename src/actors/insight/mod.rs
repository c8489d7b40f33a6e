//! What an operator may see of the actors without asking them: counted and noted as they work, read
//! from outside. Nothing here waits for an actor, so looking never stalls one.

mod census;
mod journal;
mod life;
mod post;
mod probe;
mod series;
mod ways;
mod witnesses;

pub use census::{AudienceRecord, Census, RoomRecord};
pub use journal::{Flow, Journal, Seen};
pub use life::{LastError, Life, Newcomer, SessionRecord};
pub use post::Post;
pub use probe::{Probe, State, Vitals};
pub use series::{Point, Series};
pub use ways::{HandedOver, Outgoing, Publisher, Way, Ways};
pub use witnesses::{Fate, Witness, witnesses};
