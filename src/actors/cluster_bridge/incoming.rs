//! What comes through Redis: each channel's form is checked, and what it says goes to whom it is for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix::prelude::*;
use futures_util::FutureExt;
use serde_json::value::RawValue;
use tracing::Span;

use super::actor::ClusterBridge;
use crate::actors::cluster_messages::{PeerIsAt, Relayed, RelayedLoose};
use crate::actors::messages::ReadRights;
use crate::bus::Garbage;
use crate::bus::adapter::{self, NodeEvent};
use crate::bus::redis::Incoming;
use crate::bus::relay::{self, Control, Fact, LogEvent, LogFrame, LooseEvent, Trace};
use crate::domain::{Event, EventName, Except, PidKey, Position, RoomName, UserId};
use crate::store::log::StoredEvent;
use crate::telemetry::spans;

impl ClusterBridge {
    /// Resolves once it has been dealt with, or, while the sequencer has little to do, once it has been sent.
    pub(super) fn take_in(&mut self, incoming: Vec<Incoming>, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        let mut from_node = Vec::new();
        for Incoming { channel, body } in incoming {
            let taken = match channel.as_str() {
                relay::LOG => self.take_log(&body),
                relay::UNPLACED | relay::VOLATILE => self.take_loose(&channel, &body),
                relay::CONTROL => self.take_control(&body, ctx),
                adapter::REQUESTS => self.take_request(&body, &mut from_node),
                _ => self.take_event(&body, &mut from_node),
            };
            if let Err(garbage) = taken {
                self.ignore(garbage, &channel);
            }
        }
        let intake = self.take_from_node(from_node);
        if self.unhandled < Self::MAX_UNHANDLED {
            return intake;
        }
        self.unhandled = 0;
        // Answered when the sequencer has handled what it was sent before.
        let handled = self.services.sequencer.send(PeerIsAt { head: 0 });
        async move {
            intake.await;
            // A sequencer that is gone handles nothing.
            handled.await.unwrap_or_default();
        }
        .boxed_local()
    }

    fn take_log(&mut self, body: &[u8]) -> Result<(), Garbage> {
        let (frame, traces) = self.cluster.seal.open_traced::<LogFrame<'_>>(relay::LOG, body)?;
        if frame.instance == self.cluster.instance {
            return Ok(());
        }
        // What is behind the head has been had, through the log.
        if frame.last <= self.services.view.head() {
            return Ok(());
        }
        self.services.sequencer.do_send(batch(frame, &traces)?);
        self.unhandled += body.len();
        Ok(())
    }

    fn take_loose(&mut self, channel: &str, body: &[u8]) -> Result<(), Garbage> {
        let (event, traces) = self.cluster.seal.open_traced::<LooseEvent<'_>>(channel, body)?;
        if event.instance == self.cluster.instance {
            return Ok(());
        }
        self.services.sequencer.do_send(loose(channel, event, &traces)?);
        self.unhandled += body.len();
        Ok(())
    }

    fn take_control(&mut self, body: &[u8], ctx: &mut Context<Self>) -> Result<(), Garbage> {
        let Control { instance, fact } = self.cluster.seal.open(relay::CONTROL, body)?;
        if instance == self.cluster.instance {
            self.hear_echo();
            return Ok(());
        }
        match fact {
            Fact::Alive { head, lease } => {
                if lease && self.lease.is_held() {
                    // The database gave it to the other, or says soon that it did not.
                    self.set_lease(false);
                }
                if head > self.services.view.head() {
                    self.services.sequencer.do_send(PeerIsAt { head });
                }
            }
            Fact::Connected { began_at, began_secs, nonce, since_ms } => {
                let since = UNIX_EPOCH.checked_add(Duration::from_millis(since_ms)).ok_or(Garbage::Malformed)?;
                self.services.directory.give_way(PidKey { began_at, began_secs, nonce }, since);
            }
            Fact::Rights { user } => {
                let user = UserId::parse(user).ok_or(Garbage::Malformed)?;
                self.services.rights.do_send(ReadRights { user });
            }
            Fact::LeaseFree => self.lease_is_free(ctx),
        }
        Ok(())
    }

    fn take_event(&mut self, body: &[u8], from_node: &mut Vec<NodeEvent>) -> Result<(), Garbage> {
        if self.lease.is_held() {
            from_node.extend(adapter::read_event(body, self.cluster.max_payload)?);
        }
        Ok(())
    }

