//! What a database has to be able to do for the [`Store`](super::Store), which adds the deadlines and asks for
//! many rows at once. Implemented by `sqlite/` and `postgres/`; both pass `tests/it/store.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::StoreError;
use super::audit::{AuditEntry, AuditFilter, AuditRow};
use super::log::{Between, Committed, Gone, LogInfo, News, Page, PageLimit, SessionRoom, StoredEvent, Synced, Write};
use super::rows::{NewItem, OrderRow, StoredItem, TabRow, TabSheet};
use crate::domain::{
    Cuid, NotificationId, PidKey, Position, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId,
};

/// Runs on the store's threads, and to its end even when nobody waits any longer.
pub type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;
/// Rows by what they were asked for by; those that there are none of are not in it.
pub type Found<K, V> = Answer<HashMap<K, V>>;

/// See [`Store`](super::Store) for what each of them means.
pub trait Backend: Send + Sync {
    fn users(&self, ids: Vec<UserId>) -> Found<UserId, UserFacts>;
    fn tabs(&self, ids: Vec<Cuid>) -> Found<Cuid, TabFacts>;
    fn tables(&self, ids: Vec<Cuid>) -> Found<Cuid, TableFacts>;
    fn open_orders(&self, venues: Vec<Cuid>) -> Found<Cuid, Arc<Vec<OrderRow>>>;
    fn revoked(&self, ids: Vec<RevocationId>) -> Found<RevocationId, RevocationId>;
    fn session_rooms(&self, sessions: Vec<PidKey>) -> Found<PidKey, Vec<SessionRoom>>;
    fn gone(&self, rooms: Vec<RoomName>) -> Found<RoomName, Gone>;

    fn item(&self, id: Cuid) -> Answer<Option<StoredItem>>;
    fn open_tabs(&self, venue: Cuid) -> Answer<Vec<TabRow>>;
    fn tab_sheet(&self, id: Cuid) -> Answer<Option<TabSheet>>;
    fn ping(&self) -> Answer<()>;

    fn read_notification(&self, user: UserId, id: NotificationId) -> Answer<bool>;
    fn revoke(&self, id: RevocationId, reason: Option<String>) -> Answer<bool>;
    fn add_items(&self, tab: Cuid, items: Vec<NewItem>) -> Answer<(i32, i32, i32)>;

    fn append_audit(&self, entries: Arc<[AuditEntry]>) -> Answer<()>;
    fn read_audit(&self, filter: AuditFilter, limit: i64) -> Answer<Vec<AuditRow>>;

    fn take_lease(&self, name: String, holder: String, for_how_long: Duration) -> Answer<bool>;
    fn release_lease(&self, name: String, holder: String) -> Answer<()>;

    fn resume(&self, newest: PageLimit) -> Answer<(LogInfo, Vec<StoredEvent>)>;
    fn commit(&self, writes: Vec<Write>, gone_out: Position, landed: Arc<AtomicBool>) -> Answer<Committed>;
    fn synced(&self) -> watch::Receiver<Synced>;
    fn hurry_sync(&self);
    fn index_lag(&self) -> Duration;
    fn news(&self) -> Option<watch::Receiver<News>>;
    fn set_relayed(&self, relayed: bool);
    fn head(&self) -> Answer<Position>;
    fn events(&self, starts: Vec<(RoomName, Position)>, up_to: Position, limit: PageLimit) -> Answer<Option<Page>>;
    fn events_between(&self, after: Position, up_to: Position, limit: PageLimit) -> Answer<Between>;
    /// Up to where the events of all rooms are gone.
    fn all_gone_through(&self) -> Answer<Position>;
    /// Forgets some of the rooms that have no event, had none after `through`, and that no session may come back
    /// to; whether there may be more.
    fn forget_rooms(&self, through: Position) -> Answer<bool>;
}
