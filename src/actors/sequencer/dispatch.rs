//! How a step goes out once its place is known.

use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::actor::{Known, Sequencer, logged};
use crate::actors::cluster_messages::RelayedLoose;
use crate::actors::insight::{Outgoing, Publisher, Way};
use crate::actors::logged::Logged;
use crate::actors::messages::{AddMember, Begin, Deliver, Entered, EnteredAt, Entry, Reply, Sequence};
use crate::actors::publication::{Receipt, Settlement};
use crate::domain::{ErrorCode, Offset, Position, Refusal, packet};
use crate::store::log::{Append, Generation, PublishName, StoredEvent, Write, Written};
use crate::telemetry::spans;

/// Every worker thread.
const ALL: u64 = u64::MAX;

impl Sequencer {
    /// Hands a step on; `written` says what became of what it had to have stored, and in which commit.
    pub(super) fn dispatch(&mut self, step: Sequence, written: Option<(Written, Generation)>) {
        match step {
            Sequence::Publish(settlement) => self.publish(settlement, written),
            Sequence::Enter(entry) => {
                // A replay is asked for at a place of its own, so that an offset says whether it came before or after.
                if let Some((Written::Placed(position), _)) = written {
                    self.set_head(position);
                }
                self.enter(entry);
            }
            // Its audience hears of it as the message is dropped.
            Sequence::Leave(leave) => drop(leave),
            Sequence::Note(_) => {}
            // Who asked may have gone.
            Sequence::Barrier(passed) | Sequence::CatchUp(passed) => passed.send(()).unwrap_or_default(),
        }
    }

    fn publish(&mut self, settlement: Settlement, written: Option<(Written, Generation)>) {
        let Settlement { append, audiences, receipt } = settlement;
        let Some((written, generation)) = written else { return self.publish_unplaced(append, audiences, receipt) };
        match written {
            Written::Placed(position) => {
                let way = self.note(&append, &receipt, Some(position));
                let event = self.place(&append, position, Some(way));
                self.deliver(&event, audiences, receipt.span());
                self.cluster.placed(&event, None, receipt.publisher() == Publisher::Node, receipt.span());
                self.remember(append.name.as_ref(), true);
                self.answers.put(receipt, self.head_offset.clone(), generation);
            }
            Written::NotKept => self.publish_unplaced(append, audiences, receipt),
            Written::Repeated { position, kept: true } => {
                let offset = Offset::at(self.view.log, position).to_string().into();
                self.answers.put(receipt, offset, generation);
            }
            Written::Repeated { position, kept: false } => {
                receipt.publish(Offset::at(self.view.log, position).to_string().into(), false);
            }
            Written::Contradicted => receipt.refuse(Refusal::invalid("id")),
            Written::Locked => receipt.refuse(Refusal::new(ErrorCode::Unavailable, "Failed to broadcast")),
            Written::Failed => receipt.refuse(Refusal::new(ErrorCode::Internal, "Failed to broadcast")),
            // The state that was asked for is there, and stored.
            Written::Unchanged | Written::Noted => self.answers.put(receipt, self.head_offset.clone(), generation),
        }
    }

    pub(super) fn publish_unplaced(&mut self, append: Append, audiences: u64, receipt: Receipt) {
        self.remember(append.name.as_ref(), false);
        let way = self.note(&append, &receipt, None);
        if append.kept {
            self.census.ways.expect_stored(append.event.clone(), way.clone());
        }
        let event = Arc::new(Logged::unplaced(append.rooms, append.event, !append.kept, append.except).on(way));
        self.deliver(&event, audiences, receipt.span());
        if !append.kept || append.held_as.is_some() {
            let on_node = receipt.publisher() == Publisher::Node;
            self.cluster.went_out(&event, append.held_as, on_node, receipt.span(), self.head);
        }
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
        self.no_longer_held(write);
        if let (Write::Append(append), Some(Written::Placed(position))) = (write, written) {
            let event = self.place(append, position, None);
            self.census.ways.stored(&append.event, position);
            self.cluster.placed(&event, append.held_as.clone(), true, &Span::none());
            // Nobody enters here until all that went out is stored.
            self.note_placed(&event, self.entries);
        }
    }

    /// Notes what the newest publishes of a name were answered: an outage cannot ask the database for it.
    fn remember(&mut self, name: Option<&PublishName>, durable: bool) {
        let Some(name) = name else { return };
        let known = Known { digest: name.digest, offset: self.head_offset.clone(), durable };
        self.recent.insert((name.publisher.clone(), name.id.clone()), known);
        if self.recent.len() > Self::MAX_RECENT {
            // The older half goes at once: removing one moves all.
            self.recent.drain(..Self::MAX_RECENT / 2);
        }
    }

    const MAX_RECENT: usize = 20_000;

    /// An event that another process on the same database has stored.
    pub(super) fn adopt(&mut self, event: StoredEvent, relayed: &Span) {
        let position = event.position;
        let gone_out = self.gone_out_after(&event);
        let way = self.census.ways.note(Outgoing {
            id: "".into(),
            event: &event.name,
            rooms: event.rooms.as_slice().into(),
            except: None,
            publisher: Publisher::Elsewhere,
            received: Instant::now(),
            position: Some(position),
            audiences: self.audiences.len(),
        });
        let event = Arc::new(logged(event, self.view.log).on(way));
        self.set_head(position);
        self.tail.push(event.clone());
        if let Some(entry) = gone_out {
            self.note_placed(&event, entry);
        } else {
            self.deliver(&event, ALL, relayed);
        }
    }

    /// An event without a place that has gone out at another instance.
    pub(super) fn deliver_loose(&mut self, loose: RelayedLoose) {
        let RelayedLoose { identity, rooms, event, except, span } = loose;
        let way = self.census.ways.note(Outgoing {
            id: "".into(),
            event: event.name(),
            rooms: rooms.clone(),
            except: except.clone(),
            publisher: Publisher::Elsewhere,
            received: Instant::now(),
            position: None,
            audiences: self.audiences.len(),
        });
        let event = Logged::unplaced(rooms, event, identity.is_none(), except).on(way);
        self.deliver(&Arc::new(event), ALL, &span);
    }

    /// Notes an event's way as it goes out.
    fn note(&self, append: &Append, receipt: &Receipt, position: Option<Position>) -> Arc<Way> {
        self.census.ways.note(Outgoing {
            id: receipt.id().clone(),
            event: append.event.name(),
            rooms: append.rooms.clone(),
            except: append.except.clone(),
            publisher: receipt.publisher(),
            received: receipt.received(),
            position,
            audiences: self.audiences.len(),
        })
    }

    fn deliver(&self, event: &Arc<Logged>, audiences: u64, publish: &Span) {
        for (index, audience) in self.audiences.iter().enumerate() {
            if let Some(audience) = audience
                && audiences & 1 << index != 0
            {
                audience.do_send(Deliver { event: event.clone(), span: spans::fan_out(publish, index) });
            }
        }
    }

    pub(super) fn enter(&mut self, mut entry: Entry) {
        let at = self.head;
        self.entries += 1;
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
        let (outlet, socket_id) = (member.outlet.clone(), member.socket_id.clone());
        let (told, probe) = (session.recipient(), session.probe().clone());
        let number = self.entries;
        member.audience.do_send(AddMember {
            room,
            key,
            socket_id,
            outlet,
            session: told,
            probe,
            begin,
            at,
            entry: number,
            reply,
            entered,
        });
        if from_log {
            session.do_send(Entered { room: entry.room.clone() });
        }
    }
}
