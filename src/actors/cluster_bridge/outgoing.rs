//! What goes to the peers.

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Span;

use super::Announcement;
use super::actor::ClusterBridge;
use crate::actors::cluster_messages::{Stored, StoredHere, WentOut};
use crate::actors::logged::Logged;
use crate::bus::adapter;
use crate::bus::relay::{self, Behind, Control, Fact, LogEvent, LogFrame, LooseEvent, NO_POSITION, Name, Trace};
use crate::domain::{Position, RoomName};
use crate::store::log::PublishName;
use crate::telemetry::spans;

/// Bytes of payload of one frame, about: a batch that has more goes out in several.
const PART: usize = 1024 * 1024;

impl ClusterBridge {
    pub(super) fn relay_stored(&mut self, stored: Stored) {
        let Stored { mut before, last, events } = stored;
        let mut events = &events[..];
        loop {
            let (part, rest) = events.split_at(length_of_part(events));
            let through = if rest.is_empty() { last } else { last_position(part).unwrap_or(last) };
            self.publish_part(before, through, part);
            (before, events) = (through, rest);
            if events.is_empty() {
                return;
            }
        }
    }

    fn publish_part(&mut self, before: Position, last: Position, part: &[StoredHere]) {
        let events: Vec<LogEvent<'_>> = part.iter().filter_map(log_event).collect();
        let frame = LogFrame { instance: self.cluster.instance, before, last, events };
        let traces = part.iter().filter_map(|stored| trace(stored.event.position()?, &stored.span)).collect();
        let names =
            part.iter().filter_map(|stored| Some(named(stored.event.position()?, stored.name.as_ref()?))).collect();
        if let Some(sealed) = self.cluster.seal.close_with(relay::LOG, &frame, &Behind { traces, names })
            && self.bus.publish(relay::LOG, sealed)
        {
            self.note_relayed(part.len(), part.iter().map(|stored| &*stored.event));
        } else {
            part.iter().for_each(|stored| spans::failed(&stored.span));
        }
        for StoredHere { event, on_node, .. } in part {
            if !on_node {
                self.tell_node_servers(event);
            }
        }
    }

    pub(super) fn relay_loose(&mut self, went_out: WentOut) {
        let WentOut { event, identity, name: published_as, on_node, span } = went_out;
        let (name, payload) = event.content();
        let rooms = event.rooms().iter().map(RoomName::as_str).collect();
        let channel = if identity.is_some() { relay::UNPLACED } else { relay::VOLATILE };
        let except = event.except().map(|except| except.names().collect()).unwrap_or_default();
        let (instance, identity) = (self.cluster.instance, identity.as_deref());
        let frame = LooseEvent { instance, identity, rooms, name, payload, except };
        let traces = trace(NO_POSITION, &span).into_iter().collect();
        let names = published_as.iter().map(|name| named(NO_POSITION, name)).collect();
        if let Some(sealed) = self.cluster.seal.close_with(channel, &frame, &Behind { traces, names })
            && self.bus.publish(channel, sealed)
        {
            self.note_relayed(1, [&*event]);
        } else {
            spans::failed(&span);
        }
        if !on_node {
            self.tell_node_servers(&event);
        }
    }

    fn note_relayed<'a>(&self, count: usize, events: impl IntoIterator<Item = &'a Logged>) {
        self.services.metrics.bridge.relayed_out.increment(count as u64);
        // Without Redis it waits, and may be left out.
        if self.cluster.is_connected() {
            events.into_iter().filter_map(Logged::way).for_each(|way| way.note_relayed());
        }
    }

    /// As Node's own adapter would publish it, without the offset. Not where nobody listens.
    fn tell_node_servers(&self, event: &Logged) {
        if self.node_servers == Some(0) {
            return;
        }
        let (name, payload) = event.content();
        let rooms: Vec<&str> = event.rooms().iter().map(RoomName::as_str).collect();
        if let Some((channel, packet)) = adapter::event(&self.uid, name, payload, &rooms, event.is_volatile()) {
            self.bus.publish(channel, packet);
        }
    }

    pub(super) fn announce(&mut self, announcement: &Announcement) {
        match announcement {
            Announcement::Connected(pid) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let since_ms = u64::try_from(now.as_millis()).unwrap_or_default();
                self.tell_peers(Fact::connected(*pid, since_ms));
            }
            Announcement::Rights(user) => self.tell_peers(Fact::Rights { user: user.as_str() }),
        }
    }

    pub(super) fn tell_peers(&self, fact: Fact<'_>) {
        if let Some(frame) = self.sealed(fact) {
            self.bus.publish(relay::CONTROL, frame);
        }
    }

    pub(super) fn sealed(&self, fact: Fact<'_>) -> Option<Vec<u8>> {
        self.cluster.seal.close(relay::CONTROL, &Control { instance: self.cluster.instance, fact })
    }
}

fn length_of_part(events: &[StoredHere]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take_while(|stored| {
        bytes += stored.event.weight();
        bytes <= PART
    });
    // One that is larger goes alone.
    fits.count().max(1).min(events.len())
}

/// `None` where it is not sampled.
fn trace(position: Position, span: &Span) -> Option<Trace<'static>> {
    spans::traceparent(span).map(|parent| Trace { position, parent: parent.into() })
}

fn named(position: Position, name: &PublishName) -> Name<'_> {
    Name { position, publisher: &name.publisher, id: &name.id, digest: name.digest }
}

fn last_position(part: &[StoredHere]) -> Option<Position> {
    part.last().and_then(|stored| stored.event.position())
}

fn log_event(stored: &StoredHere) -> Option<LogEvent<'_>> {
    let (name, payload) = stored.event.content();
    Some(LogEvent {
        position: stored.event.position()?,
        rooms: stored.event.rooms().iter().map(RoomName::as_str).collect(),
        name,
        payload,
        held_as: stored.held_as.as_deref(),
    })
}
