//! Instances on one PostgreSQL prune the log that all of them write.

use expeditor::domain::{PidKey, Position};
use expeditor::store::Store;
use expeditor::store::log::{Append, Write};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::log::{append, commit, named, placed, room};

const SESSIONS: u64 = 1_000;
const LIMITS: [(&str, &str); 2] = [("LOG_MAX_EVENTS", "100"), ("LOG_MAX_AGE_HOURS", "2")];

fn enter(session: u64, since: Option<Position>) -> Write {
    let session = PidKey { began_at: 0, began_secs: 7, nonce: u128::from(session % SESSIONS).to_be_bytes() };
    Write::Enter { session, room: room(3), since }
}

/// Much that is too old, of every kind, and a room that is too long: each instance finds it as it starts.
fn leave_much_to_prune(database: &Database) -> Vec<Position> {
    let store = database.store(&[]);
    let (busy, aged) = ([room(1)], [room(2)]);
    let name = |n: usize| Some(named(&format!("p{n}"), 1));
    commit(&store, (0..2_500).map(|n| Write::Append(Append { name: name(n), ..append(&aged, n) })).collect());
    commit(&store, (0..SESSIONS).map(|n| enter(n, None)).collect());
    database.execute(
        "UPDATE @log_events SET stored_at = 5; UPDATE @log_publishes SET stored_at = 5; UPDATE @session_rooms SET seen_at = 5",
    );
    // Slowly, so that sessions come back in the middle of it.
    database.execute(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN OLD; END';
         CREATE TRIGGER slowly BEFORE DELETE ON @session_rooms FOR EACH ROW EXECUTE FUNCTION slowly()",
    );
    let committed = commit(&store, (0..2_500).map(|n| Write::Append(append(&busy, n))).collect());
    committed.written.into_iter().map(placed).collect()
}

/// Appends to the busy room, and lets sessions come back that are about to be forgotten.
fn write_on(store: &Store, index: u64) -> Vec<Position> {
    let batches = (0..80).flat_map(|n| {
        let events = (0..5).map(|m| Write::Append(append(&[room(1)], m)));
        let entries = (0..40).map(|m| enter(index * 331 + n * 40 + m * 7, Some(1)));
        let committed = commit(store, events.chain(entries).collect());
        committed.written.into_iter().take(5).map(placed).collect::<Vec<_>>()
    });
    batches.collect()
}

#[test]
fn three_instances_that_prune_and_write_at_once_lose_nothing_and_never_wait_in_a_circle() {
    let database = Database::postgres();
    let Database::Postgres(server) = &database else { unreachable!() };
    let mut positions = leave_much_to_prune(&database);
    let (stores, written): (Vec<Store>, Vec<Vec<Position>>) = std::thread::scope(|scope| {
        let running: Vec<_> = (0..3)
            .map(|index| {
                let database = &database;
                scope.spawn(move || {
                    let store = database.store(&LIMITS);
                    let written = write_on(&store, index);
                    (store, written)
                })
            })
            .collect();
        running.into_iter().map(|running| running.join().unwrap()).unzip()
    });
    positions.extend(written.concat());
    positions.sort_unstable();
    let ask = |sql: &str| server.psql("shop", sql).unwrap();
    let of_busy = "FROM realtime.log_events JOIN realtime.log_rooms ON id = room_id WHERE name LIKE '%00000001'";
    let count = || ask(&format!("SELECT count(*) {of_busy}")).parse::<usize>().unwrap();
    eventually("what is too much is gone", || (count() <= 110).then_some(()));
    let aged = "SELECT (SELECT count(*) FROM realtime.log_events WHERE stored_at = 5)
        + (SELECT count(*) FROM realtime.log_publishes) + (SELECT count(*) FROM realtime.session_rooms WHERE seen_at = 5)";
    eventually("what is too old is gone", || (ask(aged) == "0").then_some(()));
    // What is left is the newest of what was written, without a gap, and not less than is to be kept.
    let left = ask(&format!("SELECT string_agg(position::text, ',' ORDER BY position) {of_busy}"));
    let left: Vec<Position> = left.split(',').map(|position| position.parse().unwrap()).collect();
    assert!(left.len() >= 100 && positions.ends_with(&left), "{left:?}");
    let through = stores[0].block_on(stores[0].pruned_through(&room(1))).unwrap();
    assert_eq!(through, positions[positions.len() - left.len() - 1], "a reader is told of all that is gone");
    drop(stores);
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    let failed: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
