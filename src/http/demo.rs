//! The demo's stand-in for the restaurant application's backend: what its pages read,
//! and `POST /demo/orders`, which inserts the rows and publishes the events.

mod tab;

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{NaiveDateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{assets, authorization};
use crate::access::Tokens;
use crate::access::policy::{self, Place, Question};
use crate::actors::messages::Publish;
use crate::actors::publication::Receipt;
use crate::actors::session::{NotIdentified, SessionServices, identify};
use crate::domain::{Cuid, ErrorCode, Event, Identity, Refusal, RoomName, TabFacts};
use crate::store::log::Append;
use crate::store::{NewItem, OrderItem, OrderRow, StoreError};

pub struct Demo {
    pub services: Arc<SessionServices>,
    pub tokens: Arc<Tokens>,
}

pub fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/demo/state", web::get().to(state))
        .route("/demo/tab", web::get().to(tab::show))
        .route("/demo/orders", web::post().to(order))
        .route("/", web::get().to(index))
        .route("/demo/{path:.*}", web::get().to(page));
}

async fn index() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/demo/kitchen.html")).finish()
}

async fn page(path: web::Path<String>) -> HttpResponse {
    // The operator's page is served to operators.
    let page = Some(&path).filter(|path| !path.starts_with("admin")).and_then(|path| assets::serve(path));
    page.unwrap_or_else(|| HttpResponse::NotFound().json(json!({ "error": "Not found" })))
}

/// An answer other than success.
enum Failure {
    Unauthorized,
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store failed");
        Self::Refused(Refusal::new(ErrorCode::Unavailable, "The database did not answer"))
    }
}

impl Failure {
    fn into_response(self) -> HttpResponse {
        let refusal = match self {
            Self::Unauthorized => return HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" })),
            Self::Refused(refusal) => refusal,
        };
        let mut response = match refusal.code {
            ErrorCode::Forbidden => HttpResponse::Forbidden(),
            ErrorCode::NotFound => HttpResponse::NotFound(),
            ErrorCode::Unavailable => HttpResponse::ServiceUnavailable(),
            _ => HttpResponse::BadRequest(),
        };
        response.json(json!({ "ok": false, "error": refusal }))
    }
}

impl Demo {
    async fn identify(&self, request: &HttpRequest) -> Result<Identity, Failure> {
        let token = authorization::bearer(request).ok_or(Failure::Unauthorized)?;
        match identify(&self.tokens, &self.services.store, token).await {
            Ok((identity, _)) => Ok(identity),
            Err(NotIdentified::Store(error)) => Err(error.into()),
            Err(NotIdentified::Token(_) | NotIdentified::User) => Err(Failure::Unauthorized),
        }
    }

    /// Whoever may be in a room may see here what the room is about.
    fn check_room(&self, identity: &Identity, room: &RoomName, place: Place) -> Result<(), Refusal> {
        let verdict = self.services.policy.decide(identity, &Question::enter(room, place), SystemTime::now());
        verdict.map_err(|_| policy::denied(room.kind()))
    }

    fn check_venue(&self, identity: &Identity, venue: &Cuid) -> Result<(), Refusal> {
        let room = RoomName::venue(venue);
        self.check_room(identity, &room, Place::named(&room))
    }

    async fn state(&self, request: &HttpRequest, venue: &str) -> Result<Value, Failure> {
        let identity = self.identify(request).await?;
        let venue = Cuid::parse(venue).ok_or(Refusal::invalid("venue"))?;
        self.check_venue(&identity, &venue)?;
        let tabs = self.services.store.open_tabs(&venue).await?;
        let orders = self.services.store.open_orders(&venue).await?;
        Ok(json!({
            "venue": { "id": venue.as_str(), "name": "Bistro One" },
            "tabs": tabs.iter().map(|tab| json!({ "id": tab.id, "tabNumber": tab.tab_number, "table": tab.table })).collect::<Vec<_>>(),
            "menu": menu(),
            "orders": orders.iter().map(order_json).collect::<Vec<_>>(),
        }))
    }

    async fn order(&self, request: &HttpRequest, order: NewOrder) -> Result<Value, Failure> {
        let identity = self.identify(request).await?;
        let tab = Cuid::parse(&order.tab_id).ok_or(Refusal::invalid("tabId"))?;
        let facts = self.services.store.find_tab(&tab).await?.ok_or(policy::TAB_DENIED)?;
        self.check_venue(&identity, &facts.venue).map_err(|_| policy::TAB_DENIED)?;
        let items = order.items()?;
        let totals = self.services.store.add_items(&tab, items.clone()).await?;
        self.publish(&tab, &facts, &items, totals);
        Ok(json!({ "ok": true, "items": items.iter().map(item_json).collect::<Vec<_>>() }))
    }

