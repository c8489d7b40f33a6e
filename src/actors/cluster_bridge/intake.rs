//! Events of Node servers and emitters, on their way to get a place like any other. Only the instance
//! that has the lease takes them in, so each is numbered and stored once.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::FutureExt;

use super::actor::ClusterBridge;
use crate::actors::messages::Publish;
use crate::actors::publication::Receipt;
use crate::bus::Garbage;
use crate::bus::adapter::{self, NodeEvent};
use crate::domain::{Event, EventName, Except, PublishRequest, RoomName};
use crate::store::log::Append;
use crate::telemetry::spans;

/// Events that may wait to be stored, each for as many as it has [`PER_PLACE`] bytes begun. While there are as many,
/// nothing is read from Redis.
pub const MAX_UNDERWAY: u32 = 2_048;
const PER_PLACE: usize = 8 * 1024;

impl ClusterBridge {
    /// Publishes them in their order. Resolves once there was place for all of them.
    pub(super) fn take_from_node(&mut self, events: Vec<NodeEvent>) -> ResponseFuture<()> {
        let appends: Vec<Append> = events.into_iter().filter_map(|event| self.append(event)).collect();
        if appends.is_empty() {
            return std::future::ready(()).boxed_local();
        }
        self.services.metrics.bridge.node_events.increment(appends.len() as u64);
        let (services, places) = (self.services.clone(), self.intake.clone());
        Box::pin(async move {
            for append in appends {
                let Ok(place) = places.clone().acquire_many_owned(places_of(&append.event)).await else { return };
                let (id, span) = (services.publish_ids.next(), spans::publish("node"));
                spans::describe(&span, &id, append.event.name(), append.rooms.len());
                let (receipt, settled) = Receipt::for_caller(id);
                services.registry.do_send(Publish { append, receipt: receipt.from_node().within(span) });
                actix_rt::spawn(async move {
                    if let Ok(Err(refusal)) = settled.await {
                        tracing::warn!(refusal = refusal.message, "an event of a Node server was not taken");
                    }
                    drop(place);
                });
            }
        })
    }

    fn append(&mut self, event: NodeEvent) -> Option<Append> {
        match read(event) {
            Ok(append) => Some(append),
            Err(garbage) => {
                self.ignore(garbage, adapter::EVENTS);
                None
            }
        }
    }
}

fn places_of(event: &Event) -> u32 {
    u32::try_from(1 + event.payload().len() / PER_PLACE).unwrap_or(MAX_UNDERWAY).min(MAX_UNDERWAY)
}

/// Rooms of another form are left out; an event that is for no other has none to go to. One that is not for all in
/// them cannot be kept: who that was nobody knows later. Whoever is excepted but cannot be here, such as the Node
/// server's own socket that began it, changes nothing.
pub(crate) fn read(event: NodeEvent) -> Result<Append, Garbage> {
    let NodeEvent { rooms, except, name, payload, volatile } = event;
    let mut named: Vec<RoomName> = Vec::new();
    for room in &rooms {
        if let Some(room) = RoomName::parse(room).filter(|room| !named.contains(room)) {
            named.push(room);
        }
        if named.len() > PublishRequest::MAX_ROOMS {
            return Err(Garbage::Room);
        }
    }
    if named.is_empty() {
        return Err(Garbage::Room);
    }
    let except = Except::of(except.iter().map(String::as_str)).map_err(|_| Garbage::Except)?.map(Arc::new);
    let name = EventName::parse(&name).ok_or(Garbage::Event)?;
    let kept = !volatile && except.is_none();
    Ok(Append { kept, except, ..Append::kept(named.into(), Event::new(name.as_str(), payload)) })
}
