//! Writing to the store's log and reading it, as its tests do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use expeditor::domain::{Event, PidKey, Position, RoomName};
use expeditor::store::Store;
use expeditor::store::log::{Append, Committed, PageLimit, PublishName, Write, Written};
use serde_json::json;

pub fn room(n: usize) -> RoomName {
    RoomName::parse(&format!("tab:c{n:08}")).unwrap()
}

pub fn append(rooms: &[RoomName], n: usize) -> Append {
    let event = Event::of("e", &json!({ "n": n }));
    Append::kept(rooms.into(), event)
}

pub fn named(id: &str, digest: u8) -> PublishName {
    PublishName { publisher: "backend".into(), id: id.into(), digest: [digest; 32] }
}

pub fn commit(store: &Store, writes: Vec<Write>) -> Committed {
    let landed = Arc::new(AtomicBool::new(false));
    let committed = store.block_on(store.commit(writes, landed.clone())).unwrap();
    assert!(landed.load(Ordering::Acquire));
    committed
}

pub fn write(store: &Store, write: Write) -> Written {
    commit(store, vec![write]).written[0]
}

pub fn placed(written: Written) -> Position {
    let Written::Placed(position) = written else { panic!("no place: {written:?}") };
    position
}

pub fn key(began_at: Position, nonce: u8) -> PidKey {
    PidKey { began_at, began_secs: 7, nonce: [nonce; 16] }
}

/// Positions and payloads of what a page holds.
pub fn read(
    store: &Store,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: usize,
) -> Option<Vec<(Position, String)>> {
    let events = store.block_on(store.read_events(starts.to_vec(), up_to, PageLimit::of(limit))).unwrap()?.events;
    Some(events.into_iter().map(|event| (event.position, event.payload)).collect())
}

pub fn positions(page: Option<Vec<(Position, String)>>) -> Vec<Position> {
    page.expect("nothing is gone").into_iter().map(|(position, _)| position).collect()
}
