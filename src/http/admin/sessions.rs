//! `GET /admin/api/sessions/{id}`: one session whole. Never its token or its `pid`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::shape::{Actor, connection, iso, iso_of, lag_of, offset};
use super::{HttpState, not_found};
use crate::actors::insight::SessionRecord;
use crate::actors::messages::{InspectSession, SessionView};
use crate::actors::session::SessionServices;
use crate::domain::{Cuid, Identity, RoomName, StaffRole, UserFacts};

/// A session that waits for the database does not answer; what is known without it is shown then.
const PATIENCE: Duration = Duration::from_secs(1);

pub async fn show(state: web::Data<HttpState>, id: web::Path<String>) -> HttpResponse {
    let Some(listed) = state.services.directory.by_socket_id(&id) else { return not_found().await };
    let view = listed.session.send(InspectSession).timeout(PATIENCE).await.ok();
    HttpResponse::Ok().json(describe(&state.services, &listed.record, view.as_ref()))
}

fn describe(services: &SessionServices, record: &SessionRecord, view: Option<&SessionView>) -> Value {
    let vitals = record.probe.read();
    let lag = lag_of(&vitals, services.view.head());
    let actor = Actor::new("session", record.life.socket_id.to_string(), vitals, lag);
    let error = record.last_error().map(|error| {
        json!({ "at": iso(error.at), "event": error.event, "code": error.refusal.code, "message": error.refusal.message })
    });
    let mut answer = connection(record);
    answer["id"] = json!(record.life.socket_id);
    answer["who"] = json!(record.life.who);
    answer["identity"] = view.map_or(Value::Null, |view| identity(&view.identity));
    answer["tokenExpiresAt"] = json!(record.expires_at.map(iso));
    answer["recovered"] = json!(record.life.recovered.is_some());
    answer["rooms"] = json!(rooms(services, record, view));
    answer["answered"] = json!(view.is_some());
    answer["actor"] = json!(actor);
    answer["lag"] = json!(lag);
    answer["lastError"] = json!(error);
    answer
}

fn rooms(services: &SessionServices, record: &SessionRecord, view: Option<&SessionView>) -> Vec<Value> {
    let key = record.life.key;
    let entered = |room: &RoomName| -> Option<Instant> {
        let members = services.census.audiences().into_iter().flat_map(|audience| audience.journal.members(room));
        members.into_iter().find(|(member, _)| *member == key).map(|(_, at)| at)
    };
    let from: HashMap<&RoomName, Option<u64>> =
        view.into_iter().flat_map(|view| view.rooms.iter().map(|(room, from)| (room, *from))).collect();
    let audiences = services.census.audiences();
    let known = audiences.iter().filter_map(|audience| audience.journal.memberships().remove(&key)).flatten();
    let mut rooms: Vec<RoomName> = known.chain(from.keys().map(|room| (*room).clone())).collect();
    rooms.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    rooms.dedup();
    let described = rooms.iter().map(|room| {
        json!({
            "name": room.as_str(),
            "since": entered(room).map(|at| iso_of(&services.census, at)),
            "from": from.get(room).copied().flatten().map(|position| offset(services, position)),
        })
    });
    described.collect()
}

fn identity(identity: &Identity) -> Value {
    let staff = |user: &UserFacts| -> Vec<Value> {
        let role = |(venue, role): &(Cuid, StaffRole)| json!({ "venueId": venue.as_str(), "role": role.as_str() });
        user.staff.iter().map(role).collect()
    };
    match identity {
        Identity::System => json!({ "kind": "service", "id": identity.label() }),
        Identity::User(user) => json!({ "kind": "user", "id": user.id.as_str(), "staff": staff(user) }),
        Identity::Bearer(bearer) => json!({
            "kind": "biscuit",
            "id": identity.label(),
            "backend": bearer.warrant.is_backend,
            "user": bearer.user.as_ref().map(|user| user.id.as_str()),
            "staff": bearer.user.as_deref().map(staff),
        }),
    }
}
