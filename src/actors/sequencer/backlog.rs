//! What waits for its place, and the batch that is being stored.

use tracing::Span;

use super::actor::Sequencer;
use super::outage::Outage;
use crate::actors::insight::State;
use crate::actors::messages::{Begin, Sequence};
use crate::domain::{PidKey, RoomName};
use crate::store::log::{Append, Write};
use crate::telemetry::spans;

/// What has to be stored before this may go out; `None` where nothing has.
pub fn write_of(step: &Sequence) -> Option<Write> {
    match step {
        Sequence::Publish(settlement) => {
            let append = &settlement.append;
            is_stored(append).then(|| Write::Append(append.clone()))
        }
        Sequence::Enter(entry) => entry.noted.map(|session| {
            let since = match entry.begin {
                Begin::After(position) => Some(position),
                Begin::Now | Begin::Held | Begin::FromLog => None,
            };
            Write::Enter { session, room: entry.room.clone(), since }
        }),
        Sequence::Leave(leave) => leave.noted().map(|session| Write::Leave { session, room: leave.room().clone() }),
        Sequence::Note(write) => Some(write.clone()),
        Sequence::Barrier(_) => None,
        Sequence::CatchUp(_) => Some(Write::Look),
    }
}

/// Whether [`write_of`] gives something, without making it.
pub fn has_write(step: &Sequence) -> bool {
    match step {
        Sequence::Publish(settlement) => is_stored(&settlement.append),
        Sequence::Enter(entry) => entry.noted.is_some(),
        Sequence::Leave(leave) => leave.noted().is_some(),
        Sequence::Note(_) | Sequence::CatchUp(_) => true,
        Sequence::Barrier(_) => false,
    }
}

fn is_stored(append: &Append) -> bool {
    append.kept || append.name.is_some() || append.change.is_some()
}

/// The spans of the publishes that a batch stores.
pub fn store_spans(slots: &[Slot], writes: usize) -> Vec<Span> {
    let traced = slots.iter().filter_map(|slot| match slot {
        Slot::Waiting(Sequence::Publish(settlement)) if is_stored(&settlement.append) => {
            Some(settlement.receipt.span()).filter(|publish| !publish.is_disabled())
        }
        _ => None,
    });
    traced.map(|publish| spans::store(publish, writes)).collect()
}

/// One step of the batch that is being stored.
pub enum Slot {
    /// Goes out once the batch is stored.
    Waiting(Sequence),
    /// Has gone out, as the database took too long; to be written again if this batch fails.
    Gone(Write),
    /// An entry that was refused, as the database took too long: if it is stored it has to be taken back.
    Refused(PidKey, RoomName),
    /// Has gone out, and need not be written again.
    Forgotten,
}

impl Sequencer {
    /// Tells the operator what waits to be stored.
    pub(super) fn note_backlog(&self) {
        let in_flight = self.in_flight.as_ref().map_or(0, |batch| batch.slots.len());
        let held = self.outage.as_ref().map_or(0, Outage::len);
        let probe = &self.census.sequencer;
        probe.set_backlog(self.queue.len() + in_flight + held + self.answers.len());
        probe.set_state(if self.outage.is_some() { State::Outage } else { State::Running });
    }
}
