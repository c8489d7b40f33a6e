//! `GET /admin/api/events`: the way of one event, or a room's newest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{iso_of, named, offset};
use super::{HttpState, bad_request, look};
use crate::actors::insight::{Fate, Life, Publisher, Way, Witness, witnesses};
use crate::actors::messages::SessionKey;
use crate::actors::session::SessionServices;
use crate::domain::{Offset, Position, RoomName};

/// Sessions that are named; all of them are counted.
const MAX_SESSIONS: usize = 2_000;
const MAX_LISTED: usize = 200;

#[derive(Deserialize)]
pub struct Wanted {
    id: Option<String>,
    room: Option<String>,
    offset: Option<String>,
    limit: Option<usize>,
}

pub async fn find(state: web::Data<HttpState>, wanted: web::Query<Wanted>) -> HttpResponse {
    let services = state.services.clone();
    let Wanted { id, room, offset, limit } = wanted.into_inner();
    let room = match room.as_deref().map(RoomName::parse) {
        Some(None) => return bad_request("room takes the name of a room"),
        room => room.flatten(),
    };
    match (id, room, offset) {
        (Some(id), room, None) => {
            let is_it = move |way: &Way| *way.id == *id && room.as_ref().is_none_or(|room| way.rooms.contains(room));
            look(move || way_of(&services, is_it)).await
        }
        (None, Some(room), Some(offset)) => {
            let log = services.view.log;
            let Some(offset) = Offset::parse(&offset).filter(|offset| offset.log == log) else {
                return bad_request("offset takes an offset of this log");
            };
            let position = offset.position_in(&room);
            let is_it = move |way: &Way| way.position() == Some(position) && way.rooms.contains(&room);
            look(move || way_of(&services, is_it)).await
        }
        (None, Some(room), None) => {
            let limit = limit.unwrap_or(50).min(MAX_LISTED);
            look(move || {
                let ways = services.census.ways.newest().filter(|way| way.rooms.contains(&room)).take(limit);
                Some(json!({ "events": ways.map(|way| summary(&services, &way)).collect::<Vec<_>>() }))
            })
            .await
        }
        _ => bad_request("an id, or a room with or without an offset, is needed"),
    }
}

fn way_of(services: &SessionServices, is_it: impl Fn(&Way) -> bool) -> Option<Value> {
    let way = services.census.ways.newest().find(|way| is_it(way))?;
    Some(describe(services, &way))
}

/// Without the sessions that it went to.
pub fn summary(services: &SessionServices, way: &Way) -> Value {
    json!({
        "id": way.id,
        "event": way.event,
        "rooms": way.rooms.iter().map(RoomName::as_str).collect::<Vec<_>>(),
        "offset": way.position().map(|position: Position| offset(services, position)),
        "receivedAt": iso_of(&services.census, way.received),
    })
}

fn describe(services: &SessionServices, way: &Way) -> Value {
    let census = &services.census;
    let mut lives = census.ended();
    lives.extend(
        services.directory.all().into_iter().map(|listed| (listed.record.life.key, listed.record.life.clone())),
    );
    let (mut witnesses, whole) = witnesses(census, way, &lives);
    // What went wrong first.
    witnesses
        .sort_by_key(|witness| (matches!(witness.fate, Fate::Handed { .. } | Fate::Left { .. }), witness.life.key));
    let at = |after: Duration| json!({ "at": iso_of(census, way.received + after), "afterMs": ms(after) });
    let handed = census.audiences().into_iter().filter_map(|record| {
        let handed = way.handed_to(record.index)?;
        let mut moment = at(handed.after);
        moment["thread"] = json!(record.index);
        moment["sessions"] = json!(handed.members);
        Some(moment)
    });
    let mut answer = summary(services, way);
    answer["publisher"] = publisher(way.publisher, &lives);
    answer["stored"] = way.stored_after().map_or(Value::Null, at);
    answer["relayed"] = way.relayed_after().map_or(Value::Null, at);
    answer["dispatched"] = way.dispatched_after().map_or(Value::Null, at);
    answer["handed"] = handed.collect();
    answer["counts"] = counts(&witnesses);
    answer["complete"] = json!(whole && witnesses.len() <= MAX_SESSIONS);
    answer["sessions"] = witnesses.iter().take(MAX_SESSIONS).map(|witness| session(services, witness)).collect();
    answer
}

fn ms(after: Duration) -> f64 {
    (after.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

fn publisher(publisher: Publisher, lives: &BTreeMap<SessionKey, Arc<Life>>) -> Value {
    match publisher {
        Publisher::Backend => json!({ "kind": "backend" }),
        Publisher::Node => json!({ "kind": "node" }),
        Publisher::Elsewhere => json!({ "kind": "elsewhere" }),
        Publisher::Session(key) => {
            let mut named = lives.get(&key).map_or_else(|| json!({ "id": null, "who": null }), |life| named(life));
            named["kind"] = json!("session");
            named
        }
    }
}

fn fate_name(fate: &Fate) -> &'static str {
    match fate {
        Fate::Handed { .. } => "handed",
        Fate::Held { .. } => "held",
        Fate::Behind { .. } => "behind",
        Fate::Away { .. } => "away",
        Fate::Left { .. } => "left",
    }
}

fn counts(witnesses: &[Witness]) -> Value {
    let mut counts = json!({ "handed": 0, "held": 0, "behind": 0, "away": 0, "left": 0 });
    for witness in witnesses {
        let count = &mut counts[fate_name(&witness.fate)];
        *count = json!(count.as_u64().unwrap_or_default() + 1);
    }
    counts
}

fn session(services: &SessionServices, witness: &Witness) -> Value {
    let time = |at| iso_of(&services.census, at);
    let mut answer = named(&witness.life);
    answer["room"] = json!(witness.room.as_str());
    answer["fate"] = json!(fate_name(&witness.fate));
    match witness.fate {
        Fate::Handed { at } => answer["at"] = json!(time(at)),
        Fate::Held { sent } => answer["at"] = json!(sent.map(time)),
        Fate::Behind { caught_up } => answer["caughtUpAt"] = json!(caught_up.map(time)),
        Fate::Away { since } | Fate::Left { since } => answer["since"] = json!(time(since)),
    }
    answer["connectionEndedAt"] = json!(witness.lost.map(time));
    if let Some((life, at)) = &witness.back {
        answer["cameBack"] = json!({ "id": life.socket_id, "at": time(*at) });
    }
    answer
}
