//! The contract of what the log lets go: one suite, which either database has to pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use expeditor::domain::RoomName;
use expeditor::store::log::{Append, Page, Write, Written};

use crate::support::database::{Database, contract};
use crate::support::eventually;
use crate::support::log::{append, commit, key, named, positions, read, room, write};

contract! {
    what_is_too_old_or_too_much_is_let_go,
    a_log_that_has_lost_all_its_events_goes_on,
    a_room_that_nobody_may_come_back_to_is_forgotten,
    no_event_is_lost_as_its_room_is_forgotten,
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

const TOO_OLD: &str = "UPDATE @log_events SET stored_at = stored_at - 25 * 3600 * 1000";

fn rows_of(database: &Database, room: &RoomName) -> i64 {
    database.number(&format!("SELECT count(*) FROM @log_rooms WHERE name = '{room}'"))
}

fn a_log_that_has_lost_all_its_events_goes_on(database: &Database) {
    let store = database.store(&[]);
    let quiet = room(1);
    let publish = |count: usize| (0..count).map(|n| Write::Append(append(&[room(1)], n))).collect();
    commit(&store, publish(5));
    database.execute(TOO_OLD);
    eventually("they are gone", || (store.block_on(store.pruned_through(&quiet)).unwrap() == 5).then_some(()));
    assert_eq!(commit(&store, publish(3)).before, 5);
    assert_eq!(positions(read(&store, &[(quiet, 5)], 8, 10)), [6, 7, 8]);
    let Page { events, through } = store.block_on(store.read_between(5, 8)).unwrap().page;
    assert_eq!((events.len(), through), (3, 8));
}

fn a_room_that_nobody_may_come_back_to_is_forgotten(database: &Database) {
    let (one, other) = (database.forgetful_store(), database.store(&[]));
    let (visited, left, fresh) = (room(1), room(2), room(3));
    let event = |room: &RoomName, n| Write::Append(append(std::slice::from_ref(room), n));
    // Either knows the rooms by their numbers from here on.
    for store in [&one, &other] {
        commit(store, vec![event(&visited, 1), event(&left, 2)]);
    }
    commit(&one, vec![Write::Enter { session: key(0, 1), room: visited.clone(), since: None }]);
    assert_eq!(one.block_on(one.gone_through(&fresh)).unwrap(), 0);
    database.execute(TOO_OLD);
    eventually("one room is forgotten", || (rows_of(database, &left) == 0).then_some(()));
    // A session that comes back to the other one is told that it has missed something.
    assert_eq!(rows_of(database, &visited), 1);
    assert_eq!(one.block_on(one.pruned_through(&visited)).unwrap(), 3);
    assert_eq!(read(&one, &[(visited.clone(), 2)], 4, 10), None);
    // Of the one that is forgotten, and of any other, nobody is told that there is nothing since a position so old.
    for room in [&left, &fresh] {
        assert!((4..10).contains(&one.block_on(one.gone_through(room)).unwrap()));
    }
    // A session that has been in a room all the time loses nothing by that.
    assert_eq!(one.block_on(one.pruned_through(&fresh)).unwrap(), 0);
    // Its number may be another room's by now, and it gets a new one, also of an instance that knew it by the old one.
    commit(&one, vec![event(&fresh, 5)]);
    commit(&other, vec![event(&left, 6)]);
    for store in [&one, &other] {
        assert_eq!(read(store, &[(fresh.clone(), 4)], 6, 10), Some(vec![(5, r#"{"n":5}"#.to_owned())]));
        assert_eq!(read(store, &[(left.clone(), 4)], 6, 10), Some(vec![(6, r#"{"n":6}"#.to_owned())]));
    }
}

/// Instances come back to rooms that are forgotten at the same time.
fn no_event_is_lost_as_its_room_is_forgotten(database: &Database) {
    const ROOMS: usize = 2_000;
    let (one, other) = (database.forgetful_store(), database.forgetful_store());
    let (began, done) = (Instant::now(), AtomicBool::new(false));
    // Each room has its turn of 4 ms, and is quiet for 8 seconds.
    let goes_on = || !done.load(Ordering::Acquire) && began.elapsed() < Duration::from_secs(90);
    let turn = || began.elapsed().as_millis() as usize / 4 % ROOMS;
    std::thread::scope(|scope| {
        for store in [&one, &other] {
            scope.spawn(move || {
                while goes_on() {
                    let n = turn();
                    let written = write(store, Write::Append(append(&[room(n)], n)));
                    assert!(matches!(written, Written::Placed(_)), "{written:?}");
                }
            });
        }
        let (mut steps, mut seen) = (0, 0);
        while steps < 3 && began.elapsed() < Duration::from_mins(1) {
            database.execute(TOO_OLD);
            let now = database.number("SELECT forgotten_through FROM @log_head");
            steps += usize::from(now > std::mem::replace(&mut seen, now));
        }
        // Nothing is pruned now, and each room has its turn once more.
        let round = began.elapsed() + Duration::from_millis(4 * ROOMS as u64);
        eventually("a round", || (began.elapsed() > round).then_some(()));
        done.store(true, Ordering::Release);
        assert_eq!(steps, 3, "rooms are forgotten");
    });
    let lost = "SELECT count(*) FROM @log_events WHERE room_id NOT IN (SELECT id FROM @log_rooms)";
    assert_eq!(database.number(lost), 0, "an event stands under a number that no room has");
    let head = one.block_on(one.log_head()).unwrap();
    let read_of = |n| read(&one, &[(room(n), one.block_on(one.gone_through(&room(n))).unwrap())], head, 1_000).unwrap();
    let found: Vec<_> = (0..ROOMS).map(|n| (n, read_of(n))).filter(|(_, events)| !events.is_empty()).collect();
    assert!(!found.is_empty());
    for (n, events) in found {
        let own = format!(r#"{{"n":{n}}}"#);
        assert!(events.iter().all(|(_, payload)| *payload == own), "another room's: {n} {events:?}");
    }
}