    fn take_request(&mut self, body: &[u8], from_node: &mut Vec<NodeEvent>) -> Result<(), Garbage> {
        let Some(request) = adapter::read_request(body, self.cluster.max_payload)? else { return Ok(()) };
        // Who asks is there, and may not have been a moment ago.
        self.node_servers = self.node_servers.filter(|servers| *servers > 0);
        self.answer_peer(request, from_node)
    }
}

pub(crate) fn batch(frame: LogFrame<'_>, traces: &[Trace<'_>]) -> Result<Relayed, Garbage> {
    let LogFrame { before, last, events, .. } = frame;
    let events = events.into_iter().map(stored_event).collect::<Result<Vec<_>, _>>()?;
    let rising = events.windows(2).all(|pair| pair[0].position < pair[1].position);
    let within = events.iter().all(|event| before < event.position && event.position <= last);
    if !rising || !within || before >= last {
        return Err(Garbage::Malformed);
    }
    let spans = if traces.is_empty() { HashMap::new() } else { spans_of(&events, traces) };
    Ok(Relayed { before, last, events, spans })
}

/// One for each event that a trace names, and no more, however many there are.
fn spans_of(events: &[StoredEvent], traces: &[Trace<'_>]) -> HashMap<Position, Span> {
    let parents: HashMap<Position, &str> = traces.iter().map(|trace| (trace.position, &*trace.parent)).collect();
    let span = |event: &StoredEvent| Some((event.position, spans::relayed(parents.get(&event.position)?, &event.name)));
    events.iter().filter_map(span).collect()
}

pub(crate) fn loose(channel: &str, event: LooseEvent<'_>, traces: &[Trace<'_>]) -> Result<RelayedLoose, Garbage> {
    let LooseEvent { identity, rooms, name, payload, except, .. } = event;
    if identity.is_some() != (channel == relay::UNPLACED) {
        return Err(Garbage::Malformed);
    }
    EventName::parse(name).ok_or(Garbage::Event)?;
    let payload: Box<RawValue> = serde_json::from_str(payload).map_err(|_| Garbage::Malformed)?;
    let (rooms, identity) = (room_names(rooms)?.into(), identity.map(Into::into));
    let span = traces.first().map_or_else(Span::none, |trace| spans::relayed(&trace.parent, name));
    let except = excepted(&except)?.map(Arc::new);
    Ok(RelayedLoose { identity, rooms, event: Event::new(name, payload), except, span })
}

/// What is not known here may be anybody, so nobody can be sent the event.
fn excepted(names: &[&str]) -> Result<Option<Except>, Garbage> {
    let except = Except::of(names.iter().copied()).map_err(|_| Garbage::Except)?;
    let known = except.as_ref().map_or(0, Except::len) == names.len();
    if known { Ok(except) } else { Err(Garbage::Except) }
}

fn stored_event(event: LogEvent<'_>) -> Result<StoredEvent, Garbage> {
    let LogEvent { position, rooms, name, payload, held_as } = event;
    // It goes into clients' frames as it is.
    serde_json::from_str::<&RawValue>(payload).map_err(|_| Garbage::Malformed)?;
    EventName::parse(name).ok_or(Garbage::Event)?;
    Ok(StoredEvent {
        position,
        rooms: room_names(rooms)?,
        name: name.to_owned(),
        payload: payload.to_owned(),
        held_as: held_as.map(str::to_owned),
    })
}

fn room_names(rooms: Vec<&str>) -> Result<Vec<RoomName>, Garbage> {
    rooms.into_iter().map(|room| RoomName::parse(room).ok_or(Garbage::Room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_not_for_somebody_unknown_here_is_taken_for_nobody() {
        let taken = |except: Vec<&str>| {
            let (rooms, name, payload) = (vec!["tab:c12345678"], "e", "1");
            let event = LooseEvent { instance: 1, identity: None, rooms, name, payload, except };
            loose(relay::VOLATILE, event, &[]).map(|taken| taken.except.map_or(0, |except| except.len()))
        };
        assert_eq!(taken(vec![]).unwrap(), 0);
        assert_eq!(taken(vec!["user:x", "abcdefghijklmnop"]).unwrap(), 2);
        assert_eq!(taken(vec!["user:x", "another form"]).unwrap_err(), Garbage::Except);
        assert_eq!(taken(vec!["user:x"; Except::MAX + 1]).unwrap_err(), Garbage::Except);
    }
}
