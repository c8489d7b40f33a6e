//! `GET /admin/api/actors`: the tree, a page at a time. `GET /admin/api/series`: the last hour.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{Actor, iso, lag_of};
use super::{HttpState, bad_request, look};
use crate::actors::insight::{Probe, State, Vitals};
use crate::actors::session::SessionServices;
use crate::domain::Position;

const MAX_LIMIT: usize = 1_000;

#[derive(Deserialize)]
pub struct Page {
    limit: Option<usize>,
    after: Option<String>,
    sort: Option<String>,
    kind: Option<String>,
    /// Part of a name, or of whose session it is.
    q: Option<String>,
}

/// What the list is sorted by; the highest first, but for names.
#[derive(Clone, Copy)]
enum Sort {
    Name,
    Depth,
    High,
    Rate,
    Time,
    Lag,
    Restarts,
}

impl Sort {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "name" => Self::Name,
            "depth" => Self::Depth,
            "high" => Self::High,
            "rate" => Self::Rate,
            "time" => Self::Time,
            "lag" => Self::Lag,
            "restarts" => Self::Restarts,
            _ => return None,
        })
    }

    fn value(self, row: &Row, vitals: &Vitals, head: Position) -> f64 {
        match self {
            Self::Name => 0.0,
            Self::Depth => vitals.depth as f64,
            Self::High => vitals.high as f64,
            Self::Rate => vitals.per_second,
            Self::Time => vitals.p99_us.unwrap_or_default(),
            Self::Lag => row.lag(vitals, head) as f64,
            Self::Restarts => f64::from(vitals.restarts),
        }
    }
}

/// In the order of the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Registry,
    Sequencer,
    Rights,
    Revocations,
    Bridge,
    Audience,
    Room,
    Session,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Registry,
        Self::Sequencer,
        Self::Rights,
        Self::Revocations,
        Self::Bridge,
        Self::Audience,
        Self::Room,
        Self::Session,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Sequencer => "sequencer",
            Self::Rights => "rights",
            Self::Revocations => "revocations",
            Self::Bridge => "bridge",
            Self::Audience => "audience",
            Self::Room => "room",
            Self::Session => "session",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

struct Row {
    kind: Kind,
    name: String,
    parent: Option<&'static str>,
    who: Option<String>,
    probe: Arc<Probe>,
    value: f64,
}

impl Row {
    fn new(kind: Kind, name: impl Into<String>, parent: Option<&'static str>, probe: Arc<Probe>) -> Self {
        Self { kind, name: name.into(), parent, who: None, probe, value: 0.0 }
    }

    fn lag(&self, vitals: &Vitals, head: Position) -> u64 {
        if self.kind == Kind::Session { lag_of(vitals, head) } else { vitals.backlog }
    }

    fn order(&self, value: f64, kind: Kind, name: &str) -> Ordering {
        value.total_cmp(&self.value).then(self.kind.cmp(&kind)).then_with(|| self.name.as_str().cmp(name))
    }

    fn into_actor(self, head: Position) -> Actor {
        let vitals = self.probe.read();
        let lag = self.lag(&vitals, head);
        let mut actor = Actor::new(self.kind.as_str(), self.name, vitals, lag);
        actor.parent = self.parent.map(str::to_owned);
        actor.who = self.who;
        actor
    }
}

pub async fn list(state: web::Data<HttpState>, page: web::Query<Page>) -> HttpResponse {
    let Some(sort) = Sort::parse(page.sort.as_deref().unwrap_or("name")) else {
        return bad_request("sort takes name, depth, high, rate, time, lag or restarts");
    };
    let limit = page.limit.unwrap_or(100);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return bad_request("limit takes a number from 1 to 1000");
    }
    let after = page.after.as_deref().map(parse_cursor);
    if matches!(after, Some(None)) {
        return bad_request("after takes what an earlier answer gave as next");
    }
    let (services, draining) = (state.services.clone(), state.draining.load(atomic::Ordering::Acquire));
    look(move || Some(answer(&services, &page, sort, limit, after.flatten(), draining))).await
}

