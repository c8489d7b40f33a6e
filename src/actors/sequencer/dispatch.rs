//! How a step goes out once its place is known.

use std::sync::Arc;
use std::time::Instant;

use super::actor::{Sequencer, logged};
use crate::actors::insight::{Outgoing, Publisher, Way};
use crate::actors::logged::Logged;
use crate::actors::messages::{AddMember, Begin, Deliver, Entered, EnteredAt, Entry, Reply, Sequence};
use crate::actors::publication::{Receipt, Settlement};
use crate::domain::{Offset, Position, Refusal, packet};
use crate::store::log::{Append, StoredEvent, Write, Written};

/// Every worker thread.
const ALL: u64 = u64::MAX;

impl Sequencer {
    /// Hands a step on; `written` says what became of what it had to have stored.
    pub(super) fn dispatch(&mut self, step: Sequence, written: Option<Written>) {
        match step {
            Sequence::Publish(settlement) => self.publish(settlement, written),
            Sequence::Enter(entry) => self.enter(entry),
            // Its audience hears of it as the message is dropped.
            Sequence::Leave(leave) => drop(leave),
            Sequence::Note(_) => {}
            // Who asked may have gone.
            Sequence::Barrier(passed) => passed.send(()).unwrap_or_default(),
        }
    }

    fn publish(&mut self, settlement: Settlement, written: Option<Written>) {
        let Settlement { append, audiences, receipt } = settlement;
        match written {
            Some(Written::Placed(position)) => {
                let way = self.note(&append, &receipt, Some(position));
                let event = self.place(&append, position, Some(way));
                self.deliver(&event, audiences);
                receipt.publish(self.head_offset.clone(), true);
            }
            Some(Written::NotKept) | None => self.publish_unplaced(append, audiences, receipt),
            Some(Written::Repeated(position)) => {
                receipt.publish(Offset::at(self.view.log, position).to_string().into(), true);
            }
            Some(Written::Contradicted) => receipt.refuse(Refusal::invalid("id")),
            // The state that was asked for is there, and stored.
            Some(Written::Unchanged | Written::Noted) => receipt.publish(self.head_offset.clone(), true),
        }
    }

    pub(super) fn publish_unplaced(&mut self, append: Append, audiences: u64, receipt: Receipt) {
        let way = self.note(&append, &receipt, None);
        if append.kept {
            self.census.ways.expect_stored(append.event.clone(), way.clone());
        }
        let event = Arc::new(Logged::unplaced(append.rooms, append.event, !append.kept).on(way));
        self.deliver(&event, audiences);
        receipt.publish(self.head_offset.clone(), false);
    }

    /// Gives an event its place in memory, as it has one in the database.
    fn place(&mut self, append: &Append, position: Position, way: Option<Arc<Way>>) -> Arc<Logged> {
        let (name, payload) = (append.event.name(), append.event.payload());
        let event = Logged::placed(append.rooms.clone(), name, payload, self.view.log, position);
        let event = Arc::new(match way {
            Some(way) => event.on(way),
            None => event,
        });
        self.set_head(position);
        self.tail.push(event.clone());
        event
    }

    /// An event that went out before it could be stored is stored now. Who was there has had it.
    pub(super) fn note_stored(&mut self, write: &Write, written: Option<Written>) {
        if let (Write::Append(append), Some(Written::Placed(position))) = (write, written) {
            self.place(append, position, None);
            self.census.ways.stored(&append.event, position);
        }
    }

    /// An event that another process on the same database has stored.
    pub(super) fn adopt(&mut self, event: StoredEvent) {
        let position = event.position;
        let way = self.census.ways.note(Outgoing {
            id: "".into(),
            event: &event.name,
            rooms: event.rooms.as_slice().into(),
            publisher: Publisher::Elsewhere,
            received: Instant::now(),
            position: Some(position),
            audiences: self.audiences.len(),
        });
        let event = Arc::new(logged(event, self.view.log).on(way));
        self.set_head(position);
        self.tail.push(event.clone());
        self.deliver(&event, ALL);
    }

    /// Notes an event's way as it goes out.
    fn note(&self, append: &Append, receipt: &Receipt, position: Option<Position>) -> Arc<Way> {
        self.census.ways.note(Outgoing {
            id: receipt.id().clone(),
            event: append.event.name(),
            rooms: append.rooms.clone(),
            publisher: receipt.publisher(),
            received: receipt.received(),
            position,
            audiences: self.audiences.len(),
        })
    }

    fn deliver(&self, event: &Arc<Logged>, audiences: u64) {
        for (index, audience) in self.audiences.iter().enumerate() {
            if let Some(audience) = audience
                && audiences & 1 << index != 0
            {
                audience.do_send(Deliver { event: event.clone() });
            }
        }
    }

    pub(super) fn enter(&mut self, mut entry: Entry) {
        let at = self.head;
        // Between the position asked for and here there is nearly always nothing to read.
        let held = match entry.begin {
            Begin::After(position) => self.tail.may_have_after(&entry.room, position),
            Begin::Held | Begin::FromLog => true,
            Begin::Now => false,
        };
        let waiting = entry.entered.take();
        let from_log = held && waiting.is_none();
        let begin = match (held, from_log) {
            (false, _) => Begin::Now,
            (true, true) => Begin::FromLog,
            (true, false) => Begin::Held,
        };
        let mut reply = std::mem::take(&mut entry.reply);
        if let Some((_, answer)) = &mut reply.ack {
            *answer = packet::with_member(answer, "offset", &self.head_offset).into();
        }
        let (reply, entered) = match waiting {
            // Its session answers, when it has read what it asked for.
            Some(waiting) if held => (Reply::default(), Some(waiting)),
            Some(waiting) => {
                // A session that has gone needs no word.
                waiting.send(EnteredAt { at, held, live_through: None }).ok();
                (reply, None)
            }
            None => (reply, None),
        };
        entry.done();
        let member = &entry.member;
        let (room, key, session) = (entry.room.clone(), member.key, member.session.clone());
        let outlet = member.outlet.clone();
        member.audience.do_send(AddMember { room, key, outlet, session, begin, at, reply, entered });
        member.session.do_send(Entered { room: entry.room.clone(), at, from_log });
    }
}
