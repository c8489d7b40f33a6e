//! The queries, one function each, over one connection.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_async::RunQueryDsl;

use super::StoreError;
use super::connection::Connection;
use crate::domain::{Cuid, KitchenStatus, StaffRole, TabFacts, TabStatus, TableFacts, UserFacts, UserId};
use crate::schema::{notifications, tab_items, tables, tabs, users, venue_staff};

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

pub async fn ping(connection: &mut Connection) -> Result<(), StoreError> {
    // A look into a table that the service needs, so that a database without them is not called ready.
    users::table.select(users::id).first::<String>(connection).await.optional()?;
    Ok(())
}

/// Active users with their active staff rows.
pub async fn users(connection: &mut Connection, ids: Vec<UserId>) -> Result<HashMap<UserId, UserFacts>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
    let active: Vec<String> = users::table
        .filter(users::id.eq_any(&ids).and(users::status.eq("ACTIVE")))
        .select(users::id)
        .load(connection)
        .await?;
    let staff: Vec<(String, String, String)> = venue_staff::table
        .filter(venue_staff::user_id.eq_any(&ids).and(venue_staff::status.eq("ACTIVE")))
        .select((venue_staff::user_id, venue_staff::venue_id, venue_staff::role))
        .order(venue_staff::venue_id)
        .load(connection)
        .await?;
    let mut found: HashMap<UserId, UserFacts> = active
        .iter()
        .filter_map(|id| UserId::parse(id))
        .map(|id| (id.clone(), UserFacts { id, staff: Vec::new() }))
        .collect();
    for (user, venue, role) in staff {
        // A venue or role of a form that this service does not know gives no rights.
        let known = UserId::parse(&user).zip(Cuid::parse(&venue)).zip(StaffRole::parse(&role));
        if let Some(((user, venue), role)) = known
            && let Some(facts) = found.get_mut(&user)
        {
            facts.staff.push((venue, role));
        }
    }
    Ok(found)
}

/// A tab's id, venue, server, customer and status.
type TabColumns = (String, String, String, Option<String>, String);

fn tab_facts((id, venue, server, customer, status): &TabColumns) -> Option<(Cuid, TabFacts)> {
    let facts = TabFacts {
        venue: Cuid::parse(venue)?,
        server: UserId::parse(server)?,
        customer: customer.as_deref().and_then(UserId::parse),
        status: TabStatus::parse(status),
    };
    Some((Cuid::parse(id)?, facts))
}

pub async fn tabs(connection: &mut Connection, ids: Vec<Cuid>) -> Result<HashMap<Cuid, TabFacts>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(Cuid::as_str).collect();
    let rows: Vec<TabColumns> = tabs::table
        .filter(tabs::id.eq_any(ids))
        .select((tabs::id, tabs::venue_id, tabs::server_id, tabs::customer_id, tabs::status))
        .load(connection)
        .await?;
    Ok(rows.iter().filter_map(tab_facts).collect())
}

pub async fn tables(connection: &mut Connection, ids: Vec<Cuid>) -> Result<HashMap<Cuid, TableFacts>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(Cuid::as_str).collect();
    let rows: Vec<(String, String)> =
        tables::table.filter(tables::id.eq_any(ids)).select((tables::id, tables::venue_id)).load(connection).await?;
    let facts = |(id, venue): &(String, String)| Some((Cuid::parse(id)?, TableFacts { venue: Cuid::parse(venue)? }));
    Ok(rows.iter().filter_map(facts).collect())
}

pub async fn item(connection: &mut Connection, id: &Cuid) -> Result<Option<StoredItem>, StoreError> {
    let row: Option<TabColumns> = tab_items::table
        .inner_join(tabs::table)
        .filter(tab_items::id.eq(id.as_str()))
        .select((tabs::id, tabs::venue_id, tabs::server_id, tabs::customer_id, tabs::status))
        .first(connection)
        .await
        .optional()?;
    Ok(row.as_ref().and_then(tab_facts).map(|(tab, facts)| StoredItem { tab, facts }))
}

/// Gives an item a state; `false` where it has it already, or is gone.
pub fn set_kitchen_status(connection: &mut SqliteConnection, id: &Cuid, status: KitchenStatus) -> QueryResult<bool> {
    #[derive(AsChangeset)]
    #[diesel(table_name = tab_items)]
    struct Change {
        kitchen_status: &'static str,
        prepared_at: Option<NaiveDateTime>,
        delivered_at: Option<NaiveDateTime>,
    }
    let now = Utc::now().naive_utc();
    let change = Change {
        kitchen_status: status.as_str(),
        prepared_at: (status == KitchenStatus::Ready).then_some(now),
        delivered_at: (status == KitchenStatus::Delivered).then_some(now),
    };
    let other = tab_items::id.eq(id.as_str()).and(tab_items::kitchen_status.ne(status.as_str()));
    let update = diesel::update(tab_items::table.filter(other)).set(change);
    let changed = diesel::RunQueryDsl::execute(update, connection)?;
    Ok(changed > 0)
}

