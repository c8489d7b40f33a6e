//! `GET /admin/api/rooms/{name}`: one room whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::shape::{Actor, connection, iso_of, offset};
use super::{HttpState, events, look, not_found};
use crate::actors::insight::{Flow, Way};
use crate::actors::messages::{InspectMembers, MemberView, SessionKey};
use crate::actors::session::SessionServices;
use crate::domain::{Position, RoomName};

/// How long the audiences may take to say how far their members are.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_MEMBERS: usize = 1_000;
const NEWEST: usize = 20;

pub async fn show(state: web::Data<HttpState>, name: web::Path<String>) -> HttpResponse {
    let room = RoomName::parse(&name).filter(|room| state.services.census.room(room).is_some());
    let Some(room) = room else { return not_found().await };
    let views = members(&state.services, &room).await;
    let services = state.services.clone();
    look(move || describe(&services, &room, views)).await
}

async fn members(services: &SessionServices, room: &RoomName) -> Vec<MemberView> {
    let questions = services.census.audiences().into_iter().map(|record| {
        let room = room.clone();
        async move { record.audience.send(InspectMembers { room }).timeout(PATIENCE).await.unwrap_or_default() }
    });
    join_all(questions).await.into_iter().flatten().collect()
}

fn describe(services: &SessionServices, room: &RoomName, mut views: Vec<MemberView>) -> Option<Value> {
    let census = &services.census;
    let vitals = census.room(room)?.read();
    let ways: Vec<Arc<Way>> = census.ways.newest().filter(|way| way.rooms.contains(room)).collect();
    let positions: Vec<Position> = ways.iter().filter_map(|way| way.position()).collect();
    let since: HashMap<SessionKey, Instant> =
        census.audiences().iter().flat_map(|record| record.journal.members(room)).collect();
    let sessions: HashMap<SessionKey, _> =
        services.directory.all().into_iter().map(|listed| (listed.record.life.key, listed.record)).collect();
    let total = views.len();
    // Those that are behind first: they are what someone looks for.
    views.sort_by_key(|view| (view.flow == Flow::Live, view.key));
    let members = views.iter().take(MAX_MEMBERS).filter_map(|view| {
        let record = sessions.get(&view.key)?;
        let behind = |position: &&Position| view.flow != Flow::Live && **position > view.last.unwrap_or_default();
        let mut member = connection(record);
        member["id"] = json!(record.life.socket_id);
        member["who"] = json!(record.life.who);
        member["since"] = json!(since.get(&view.key).map(|at| iso_of(census, *at)));
        member["flow"] = json!(view.flow.as_str());
        member["offset"] = json!(view.last.map(|last| offset(services, last)));
        member["lag"] = json!(positions.iter().filter(behind).count());
        Some(member)
    });
    let members: Vec<Value> = members.collect();
    Some(json!({
        "name": room.as_str(),
        "actor": Actor::new("room", room.to_string(), vitals, 0),
        "offset": positions.first().map(|position| offset(services, *position)),
        "memberCount": total,
        "members": members,
        "newest": ways.iter().take(NEWEST).map(|way| events::summary(services, way)).collect::<Vec<_>>(),
    }))
}
