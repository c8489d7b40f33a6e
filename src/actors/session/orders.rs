//! `kitchen:orders`: what a kitchen has to do, as the application's rows have it.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::domain::Cuid;
use crate::store::{OrderItem, OrderRow};

/// `{venueId, orders}`: one order for each tab, in the shape of `kitchen:new-order`'s payload with
/// each item's `status`, and a `timestamp` in ISO 8601.
pub fn payload(venue: &Cuid, orders: &[OrderRow]) -> Value {
    let orders: Vec<Value> = orders.iter().map(|row| order(venue, row)).collect();
    json!({ "venueId": venue.as_str(), "orders": orders })
}

fn order(venue: &Cuid, order: &OrderRow) -> Value {
    json!({
        "venueId": venue.as_str(),
        "tabId": order.tab_id,
        "items": order.items.iter().map(item).collect::<Vec<_>>(),
        "timestamp": order.timestamp.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true),
    })
}

fn item(item: &OrderItem) -> Value {
    let modifiers: Value =
        item.modifiers.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    json!({
        "id": item.id,
        "name": item.name,
        "quantity": item.quantity,
        "modifiers": modifiers,
        "notes": item.notes,
        "status": item.status,
    })
}
