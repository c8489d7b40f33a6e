//! What the demo's backend writes; the demo has a database of its own, and this one.

use chrono::Utc;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{Cuid, KitchenStatus};
use crate::schema::{tab_items, tabs};
use crate::store::StoreError;
use crate::store::rows::NewItem;

/// Puts items on a tab, as sent to the kitchen; the tab's new subtotal, tax and total in cents.
pub async fn add_items(
    connection: &mut Connection,
    tab: Cuid,
    items: Vec<NewItem>,
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
