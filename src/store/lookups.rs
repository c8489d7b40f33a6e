//! Look-ups, one function each, over one connection. Compiled once for each kind of connection
//! (`sqlite/mod.rs`, `postgres/mod.rs`): diesel checks them against either database.
//!
//! What is an enumeration or `jsonb` in PostgreSQL is text in SQLite. A cast to text gives the same from both;
//! a literal, unlike a parameter, is of whichever type it is compared with.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{
    Cuid, PidKey, RevocationId, RoomName, StaffRole, TabFacts, TabStatus, TableFacts, UserFacts, UserId,
};
use crate::schema::{
    log_head, log_rooms, revocations, session_rooms, tab_items, tables, tabs, users, venue_staff, venues,
};
use crate::store::StoreError;
use crate::store::log::{Gone, SessionRoom, from_db};
use crate::store::rows::{ItemRow, OrderRow, SheetTab, StoredItem, TabRow, TabSheet, group_by_tab};

/// A column's label, where it is an enumeration.
fn label(column: &str) -> SqlLiteral<Text> {
    sql(&format!("CAST({column} AS text)"))
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
        .filter(users::id.eq_any(&ids).and(sql::<Bool>("users.status = 'ACTIVE'")))
        .select(users::id)
        .load(connection)
        .await?;
    let staff: Vec<(String, String, String)> = venue_staff::table
        .filter(venue_staff::user_id.eq_any(&ids).and(sql::<Bool>("venue_staff.status = 'ACTIVE'")))
        .select((venue_staff::user_id, venue_staff::venue_id, label("venue_staff.role")))
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
        .select((tabs::id, tabs::venue_id, tabs::server_id, tabs::customer_id, label("tabs.status")))
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

pub async fn item(connection: &mut Connection, id: Cuid) -> Result<Option<StoredItem>, StoreError> {
    let row: Option<TabColumns> = tab_items::table
        .inner_join(tabs::table)
        .filter(tab_items::id.eq(id.as_str()))
        .select((tabs::id, tabs::venue_id, tabs::server_id, tabs::customer_id, label("tabs.status")))
        .first(connection)
        .await
        .optional()?;
    Ok(row.as_ref().and_then(tab_facts).map(|(tab, facts)| StoredItem { tab, facts }))
}

/// The venues' tabs with items that the kitchen has not delivered, oldest first.
pub async fn open_orders(
    connection: &mut Connection,
    venues: Vec<Cuid>,
) -> Result<HashMap<Cuid, Arc<Vec<OrderRow>>>, StoreError> {
    let rows: Vec<(String, ItemRow)> = tab_items::table
        .inner_join(tabs::table)
        .filter(tabs::venue_id.eq_any(venues.iter().map(Cuid::as_str)))
        .filter(sql::<Bool>("tab_items.kitchen_status IN ('SENT', 'IN_PROGRESS', 'READY')"))
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
                    sql::<Nullable<Text>>("CAST(tab_items.modifiers AS text)"),
                    tab_items::notes,
                    label("tab_items.kitchen_status"),
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

pub async fn open_tabs(connection: &mut Connection, venue: Cuid) -> Result<Vec<TabRow>, StoreError> {
    Ok(tabs::table
        .left_join(tables::table)
        .filter(tabs::venue_id.eq(venue.as_str()).and(sql::<Bool>("tabs.status = 'OPEN'")))
        .select((tabs::id, tabs::tab_number, tables::number.nullable()))
        .order(tabs::tab_number)
        .load(connection)
        .await?)
}

/// A tab with its items, in the order in which they were ordered.
pub async fn tab_sheet(connection: &mut Connection, id: Cuid) -> Result<Option<TabSheet>, StoreError> {
    let head: Option<(SheetTab, String, Option<String>)> = tabs::table
        .inner_join(venues::table)
        .left_join(tables::table)
        .filter(tabs::id.eq(id.as_str()))
        .select((
            (
                tabs::id,
                tabs::tab_number,
                label("tabs.status"),
                tabs::subtotal_cents,
                tabs::tax_cents,
                tabs::tip_cents,
                tabs::total_cents,
            ),
            venues::name,
            tables::number.nullable(),
        ))
        .first(connection)
        .await
        .optional()?;
    let Some((tab, venue, table)) = head else { return Ok(None) };
    let items = tab_items::table
        .filter(tab_items::tab_id.eq(id.as_str()))
        .select((
            tab_items::id,
            tab_items::name,
            tab_items::quantity,
            tab_items::unit_price_cents,
            label("tab_items.kitchen_status"),
        ))
        .order((tab_items::ordered_at, tab_items::id))
        .load(connection)
        .await?;
    Ok(Some(TabSheet { tab, venue, table, items }))
}

pub async fn revoked(
    connection: &mut Connection,
    ids: Vec<RevocationId>,
) -> Result<HashMap<RevocationId, RevocationId>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(RevocationId::as_str).collect();
    let rows: Vec<String> = revocations::table
        .filter(revocations::revocation_id.eq_any(ids))
        .select(revocations::revocation_id)
        .load(connection)
        .await?;
    Ok(rows.iter().filter_map(|id| RevocationId::parse(id)).map(|id| (id.clone(), id)).collect())
}

/// The rooms of sessions, by their keys.
pub async fn session_rooms(
    connection: &mut Connection,
    sessions: Vec<PidKey>,
) -> Result<HashMap<PidKey, Vec<SessionRoom>>, StoreError> {
    let by_text: HashMap<String, PidKey> = sessions.into_iter().map(|key| (key.to_string(), key)).collect();
    let rows: Vec<(String, String, i64, i64, i64)> = session_rooms::table
        .filter(session_rooms::session.eq_any(by_text.keys()))
        .select((
            session_rooms::session,
            session_rooms::room,
            session_rooms::entered_at,
            session_rooms::since,
            session_rooms::seen_at,
        ))
        .load(connection)
        .await?;
    let mut found: HashMap<PidKey, Vec<SessionRoom>> = HashMap::new();
    for (session, room, entered_at, since, seen_at_ms) in rows {
        if let (Some(key), Some(room)) = (by_text.get(&session), RoomName::parse(&room)) {
            let room = SessionRoom { room, entered_at: from_db(entered_at), since: from_db(since), seen_at_ms };
            found.entry(*key).or_default().push(room);
        }
    }
    Ok(found)
}

/// What of the rooms' events may be gone.
pub async fn gone(connection: &mut Connection, rooms: Vec<RoomName>) -> Result<HashMap<RoomName, Gone>, StoreError> {
    let forgotten: i64 = log_head::table.select(log_head::forgotten_through).first(connection).await?;
    let rows: Vec<(String, i64)> = log_rooms::table
        .filter(log_rooms::name.eq_any(rooms.iter().map(RoomName::as_str)))
        .select((log_rooms::name, log_rooms::pruned_through))
        .load(connection)
        .await?;
    let pruned: HashMap<String, i64> = rows.into_iter().collect();
    let gone = |room: &RoomName| Gone {
        of_room: pruned.get(room.as_str()).copied().map(from_db).unwrap_or_default(),
        of_forgotten: from_db(forgotten),
    };
    Ok(rooms.into_iter().map(|room| (room.clone(), gone(&room))).collect())
}