fn answer(
    services: &SessionServices,
    page: &Page,
    sort: Sort,
    limit: usize,
    after: Option<(f64, Kind, String)>,
    draining: bool,
) -> Value {
    let head = services.view.head();
    let mut rows = rows(services);
    let house = house(services, &rows, draining);
    rows.retain(|row| is_wanted(row, page));
    let total = rows.len();
    if !matches!(sort, Sort::Name) {
        for row in &mut rows {
            row.value = sort.value(row, &row.probe.read(), head);
        }
    }
    if let Some((value, kind, name)) = after {
        rows.retain(|row| row.order(value, kind, &name) == Ordering::Greater);
    }
    let order = |one: &Row, other: &Row| one.order(other.value, other.kind, &other.name);
    let more = rows.len() > limit;
    if more {
        // Only the page is put in order, not the thousands behind it.
        rows.select_nth_unstable_by(limit, order);
        rows.truncate(limit);
    }
    rows.sort_unstable_by(order);
    let next = rows.last().filter(|_| more).map(|row| format!("{}~{}~{}", row.value, row.kind.as_str(), row.name));
    let actors: Vec<Actor> = rows.into_iter().map(|row| row.into_actor(head)).collect();
    json!({ "total": total, "next": next, "house": house, "actors": actors })
}

fn parse_cursor(text: &str) -> Option<(f64, Kind, String)> {
    let mut parts = text.splitn(3, '~');
    Some((parts.next()?.parse().ok()?, Kind::parse(parts.next()?)?, parts.next()?.to_owned()))
}

fn is_wanted(row: &Row, page: &Page) -> bool {
    let has = |text: &str| row.name.contains(text) || row.who.as_ref().is_some_and(|who| who.contains(text));
    page.kind.as_ref().is_none_or(|kind| row.kind.as_str() == kind) && page.q.as_ref().is_none_or(|text| has(text))
}

fn rows(services: &SessionServices) -> Vec<Row> {
    let census = &services.census;
    let mut rows = vec![
        Row::new(Kind::Registry, "registry", None, census.registry.clone()),
        Row::new(Kind::Sequencer, "sequencer", None, census.sequencer.clone()),
        Row::new(Kind::Rights, "rights", None, census.rights.clone()),
        Row::new(Kind::Revocations, "revocations", None, census.revocations.clone()),
    ];
    if services.cluster.is_some() {
        rows.push(Row::new(Kind::Bridge, "bridge", None, census.bridge.clone()));
    }
    for record in census.audiences() {
        let probe = record.audience.probe().clone();
        rows.push(Row::new(Kind::Audience, format!("audience {}", record.index), None, probe));
    }
    rows.extend(
        census.rooms().into_iter().map(|room| Row::new(Kind::Room, room.name.as_str(), Some("registry"), room.probe)),
    );
    rows.extend(services.directory.all().into_iter().map(|listed| {
        let life = &listed.record.life;
        let mut row = Row::new(Kind::Session, &*life.socket_id, Some("registry"), listed.record.probe.clone());
        row.who = Some(life.who.to_string());
        row
    }));
    rows
}

/// What is to be seen at a glance.
fn house(services: &SessionServices, rows: &[Row], draining: bool) -> Value {
    let count = |kind| rows.iter().filter(|row| row.kind == kind).count();
    let behind = rows.iter().filter(|row| matches!(row.probe.state(), State::Behind)).count();
    let restarted = rows.iter().filter(|row| row.probe.restarts() > 0).count();
    // Who misses what it needs, besides the sequencer.
    let census = &services.census;
    let is_out = |probe: &Probe| probe.state() == State::Outage;
    let away = [
        (Kind::Bridge, services.cluster.as_ref().is_some_and(|cluster| !cluster.is_connected())),
        (Kind::Rights, is_out(&census.rights)),
        (Kind::Revocations, is_out(&census.revocations)),
    ];
    let away: Vec<&str> = away.iter().filter(|(_, is_away)| *is_away).map(|(kind, _)| kind.as_str()).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeMs": services.metrics.uptime().as_millis() as u64,
        "sessions": count(Kind::Session),
        "rooms": count(Kind::Room),
        "behind": behind,
        "restarted": restarted,
        "away": away,
        "durable": services.view.is_durable(),
        "awaySince": services.view.away_since().map(iso),
        "heldBack": services.view.held(),
        "waitingForLog": census.sequencer.read().backlog,
        "draining": draining,
    })
}

#[derive(Deserialize)]
pub struct Since {
    after: Option<u64>,
}

pub async fn series(state: web::Data<HttpState>, since: web::Query<Since>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "points": state.services.census.series.since(since.after.unwrap_or(0)) }))
}