    fn publish(&self, tab: &Cuid, facts: &TabFacts, items: &[NewItem], (subtotal, tax, total): (i32, i32, i32)) {
        let send = |rooms: Vec<RoomName>, event: &str, payload: &Value| {
            let event = Event::of(event, payload);
            let append = Append::kept(rooms.into(), event);
            self.services.registry.do_send(Publish { append, receipt: Receipt::for_nobody() });
        };
        for item in items {
            let payload = json!({
                "tabId": tab.as_str(),
                "venueId": facts.venue.as_str(),
                "item": { "id": item.id, "name": item.name, "quantity": item.quantity, "priceCents": item.unit_price_cents },
                "newSubtotal": subtotal, "newTax": tax, "newTotal": total,
            });
            send(vec![RoomName::tab(tab), RoomName::venue(&facts.venue)], "tab:item-added", &payload);
        }
        let payload = json!({
            "venueId": facts.venue.as_str(),
            "tabId": tab.as_str(),
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "items": items.iter().map(item_json).collect::<Vec<_>>(),
        });
        send(vec![RoomName::kitchen(&facts.venue)], "kitchen:new-order", &payload);
    }
}

async fn state(demo: web::Data<Demo>, request: HttpRequest, query: web::Query<Venue>) -> HttpResponse {
    match demo.state(&request, &query.venue).await {
        Ok(state) => HttpResponse::Ok().json(state),
        Err(failure) => failure.into_response(),
    }
}

async fn order(demo: web::Data<Demo>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Ok(order) = serde_json::from_slice(&body) else {
        return Failure::Refused(Refusal::invalid("data")).into_response();
    };
    match demo.order(&request, order).await {
        Ok(created) => HttpResponse::Created().json(created),
        Err(failure) => failure.into_response(),
    }
}

#[derive(Deserialize)]
struct Venue {
    venue: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    tab_id: String,
    items: Vec<OrderedItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderedItem {
    menu_item_id: Option<String>,
    name: String,
    quantity: i32,
    unit_price_cents: i32,
    modifiers: Option<Vec<String>>,
    notes: Option<String>,
}

impl NewOrder {
    fn items(self) -> Result<Vec<NewItem>, Refusal> {
        if !(1..=50).contains(&self.items.len()) {
            return Err(Refusal::invalid("items"));
        }
        self.items.into_iter().map(OrderedItem::check).collect()
    }
}

impl OrderedItem {
    fn check(self) -> Result<NewItem, Refusal> {
        if self.name.trim().is_empty() || self.name.chars().count() > 200 {
            return Err(Refusal::invalid("name"));
        }
        if !(1..=99).contains(&self.quantity) {
            return Err(Refusal::invalid("quantity"));
        }
        if !(0..=1_000_000).contains(&self.unit_price_cents) {
            return Err(Refusal::invalid("unitPriceCents"));
        }
        if self.notes.as_ref().is_some_and(|notes| notes.chars().count() > 500) {
            return Err(Refusal::invalid("notes"));
        }
        Ok(NewItem {
            id: new_id(),
            menu_item_id: self.menu_item_id.unwrap_or_else(new_id),
            name: self.name,
            quantity: self.quantity,
            unit_price_cents: self.unit_price_cents,
            modifiers: self.modifiers.filter(|list| !list.is_empty()).map(|list| json!(list).to_string()),
            notes: self.notes.filter(|notes| !notes.trim().is_empty()),
        })
    }
}

/// A cuid; the second version's first letter may be any, ours is always `c`.
fn new_id() -> String {
    format!("c{}", cuid::cuid2())
}

fn item_json(item: &NewItem) -> Value {
    let modifiers: Value =
        item.modifiers.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    json!({ "id": item.id, "name": item.name, "quantity": item.quantity, "modifiers": modifiers, "notes": item.notes, "status": "SENT" })
}

fn order_json(order: &OrderRow) -> Value {
    let item = |item: &OrderItem| {
        let modifiers: Value =
            item.modifiers.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        json!({ "id": item.id, "name": item.name, "quantity": item.quantity, "modifiers": modifiers, "notes": item.notes, "status": item.status })
    };
    json!({
        "tabId": order.tab_id,
        "tabNumber": order.tab_number,
        "timestamp": iso(order.timestamp),
        "items": order.items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn iso(time: NaiveDateTime) -> String {
    time.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn menu() -> Value {
    let dish = |id: &str, name: &str, price: u32| json!({ "menuItemId": id, "name": name, "priceCents": price });
    json!([
        dish("cmenuburger00000000000001", "Burger", 1500),
        dish("cmenufries000000000000002", "Fries", 600),
        dish("cmenusalad000000000000003", "Salad", 1200),
        dish("cmenusoup0000000000000004", "Soup of the day", 900),
        dish("cmenusteak000000000000005", "Steak", 2800),
        dish("cmenupasta000000000000006", "Pasta", 1600),
        dish("cmenutart0000000000000007", "Apple tart", 800),
        dish("cmenucoffee00000000000008", "Coffee", 350),
    ])
}
