//! A tab as its guest sees it: its items and totals.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use super::connection::Connection;
use super::{Store, StoreError};
use crate::domain::Cuid;
use crate::schema::{tab_items, tables, tabs, venues};

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

impl Store {
    /// A tab with its items, in the order in which they were ordered.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn tab_sheet(&self, id: &Cuid) -> Result<Option<TabSheet>, StoreError> {
        let id = id.clone();
        self.read(move |connection| async move { tab_sheet(connection, &id).await }.boxed()).await
    }
}

async fn tab_sheet(connection: &mut Connection, id: &Cuid) -> Result<Option<TabSheet>, StoreError> {
    let head: Option<(SheetTab, String, Option<String>)> = tabs::table
        .inner_join(venues::table)
        .left_join(tables::table)
        .filter(tabs::id.eq(id.as_str()))
        .select((
            (
                tabs::id,
                tabs::tab_number,
                tabs::status,
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
            tab_items::kitchen_status,
        ))
        .order((tab_items::ordered_at, tab_items::id))
        .load(connection)
        .await?;
    Ok(Some(TabSheet { tab, venue, table, items }))
}
