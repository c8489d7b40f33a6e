//! Changes of the application's items that events tell of: both are written, or neither.

use std::collections::HashMap;

use chrono::{NaiveDateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};

use super::append::Fault;
use super::batch::{Earlier, NameKey, key};
use super::connection::Connection;
use crate::domain::{Cuid, KitchenStatus};
use crate::schema::tab_items;
use crate::store::log::{ItemChange, Write, Written};

/// How long an item's row may be locked by the application before its change fails: the whole batch waits.
const PATIENCE_MS: u32 = 250;

/// Makes the changes of a batch; what became of each that was not made, by its write's index. In the order of
/// the items, so that two instances never wait for each other's.
pub async fn change(
    connection: &mut Connection,
    writes: &[Write],
    earlier: &HashMap<NameKey, Earlier>,
) -> Result<HashMap<usize, Written>, Fault> {
    let mut changes: Vec<(usize, &ItemChange)> = writes
        .iter()
        .enumerate()
        .filter_map(|(index, write)| match write {
            // A publish that was written before changes nothing again.
            Write::Append(append) if !append.name.as_ref().is_some_and(|name| earlier.contains_key(&key(name))) => {
                append.change.as_ref().map(|change| (index, change))
            }
            _ => None,
        })
        .collect();
    let mut unchanged = HashMap::new();
    if changes.is_empty() {
        return Ok(unchanged);
    }
    changes.sort_by(|(_, one), (_, other)| one.item.as_str().cmp(other.item.as_str()));
    let patience = format!(
        "SELECT set_config('expeditor.lock_timeout', current_setting('lock_timeout'), true);
        SET LOCAL lock_timeout = {PATIENCE_MS}"
    );
    connection.batch_execute(&patience).await?;
    for (index, change) in changes {
        if let Some(written) = one(connection, change).await? {
            unchanged.insert(index, written);
        }
    }
    connection
        .batch_execute("SELECT set_config('lock_timeout', current_setting('expeditor.lock_timeout'), true)")
        .await?;
    Ok(unchanged)
}

/// `None` where the change is made. In a savepoint, so that one that the application's database refuses
/// (a trigger may) does not take the batch with it.
async fn one(connection: &mut Connection, change: &ItemChange) -> Result<Option<Written>, Fault> {
    let changing = connection
        .transaction::<bool, Error, _>(async |connection| {
            set_kitchen_status(connection, &change.item, change.status).await
        })
        .await;
    match changing {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Written::Unchanged)),
        // Where it is the connection that has failed, so does the next statement, and with it the batch.
        Err(error @ Error::DatabaseError(..)) => {
            tracing::warn!(%error, item = %change.item, "the database refused the change of an item");
            Ok(Some(if is_locked(connection, &change.item).await? { Written::Locked } else { Written::Failed }))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether another transaction has the item's row. The error itself says so only in the server's language.
async fn is_locked(connection: &mut Connection, id: &Cuid) -> Result<bool, Fault> {
    let item = tab_items::table.find(id.as_str()).select(tab_items::id);
    if item.first::<String>(connection).await.optional()?.is_none() {
        return Ok(false);
    }
    Ok(item.for_no_key_update().skip_locked().first::<String>(connection).await.optional()?.is_none())
}

/// Gives an item a state; `false` where it has it already, or is gone.
async fn set_kitchen_status(connection: &mut Connection, id: &Cuid, status: KitchenStatus) -> QueryResult<bool> {
    let now = Utc::now().naive_utc();
    let at = |reached: KitchenStatus| (status == reached).then_some(now);
    let (prepared, delivered): (Option<NaiveDateTime>, Option<NaiveDateTime>) =
        (at(KitchenStatus::Ready), at(KitchenStatus::Delivered));
    // A literal, unlike a parameter, is of the enumeration's type; it comes from a closed set.
    let label = status.as_str();
    let other = tab_items::id.eq(id.as_str()).and(sql::<Bool>(&format!("tab_items.kitchen_status <> '{label}'")));
    let state = tab_items::kitchen_status.eq(sql::<Text>(&format!("'{label}'")));
    let update = diesel::update(tab_items::table.filter(other));
    let changed = match (prepared, delivered) {
        (Some(now), _) => update.set((state, tab_items::prepared_at.eq(now))).execute(connection).await?,
        (_, Some(now)) => update.set((state, tab_items::delivered_at.eq(now))).execute(connection).await?,
        _ => update.set(state).execute(connection).await?,
    };
    Ok(changed > 0)
}
