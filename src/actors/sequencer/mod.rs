//! The one order of everything: the sequencer takes events, entries and leavings as they come,
//! has them stored a batch at a time, and then hands them to the audiences in that order.
//!
//! Why one order over all rooms, and not one for each: docs/decisions/0005-one-order.md.

mod actor;
mod adoption;
mod answers;
mod backlog;
mod batches;
mod cluster;
mod dispatch;
mod look;
mod loose;
mod outage;
mod pace;
mod tail;
mod view;

pub use actor::Sequencer;
pub use view::LogView;
