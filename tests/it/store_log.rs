//! The contract of the store's log: one suite, which either database has to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use expeditor::domain::{Event, PidKey, Position, RoomName, UserId};
use expeditor::store::Store;
use expeditor::store::log::{Append, Committed, PublishName, SessionRoom, Write, Written};
use serde_json::json;

use crate::support::database::{Database, contract};
use crate::support::eventually;
use crate::support::people::GUEST;

contract! {
    a_batch_takes_its_places_in_order_and_is_read_on_from_anywhere,
    a_name_is_taken_once,
    sessions_have_their_rooms,
    stores_on_one_database_share_one_order,
    what_is_too_old_or_too_much_is_let_go,
}

pub fn room(n: usize) -> RoomName {
    RoomName::parse(&format!("tab:c{n:08}")).unwrap()
}

pub fn append(rooms: &[RoomName], n: usize) -> Append {
    let event = Event::of("e", &json!({ "n": n }));
    Append { rooms: rooms.into(), event, kept: true, name: None, change: None, held_as: None }
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

fn write(store: &Store, write: Write) -> Written {
    commit(store, vec![write]).written[0]
}

pub fn placed(written: Written) -> Position {
    let Written::Placed(position) = written else { panic!("no place: {written:?}") };
    position
}

fn key(began_at: Position, nonce: u8) -> PidKey {
    PidKey { began_at, began_secs: 7, nonce: [nonce; 16] }
}

/// Positions and payloads of what a page holds.
fn read(
    store: &Store,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: usize,
) -> Option<Vec<(Position, String)>> {
    let events = store.block_on(store.read_events(starts.to_vec(), up_to, limit)).unwrap()?;
    Some(events.into_iter().map(|event| (event.position, event.payload)).collect())
}

fn positions(page: Option<Vec<(Position, String)>>) -> Vec<Position> {
    page.expect("nothing is gone").into_iter().map(|(position, _)| position).collect()
}

fn a_batch_takes_its_places_in_order_and_is_read_on_from_anywhere(database: &Database) {
    let store = database.store(&[]);
    let (a, b, c) = (room(1), room(2), room(3));
    assert!(positions(read(&store, &[(a.clone(), 0)], 10, 10)).is_empty());
    let unkept = Append { kept: false, ..append(std::slice::from_ref(&a), 9) };
    let committed = commit(
        &store,
        vec![
            Write::Append(append(std::slice::from_ref(&a), 1)),
            Write::Append(append(&[a.clone(), b.clone()], 2)),
            Write::Append(unkept),
            Write::Look,
            Write::Append(append(std::slice::from_ref(&b), 3)),
        ],
    );
    assert_eq!(committed.before, 0);
    let placed = [Written::Placed(1), Written::Placed(2), Written::NotKept, Written::Noted, Written::Placed(3)];
    assert_eq!(committed.written, placed);
    let more: Vec<_> = (4..300).map(|n| Write::Append(append(&[room(n % 3)], n))).collect();
    assert_eq!(commit(&store, more).before, 3);
    assert_eq!(store.block_on(store.log_head()).unwrap(), 299);
    // An event in two of the rooms is one event, and a limit cuts at the right one.
    let page = store.block_on(store.read_events(vec![(a.clone(), 0), (b.clone(), 1)], 3, 10)).unwrap().unwrap();
    let rooms: Vec<_> = page.iter().map(|event| (event.position, event.rooms.len())).collect();
    assert_eq!(rooms, [(1, 1), (2, 2), (3, 1)]);
    assert_eq!(page[1].payload, r#"{"n":2}"#);
    assert_eq!(positions(read(&store, &[(a.clone(), 0), (b.clone(), 0)], 299, 2)), [1, 2]);
    assert_eq!(positions(read(&store, &[(a, 290), (c.clone(), 0)], 299, 100)), [292, 295, 298]);
    assert_eq!(positions(read(&store, &[(b, 294)], 297, 100)), [296]);
    // What another process would read: all rooms, page by page.
    let (mut after, mut found) = (0, Vec::new());
    while after < 299 {
        let (events, through) = store.block_on(store.read_between(after, 299)).unwrap();
        found.extend(events.into_iter().map(|event| event.position));
        after = through;
    }
    assert_eq!(found, (1..300).collect::<Vec<_>>());
    // A payload is stored as it came: members in their order, however they are escaped.
    let odd = r#"{"z":1,"a":"\u0000 \ud83d\ude00 é","n":1.0}"#;
    let event = Event::new("odd é", serde_json::value::RawValue::from_string(odd.to_owned()).unwrap());
    let at = self::placed(write(&store, Write::Append(Append { event, ..append(std::slice::from_ref(&c), 0) })));
    assert_eq!(read(&store, &[(c, at - 1)], at, 1), Some(vec![(at, odd.to_owned())]));
    // The newest come first to a service that starts.
    let (info, newest) = store.block_on(store.resume_log(5)).unwrap();
    assert_eq!((info.head, newest.last().map(|event| event.position)), (300, Some(300)));
    assert!(newest.windows(2).all(|pair| pair[0].position < pair[1].position) && newest.len() >= 4);
}

fn a_name_is_taken_once(database: &Database) {
    let (one, other) = (database.store(&[]), database.store(&[]));
    let publish = |id: &str, digest: u8, kept: bool| {
        Write::Append(Append { name: Some(named(id, digest)), kept, ..append(&[room(1)], 1) })
    };
    assert_eq!(write(&one, publish("a", 1, true)), Written::Placed(1));
    assert_eq!(write(&one, publish("a", 1, true)), Written::Repeated { position: 1, kept: true });
    assert_eq!(write(&other, publish("a", 1, true)), Written::Repeated { position: 1, kept: true });
    assert_eq!(write(&other, publish("a", 2, true)), Written::Contradicted);
    assert_eq!(write(&one, publish("b", 1, false)), Written::NotKept);
    assert_eq!(write(&other, publish("b", 1, false)), Written::Repeated { position: 1, kept: false });
    // Within one batch, too, and the rest of the batch is written.
    let batch = vec![publish("c", 1, true), publish("c", 1, true), publish("c", 3, true), publish("d", 1, true)];
    let repeated = Written::Repeated { position: 2, kept: true };
    let expected = [Written::Placed(2), repeated, Written::Contradicted, Written::Placed(3)];
    assert_eq!(commit(&one, batch).written, expected);
    // Two instances that are given the same names at the same moment: each event has one place.
    let names: Vec<String> = (0..40).map(|n| format!("both {n}")).collect();
    let both: Vec<_> = std::thread::scope(|scope| {
        let publish_all = |store: Store| {
            let names = &names;
            scope.spawn(move || names.iter().map(|name| write(&store, publish(name, 1, true))).collect::<Vec<_>>())
        };
        let running = [publish_all(one.clone()), publish_all(other.clone())];
        running.map(|running| running.join().unwrap()).into()
    });
    for (mine, theirs) in both[0].iter().zip(&both[1]) {
        let position = |written: &Written| match written {
            Written::Placed(position) | Written::Repeated { position, kept: true } => *position,
            other => panic!("{other:?}"),
        };
        assert_eq!(position(mine), position(theirs));
        assert_ne!(matches!(mine, Written::Placed(_)), matches!(theirs, Written::Placed(_)), "{mine:?} {theirs:?}");
    }
    assert_eq!(one.block_on(one.log_head()).unwrap(), 43);
}

fn sessions_have_their_rooms(database: &Database) {
    let store = database.store(&[]);
    let (mine, others) = (key(0, 1), key(0, 2));
    let rooms = |key: PidKey| {
        let mut rooms = store.block_on(store.session_rooms(key)).unwrap();
        rooms.sort_by_key(|stay| stay.room.to_string());
        rooms
            .into_iter()
            .map(|SessionRoom { room, entered_at, since, .. }| (room, entered_at, since))
            .collect::<Vec<_>>()
    };
    let enter = |session, n, since| Write::Enter { session, room: room(n), since };
    let leave = |session, n| Write::Leave { session, room: room(n) };
    let event = |n| Write::Append(append(&[room(1)], n));
    let batch = vec![event(1), enter(mine, 1, None), event(2), enter(mine, 2, None), enter(others, 1, None)];
    commit(&store, batch);
    assert_eq!(rooms(mine), [(room(1), 1, 1), (room(2), 2, 2)]);
    // Again without a replay changes nothing; with one it takes a place of its own.
    commit(&store, vec![event(3), enter(mine, 1, None)]);
    assert_eq!(rooms(mine)[0], (room(1), 1, 1));
    let written = commit(&store, vec![event(4), enter(mine, 1, Some(2)), event(5)]).written;
    assert_eq!(written, [Written::Placed(4), Written::Placed(5), Written::Placed(6)]);
    assert_eq!(rooms(mine)[0], (room(1), 5, 2));
    // In and out within a batch, in every order.
    let batch = vec![
        leave(mine, 1),
        event(7),
        enter(mine, 1, None),
        enter(mine, 3, None),
        leave(mine, 3),
        enter(mine, 4, Some(1)),
        enter(mine, 4, None),
        leave(mine, 2),
    ];
    commit(&store, batch);
    assert_eq!(rooms(mine), [(room(1), 7, 7), (room(4), 8, 1)]);
    assert_eq!(rooms(others), [(room(1), 2, 2)]);
    // A session that is still there is noted, with a room of its own if it has none.
    let quiet = key(6, 3);
    let own_room = RoomName::user(&UserId::parse(GUEST).unwrap());
    commit(&store, vec![Write::Seen { session: quiet, own_room: Some(own_room.clone()) }]);
    assert_eq!(rooms(quiet), [(own_room, 6, 6)]);
    let seen = |key| store.block_on(store.session_rooms(key)).unwrap()[0].seen_at_ms;
    database.execute("UPDATE @session_rooms SET seen_at = 5");
    commit(&store, vec![Write::Seen { session: mine, own_room: None }, enter(mine, 1, None)]);
    assert!(seen(mine) > 5 && seen(others) == 5);
}

fn stores_on_one_database_share_one_order(database: &Database) {
    const EACH: usize = 150;
    let stores: Vec<Store> = (0..3).map(|_| database.store(&[])).collect();
    let all: Vec<(Position, Position, usize)> = std::thread::scope(|scope| {
        let running: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(index, store)| {
                scope.spawn(move || {
                    let batches = (0..EACH).map(|n| {
                        let count = 1 + n % 4;
                        let writes = (0..count).map(|m| Write::Append(append(&[room(m)], index))).collect();
                        let committed = commit(store, writes);
                        (committed.before, placed(committed.written[0]), count)
                    });
                    batches.collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|running| running.join().unwrap()).collect()
    });
    // Every place was given once, and each batch was told where the log stood before it.
    let mut places: Vec<Position> = Vec::new();
    for (before, first, count) in all {
        assert_eq!(first, before + 1);
        places.extend((first..).take(count));
    }
    places.sort_unstable();
    let head = stores[0].block_on(stores[0].log_head()).unwrap();
    assert_eq!(places, (1..=head).collect::<Vec<_>>());
}

fn what_is_too_old_or_too_much_is_let_go(database: &Database) {
    let store = database.store(&[("LOG_MAX_EVENTS", "100"), ("LOG_MAX_AGE_HOURS", "2")]);
    let (busy, quiet) = (room(1), room(2));
    commit(&store, (0..30).map(|n| Write::Append(append(std::slice::from_ref(&quiet), n))).collect());
    commit(&store, (0..150).map(|n| Write::Append(append(std::slice::from_ref(&busy), n))).collect());
    let pruned = |room: &RoomName| store.block_on(store.pruned_through(room)).unwrap();
    eventually("the busy room is within its limit", || (pruned(&busy) == 80).then_some(()));
    assert_eq!(read(&store, &[(busy.clone(), 79)], 180, 1_000), None);
    assert_eq!(positions(read(&store, &[(busy.clone(), 80)], 180, 1_000)), (81..181).collect::<Vec<_>>());
    assert_eq!(pruned(&quiet), 0, "the other one has nothing to lose");
    database.execute("UPDATE @log_events SET stored_at = stored_at - 3 * 3600 * 1000 WHERE position <= 20");
    eventually("what is too old is gone", || (pruned(&quiet) == 20).then_some(()));
    assert_eq!(read(&store, &[(quiet.clone(), 19)], 180, 1_000), None);
    assert_eq!(positions(read(&store, &[(quiet, 20)], 180, 1_000)), (21..31).collect::<Vec<_>>());
    assert_eq!(store.block_on(store.log_head()).unwrap(), 180);
    // A name is known for a day, whatever the age of events.
    let publish = || Write::Append(Append { name: Some(named("old", 1)), ..append(&[room(3)], 1) });
    assert_eq!(write(&store, publish()), Written::Placed(181));
    database.execute("UPDATE @log_publishes SET stored_at = stored_at - 23 * 3600 * 1000");
    commit(&store, (0..150).map(|n| Write::Append(append(std::slice::from_ref(&busy), n))).collect());
    eventually("it is pruned once more", || (pruned(&busy) > 200).then_some(()));
    assert_eq!(write(&store, publish()), Written::Repeated { position: 181, kept: true });
    database.execute("UPDATE @log_publishes SET stored_at = stored_at - 2 * 3600 * 1000");
    eventually("it is forgotten", || matches!(write(&store, publish()), Written::Placed(_)).then_some(()));
}