pub async fn read_notification(connection: &mut Connection, user: &UserId, id: &UserId) -> Result<bool, StoreError> {
    let own = notifications::id.eq(id.as_str()).and(notifications::user_id.eq(user.as_str()));
    let now = Utc::now().naive_utc();
    let changed = diesel::update(notifications::table.filter(own.and(notifications::read.eq(false))))
        .set((notifications::read.eq(true), notifications::read_at.eq(now)))
        .execute(connection)
        .await?;
    if changed > 0 {
        return Ok(true);
    }
    let known: i64 = notifications::table.filter(own).count().get_result(connection).await?;
    Ok(known > 0)
}

/// The venues' tabs with items that the kitchen has not delivered, oldest first.
pub async fn open_orders(
    connection: &mut Connection,
    venues: Vec<Cuid>,
) -> Result<HashMap<Cuid, Arc<Vec<OrderRow>>>, StoreError> {
    let rows: Vec<(String, ItemRow)> = tab_items::table
        .inner_join(tabs::table)
        .filter(tabs::venue_id.eq_any(venues.iter().map(Cuid::as_str)))
        .filter(tab_items::kitchen_status.eq_any(["SENT", "IN_PROGRESS", "READY"]))
        .select((
            tabs::venue_id,
            (
                tabs::id,
                tabs::tab_number,
                tab_items::ordered_at,
                tab_items::sent_to_kitchen_at,
                (
                    tab_items::id,
                    tab_items::name,
                    tab_items::quantity,
                    tab_items::modifiers,
                    tab_items::notes,
                    tab_items::kitchen_status,
                ),
            ),
        ))
        .order((tab_items::ordered_at, tab_items::id))
        .load(connection)
        .await?;
    let mut by_venue: HashMap<String, Vec<ItemRow>> = HashMap::new();
    for (venue, row) in rows {
        by_venue.entry(venue).or_default().push(row);
    }
    let orders = |venue: Cuid| {
        let rows = by_venue.remove(venue.as_str()).unwrap_or_default();
        (venue, Arc::new(group_by_tab(rows)))
    };
    Ok(venues.into_iter().map(orders).collect())
}

/// Tab, its number, when ordered, when sent to the kitchen, the item.
type ItemRow = (String, i32, NaiveDateTime, Option<NaiveDateTime>, OrderItem);

fn group_by_tab(rows: Vec<ItemRow>) -> Vec<OrderRow> {
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

pub async fn open_tabs(connection: &mut Connection, venue: &Cuid) -> Result<Vec<TabRow>, StoreError> {
    Ok(tabs::table
        .left_join(tables::table)
        .filter(tabs::venue_id.eq(venue.as_str()).and(tabs::status.eq("OPEN")))
        .select((tabs::id, tabs::tab_number, tables::number.nullable()))
        .order(tabs::tab_number)
        .load(connection)
        .await?)
}

pub async fn add_items(
    connection: &mut Connection,
    tab: &Cuid,
    items: &[NewItem],
) -> Result<(i32, i32, i32), StoreError> {
    let now = Utc::now().naive_utc();
    let rows: Vec<_> = items
        .iter()
        .map(|item| {
            (
                tab_items::id.eq(&item.id),
                tab_items::tab_id.eq(tab.as_str()),
                tab_items::menu_item_id.eq(&item.menu_item_id),
                tab_items::name.eq(&item.name),
                tab_items::quantity.eq(item.quantity),
                tab_items::unit_price_cents.eq(item.unit_price_cents),
                tab_items::total_price_cents.eq(item.quantity * item.unit_price_cents),
                tab_items::modifiers.eq(&item.modifiers),
                tab_items::notes.eq(&item.notes),
                tab_items::kitchen_status.eq(KitchenStatus::Sent.as_str()),
                tab_items::ordered_at.eq(now),
                tab_items::sent_to_kitchen_at.eq(now),
            )
        })
        .collect();
    let added: i32 = items.iter().map(|item| item.quantity * item.unit_price_cents).sum();
    connection
        .immediate_transaction(async |connection| {
            for row in &rows {
                diesel::insert_into(tab_items::table).values(row).execute(connection).await?;
            }
            let (subtotal, tip): (i32, i32) = tabs::table
                .find(tab.as_str())
                .select((tabs::subtotal_cents, tabs::tip_cents))
                .first(connection)
                .await?;
            let subtotal = subtotal + added;
            let tax = subtotal * 7 / 100;
            let total = subtotal + tax + tip;
            diesel::update(tabs::table.find(tab.as_str()))
                .set((
                    tabs::subtotal_cents.eq(subtotal),
                    tabs::tax_cents.eq(tax),
                    tabs::total_cents.eq(total),
                    tabs::updated_at.eq(now),
                ))
                .execute(connection)
                .await?;
            Ok((subtotal, tax, total))
        })
        .await
}
