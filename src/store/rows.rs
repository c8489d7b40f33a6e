//! What look-ups give, whichever database they ask.

use chrono::NaiveDateTime;
use diesel::Queryable;

use crate::domain::{Cuid, TabFacts};

/// An item's tab, and what decides who may change the item.
#[derive(Clone, Debug)]
pub struct StoredItem {
    pub tab: Cuid,
    pub facts: TabFacts,
}

/// An item as a kitchen display shows it.
#[derive(Clone, Debug, Queryable)]
pub struct OrderItem {
    pub id: String,
    pub name: String,
    pub quantity: i32,
    /// JSON text.
    pub modifiers: Option<String>,
    pub notes: Option<String>,
    pub status: String,
}

/// A tab's items that the kitchen has not delivered.
#[derive(Clone, Debug)]
pub struct OrderRow {
    pub tab_id: String,
    pub tab_number: i32,
    /// The earliest time that an item was sent to the kitchen, else ordered. UTC.
    pub timestamp: NaiveDateTime,
    pub items: Vec<OrderItem>,
}

/// An open tab and its table's number.
#[derive(Clone, Debug, Queryable)]
pub struct TabRow {
    pub id: String,
    pub tab_number: i32,
    pub table: Option<String>,
}

/// An item to put on a tab.
#[derive(Clone, Debug)]
pub struct NewItem {
    pub id: String,
    pub menu_item_id: String,
    pub name: String,
    pub quantity: i32,
    pub unit_price_cents: i32,
    pub modifiers: Option<String>,
    pub notes: Option<String>,
}

/// A tab, whatever its state.
#[derive(Clone, Debug)]
pub struct TabSheet {
    pub tab: SheetTab,
    /// The venue's name.
    pub venue: String,
    /// The table's number.
    pub table: Option<String>,
    pub items: Vec<SheetItem>,
}

#[derive(Clone, Debug, Queryable)]
pub struct SheetTab {
    pub id: String,
    pub tab_number: i32,
    pub status: String,
    pub subtotal_cents: i32,
    pub tax_cents: i32,
    pub tip_cents: i32,
    pub total_cents: i32,
}

#[derive(Clone, Debug, Queryable)]
pub struct SheetItem {
    pub id: String,
    pub name: String,
    pub quantity: i32,
    pub unit_price_cents: i32,
    pub status: String,
}

/// Tab, its number, when ordered, when sent to the kitchen, the item.
pub type ItemRow = (String, i32, NaiveDateTime, Option<NaiveDateTime>, OrderItem);

/// Oldest first.
pub fn group_by_tab(rows: Vec<ItemRow>) -> Vec<OrderRow> {
    let mut orders: indexmap::IndexMap<String, OrderRow> = indexmap::IndexMap::new();
    for (tab_id, tab_number, ordered_at, sent_at, item) in rows {
        let at = sent_at.unwrap_or(ordered_at);
        let order = orders.entry(tab_id.clone()).or_insert_with(|| OrderRow {
            tab_id,
            tab_number,
            timestamp: at,
            items: Vec::new(),
        });
        order.timestamp = order.timestamp.min(at);
        order.items.push(item);
    }
    let mut orders: Vec<OrderRow> = orders.into_values().collect();
    orders.sort_by_key(|order| order.timestamp);
    orders
}
