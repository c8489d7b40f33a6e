//! An event with its place in the log, as it goes from the sequencer to the members of its rooms.

use std::sync::Arc;

use super::insight::Way;
use crate::domain::{Event, EventPacket, Except, LogId, Offset, Position, RoomName};

/// An event that goes out. Encoded once where it has a position: its offset is the same for everyone.
pub struct Logged {
    rooms: Arc<[RoomName]>,
    content: Content,
    way: Option<Arc<Way>>,
}

#[derive(Debug)]
enum Content {
    Placed {
        position: Position,
        packet: EventPacket,
    },
    /// Not kept, or not stored yet: each session gets it with the offset that stood before it.
    Unplaced {
        event: Event,
        volatile: bool,
        except: Option<Arc<Except>>,
    },
}

impl Logged {
    pub fn placed(rooms: Arc<[RoomName]>, name: &str, payload: &str, log: LogId, position: Position) -> Self {
        let packet = EventPacket::with_offset(name, payload, &Offset::at(log, position).to_string());
        Self { rooms, content: Content::Placed { position, packet }, way: None }
    }

    /// `volatile` where it is not to be kept, rather than not stored yet.
    pub fn unplaced(rooms: Arc<[RoomName]>, event: Event, volatile: bool, except: Option<Arc<Except>>) -> Self {
        Self { rooms, content: Content::Unplaced { event, volatile, except }, way: None }
    }

    /// With what is noted of it as it goes out.
    #[must_use]
    pub fn on(mut self, way: Arc<Way>) -> Self {
        self.way = Some(way);
        self
    }

    pub fn way(&self) -> Option<&Arc<Way>> {
        self.way.as_ref()
    }

    pub fn is_volatile(&self) -> bool {
        matches!(self.content, Content::Unplaced { volatile: true, .. })
    }

    pub fn rooms(&self) -> &[RoomName] {
        &self.rooms
    }

    /// Who it is not for.
    pub fn except(&self) -> Option<&Arc<Except>> {
        if let Content::Unplaced { except, .. } = &self.content { except.as_ref() } else { None }
    }

    pub fn position(&self) -> Option<Position> {
        match &self.content {
            Content::Placed { position, .. } => Some(*position),
            Content::Unplaced { .. } => None,
        }
    }

    /// The event's name and its payload, as it was published.
    pub fn content(&self) -> (&str, &str) {
        match &self.content {
            Content::Placed { packet, .. } => (packet.name(), packet.payload()),
            Content::Unplaced { event, .. } => (event.name(), event.payload()),
        }
    }

    /// The packet with its own offset.
    pub fn packet(&self) -> Option<&EventPacket> {
        match &self.content {
            Content::Placed { packet, .. } => Some(packet),
            Content::Unplaced { .. } => None,
        }
    }

    /// The packet with another offset.
    pub fn packet_with(&self, offset: &str) -> EventPacket {
        match &self.content {
            Content::Placed { packet, .. } => EventPacket::with_offset(packet.name(), packet.payload(), offset),
            Content::Unplaced { event, .. } => EventPacket::with_offset(event.name(), event.payload(), offset),
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        let text = match &self.content {
            Content::Placed { packet, .. } => packet.text().len(),
            Content::Unplaced { event, .. } => event.payload().len(),
        };
        text + 256
    }
}

/// What was read from the log.
pub struct LogPage {
    /// In order; all of them have a position.
    pub events: Vec<Arc<Logged>>,
    /// All of the rooms' events up to and with this position are here.
    pub through: Position,
    /// Whether that is as far as was asked for.
    pub complete: bool,
}
