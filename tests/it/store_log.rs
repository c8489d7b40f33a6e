//! The contract of the store's log: one suite, which either database has to pass.

use expeditor::domain::{Event, PidKey, Position, RoomName, UserId};
use expeditor::store::Store;
use expeditor::store::log::{Append, Page, PageLimit, SessionRoom, Write, Written};
use serde_json::json;

use crate::support::database::{Database, contract};
use crate::support::eventually;
use crate::support::log::{append, commit, key, named, placed, positions, read, room, write};
use crate::support::people::GUEST;

contract! {
    a_batch_takes_its_places_in_order_and_is_read_on_from_anywhere,
    a_page_has_a_bound_in_bytes_and_holds_whole_events,
    a_name_is_taken_once,
    sessions_have_their_rooms,
    stores_on_one_database_share_one_order,
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
    let expected = [Written::Placed(1), Written::Placed(2), Written::NotKept, Written::Noted, Written::Placed(3)];
    assert_eq!(committed.written, expected);
    let more: Vec<_> = (4..300).map(|n| Write::Append(append(&[room(n % 3)], n))).collect();
    assert_eq!(commit(&store, more).before, 3);
    assert_eq!(store.block_on(store.log_head()).unwrap(), 299);
    // An event in two of the rooms is one event, and a limit cuts at the right one.
    let page =
        store.block_on(store.read_events(vec![(a.clone(), 0), (b.clone(), 1)], 3, PageLimit::of(10))).unwrap().unwrap();
    let rooms: Vec<_> = page.events.iter().map(|event| (event.position, event.rooms.len())).collect();
    assert_eq!(rooms, [(1, 1), (2, 2), (3, 1)]);
    assert_eq!(page.events[1].payload, r#"{"n":2}"#);
    assert_eq!(positions(read(&store, &[(a.clone(), 0), (b.clone(), 0)], 299, 2)), [1, 2]);
    assert_eq!(positions(read(&store, &[(a, 290), (c.clone(), 0)], 299, 100)), [292, 295, 298]);
    assert_eq!(positions(read(&store, &[(b, 294)], 297, 100)), [296]);
    // What another process would read: all rooms, page by page.
    let (mut after, mut found) = (0, Vec::new());
    while after < 299 {
        let Page { events, through } = store.block_on(store.read_between(after, 299)).unwrap().page;
        found.extend(events.into_iter().map(|event| event.position));
        after = through;
    }
    assert_eq!(found, (1..300).collect::<Vec<_>>());
    // A payload is stored as it came: members in their order, however they are escaped.
    let odd = r#"{"z":1,"a":"\u0000 \ud83d\ude00 é","n":1.0}"#;
    let event = Event::new("odd é", serde_json::value::RawValue::from_string(odd.to_owned()).unwrap());
    let at = placed(write(&store, Write::Append(Append { event, ..append(std::slice::from_ref(&c), 0) })));
    assert_eq!(read(&store, &[(c, at - 1)], at, 1), Some(vec![(at, odd.to_owned())]));
    // The newest come first to a service that starts.
    let (info, newest) = store.block_on(store.resume_log(PageLimit::of(5))).unwrap();
    assert_eq!((info.head, newest.last().map(|event| event.position)), (300, Some(300)));
    assert!(newest.windows(2).all(|pair| pair[0].position < pair[1].position) && newest.len() >= 4);
}

/// Reads page by page; each page's positions, and how many rooms each event was read in.
fn pages(mut read: impl FnMut(Position) -> Page, up_to: Position) -> Vec<Vec<(Position, usize)>> {
    let (mut after, mut pages) = (0, Vec::new());
    while after < up_to {
        let Page { events, through } = read(after);
        let whole = through == up_to || events.last().is_some_and(|event| event.position == through);
        assert!(after < through && whole, "nothing is passed over, and there is an end");
        pages.push(events.iter().map(|event| (event.position, event.rooms.len())).collect());
        after = through;
    }
    pages
}

fn a_page_has_a_bound_in_bytes_and_holds_whole_events(database: &Database) {
    const LARGE: usize = 200_000;
    let store = database.store(&[]);
    let (a, b, other) = (room(1), room(2), room(3));
    let large = |rooms: &[RoomName]| {
        let event = Event::of("e", &json!("x".repeat(LARGE - 2)));
        Write::Append(Append { event, ..append(rooms, 0) })
    };
    // Twelve large ones, every third of them in both rooms; of another room nothing is read.
    let both = [a.clone(), b.clone()];
    let writes = (0..12).flat_map(|n| {
        let rooms = if n % 3 == 0 { &both[..] } else { &both[n % 2..=n % 2] };
        [large(rooms), Write::Append(append(std::slice::from_ref(&other), n))]
    });
    commit(&store, writes.collect());
    let expected: Vec<_> = (0..12).map(|n| (2 * n + 1, if n % 3 == 0 { 2 } else { 1 })).collect();
    let starts = |after| vec![(b.clone(), after), (a.clone(), after)];
    let of_rooms =
        |limit| pages(|after| store.block_on(store.read_events(starts(after), 24, limit)).unwrap().unwrap(), 24);
    for indexed in [false, true] {
        if indexed && let Database::Sqlite(_) = database {
            eventually("they are in the index", || {
                (database.number("SELECT count(*) FROM log_index") == 28).then_some(())
            });
        }
        // Six of their places are past a megabyte; a place in either room counts.
        let usual = of_rooms(PageLimit::of(100));
        assert_eq!(usual.iter().map(Vec::len).collect::<Vec<_>>(), [4, 5, 3], "{usual:?}");
        assert_eq!(usual.concat(), expected);
        // However large an event is, a page has one.
        let small = of_rooms(PageLimit { events: 100, bytes: 1 });
        assert!(small.iter().all(|page| page.len() <= 1) && small.concat() == expected, "{small:?}");
        assert_eq!(of_rooms(PageLimit { events: 5, bytes: usize::MAX >> 1 }).iter().map(Vec::len).max(), Some(5));
    }
    // All rooms' events, as another process reads them, and as a service does that starts.
    let of_all = pages(|after| store.block_on(store.read_between(after, 24)).unwrap().page, 24);
    assert_eq!(of_all.iter().map(Vec::len).collect::<Vec<_>>(), [7, 10, 7], "{of_all:?}");
    assert_eq!(of_all.concat().len(), 24);
    let (_, newest) = store.block_on(store.resume_log(PageLimit { events: 100, bytes: 3 * LARGE })).unwrap();
    assert_eq!(newest.iter().map(|event| event.position).collect::<Vec<_>>(), (19..=24).collect::<Vec<_>>());
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
