//! The store's contract, the log's with it: one suite, which either database has to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use expeditor::domain::{
    AuditOutcome, AuditRecord, AuditTarget, Cuid, Event, KitchenStatus, PidKey, Position, RevocationId, RoomName,
    StaffRole, TabStatus, UserId,
};
use expeditor::store::log::{Append, Committed, ItemChange, PublishName, SessionRoom, Write, Written};
use expeditor::store::{AuditEntry, AuditFilter, Store, migrations};
use serde_json::json;
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::instance::{SAMPLE, config, connect};
use crate::support::people::{
    BANNED, BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, FRIES, GUEST, GUESTS_NOTE, GUESTS_TAB, SERVER,
};
use crate::support::postgres::Postgres;

/// A database with the sample rows.
enum Database {
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Database {
    fn sqlite() -> Self {
        let database = Self::Sqlite(tempfile::tempdir().unwrap());
        migrations::run(&config(&database.url(), &[]).database).unwrap();
        database.execute(SAMPLE);
        database
    }

    fn postgres() -> Self {
        let server = Postgres::start();
        let url = server.application("shop");
        migrations::run(&config(&url, &[]).database).unwrap();
        Self::Postgres(server)
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}/expeditor.db", folder.path().display()),
            Self::Postgres(server) => server.url("shop"),
        }
    }

    fn store(&self, variables: &[(&str, &str)]) -> Store {
        let config = config(&self.url(), variables);
        Store::open(&config.database, &config.log).unwrap()
    }

    /// Runs SQL, in which `@` stands before the service's own tables.
    fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = connect(&folder.path().join("expeditor.db"));
                connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
                connection.batch_execute(&sql.replace('@', "")).unwrap();
            }
            Self::Postgres(server) => drop(server.psql("shop", &sql.replace('@', "realtime.")).unwrap()),
        }
    }
}

/// Makes of each test one for either database.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $test() { super::$test(&super::Database::sqlite()); })*
        }
        mod on_postgres {
            $(#[test] fn $test() { super::$test(&super::Database::postgres()); })*
        }
    };
}

contract! {
    look_ups_give_the_same,
    a_batch_takes_its_places_in_order_and_is_read_on_from_anywhere,
    a_name_is_taken_once,
    a_change_and_its_event_are_written_together,
    sessions_have_their_rooms,
    stores_on_one_database_share_one_order,
    what_is_too_old_or_too_much_is_let_go,
    a_lease_has_one_holder,
    the_audit_trail_is_added_to_read_by_pages_and_pruned,
    what_a_newer_log_knows_is_there_after_a_restart,
}

fn cuid(text: &str) -> Cuid {
    Cuid::parse(text).unwrap()
}

fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn room(n: usize) -> RoomName {
    RoomName::parse(&format!("tab:c{n:08}")).unwrap()
}

fn append(rooms: &[RoomName], n: usize) -> Append {
    let event = Event::of("e", &json!({ "n": n }));
    Append { rooms: rooms.into(), event, kept: true, name: None, change: None }
}

fn named(id: &str, digest: u8) -> Option<PublishName> {
    Some(PublishName { publisher: "backend".into(), id: id.into(), digest: [digest; 32] })
}

fn commit(store: &Store, writes: Vec<Write>) -> Committed {
    let landed = Arc::new(AtomicBool::new(false));
    let committed = store.block_on(store.commit(writes, landed.clone())).unwrap();
    assert!(landed.load(Ordering::Acquire));
    committed
}

fn write(store: &Store, write: Write) -> Written {
    commit(store, vec![write]).written[0]
}

fn placed(written: Written) -> Position {
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

fn look_ups_give_the_same(database: &Database) {
    let store = database.store(&[]);
    let ask = |id: &str| store.block_on(store.find_user(&user(id))).unwrap();
    assert_eq!(ask(CHEF).unwrap().staff, [(cuid(BISTRO), StaffRole::Chef)]);
    assert_eq!(ask(GUEST).unwrap().staff, []);
    assert!(ask(BANNED).is_none() && ask("nobody").is_none());
    let tab = store.block_on(store.find_tab(&cuid(GUESTS_TAB))).unwrap().unwrap();
    assert_eq!((tab.venue, tab.status, tab.customer), (cuid(BISTRO), TabStatus::Open, Some(user(GUEST))));
    assert_eq!(store.block_on(store.find_table(&cuid(BISTRO_TABLE))).unwrap().unwrap().venue, cuid(BISTRO));
    assert_eq!(store.block_on(store.find_item(&cuid(BURGER))).unwrap().unwrap().tab, cuid(GUESTS_TAB));
    assert!(store.block_on(store.find_item(&cuid("cnosuchitem"))).unwrap().is_none());
    let orders = store.block_on(store.open_orders(&cuid(BISTRO))).unwrap();
    let items: Vec<_> = orders.iter().flat_map(|order| &order.items).collect();
    assert_eq!((orders.len(), items.len()), (2, 3));
    assert_eq!((items[0].name.as_str(), items[0].modifiers.as_deref()), ("Burger", Some(r#"["NO ONIONS"]"#)));
    assert_eq!(items[0].status, "SENT");
    let open = store.block_on(store.open_tabs(&cuid(DINER))).unwrap();
    assert_eq!((open.len(), open[0].table.as_deref()), (1, Some("B7")));
    let sheet = store.block_on(store.tab_sheet(&cuid(GUESTS_TAB))).unwrap().unwrap();
    assert_eq!((sheet.venue.as_str(), sheet.tab.total_cents, sheet.tab.status.as_str()), ("Bistro One", 3531, "OPEN"));
    assert_eq!((sheet.items.len(), sheet.items[1].status.as_str()), (2, "SENT"));
    let note = |reader: &str| store.block_on(store.read_notification(&user(reader), &user(GUESTS_NOTE))).unwrap();
    assert_eq!([note(GUEST), note(GUEST), note(SERVER)], [true, true, false]);
    let id = RevocationId::parse(&"ab".repeat(32)).unwrap();
    let is_revoked = || store.block_on(store.is_revoked(std::slice::from_ref(&id))).unwrap();
    assert!(!is_revoked());
    let revoke = || store.block_on(store.revoke(&id, Some("lost".to_owned()))).unwrap();
    assert_eq!([revoke(), revoke()], [true, false]);
    assert!(is_revoked());
    assert!(store.block_on(store.is_ready()));
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
        Write::Append(Append { name: named(id, digest), kept, ..append(&[room(1)], 1) })
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

fn a_change_and_its_event_are_written_together(database: &Database) {
    let store = database.store(&[]);
    let change = |item: &str, status| {
        let change = Some(ItemChange { item: cuid(item), status });
        Write::Append(Append { change, ..append(&[room(1)], 1) })
    };
    let batch = vec![
        change(FRIES, KitchenStatus::InProgress),
        change(BURGER, KitchenStatus::Ready),
        change(BURGER, KitchenStatus::Ready),
        change("cnosuchitem", KitchenStatus::Ready),
        change(BURGER, KitchenStatus::Delivered),
    ];
    let unchanged = Written::Unchanged;
    let expected = [Written::Placed(1), Written::Placed(2), unchanged, unchanged, Written::Placed(3)];
    assert_eq!(commit(&store, batch).written, expected);
    let sheet = store.block_on(store.tab_sheet(&cuid(GUESTS_TAB))).unwrap().unwrap();
    let statuses: Vec<_> = sheet.items.iter().map(|item| item.status.as_str()).collect();
    assert_eq!(statuses, ["DELIVERED", "IN_PROGRESS"]);
    // One that the application's database refuses takes nothing with it.
    match database {
        Database::Sqlite(_) => database.execute(
            "CREATE TRIGGER refusing BEFORE UPDATE ON tab_items WHEN NEW.id = 'citem000000000000000000002'
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        ),
        Database::Postgres(_) => database.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not this one''; END';
             CREATE TRIGGER refusing BEFORE UPDATE ON tab_items FOR EACH ROW
             WHEN (NEW.id = 'citem000000000000000000002') EXECUTE FUNCTION refuse()",
        ),
    }
    let batch = vec![
        Write::Append(append(&[room(1)], 4)),
        change(FRIES, KitchenStatus::Ready),
        change(BURGER, KitchenStatus::Sent),
    ];
    assert_eq!(commit(&store, batch).written, [Written::Placed(4), Written::Failed, Written::Placed(5)]);
    assert_eq!(store.block_on(store.log_head()).unwrap(), 5);
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
    let own_room = RoomName::user(&user(GUEST));
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
    let publish = || Write::Append(Append { name: named("old", 1), ..append(&[room(3)], 1) });
    assert_eq!(write(&store, publish()), Written::Placed(181));
    database.execute("UPDATE @log_publishes SET stored_at = stored_at - 23 * 3600 * 1000");
    commit(&store, (0..150).map(|n| Write::Append(append(std::slice::from_ref(&busy), n))).collect());
    eventually("it is pruned once more", || (pruned(&busy) > 200).then_some(()));
    assert_eq!(write(&store, publish()), Written::Repeated { position: 181, kept: true });
    database.execute("UPDATE @log_publishes SET stored_at = stored_at - 2 * 3600 * 1000");
    eventually("it is forgotten", || matches!(write(&store, publish()), Written::Placed(_)).then_some(()));
}

fn a_lease_has_one_holder(database: &Database) {
    let (one, other) = (database.store(&[]), database.store(&[]));
    let take = |store: &Store, holder: &str, ms| {
        store.block_on(store.take_lease("taker", holder, Duration::from_millis(ms))).unwrap()
    };
    assert!(take(&one, "a", 60_000));
    assert!(!take(&other, "b", 60_000));
    assert!(take(&one, "a", 60_000), "it can be had for longer");
    other.block_on(other.release_lease("taker", "b")).unwrap();
    assert!(!take(&other, "b", 60_000), "only its holder gives it up");
    one.block_on(one.release_lease("taker", "a")).unwrap();
    assert!(take(&other, "b", 1));
    eventually("it expires", || take(&one, "a", 60_000).then_some(()));
    assert!(!take(&other, "b", 60_000));
}

fn what_a_newer_log_knows_is_there_after_a_restart(database: &Database) {
    let first = database.store(&[]);
    let (before, _) = first.block_on(first.resume_log(10)).unwrap();
    commit(&first, (0..3).map(|n| Write::Append(append(&[room(1), room(2)], n))).collect());
    drop(first);
    let second = database.store(&[]);
    let (after, newest) = second.block_on(second.resume_log(10)).unwrap();
    assert_eq!((after.log, after.pid_secret), (before.log, before.pid_secret));
    assert!(after.pid_secret.iter().any(|byte| *byte != 0));
    assert_eq!((after.head, newest.len(), newest[0].rooms.len()), (3, 3, 2));
    assert_eq!(commit(&second, vec![Write::Append(append(&[room(1)], 3))]).before, 3);
}

fn audit_entry(actor: &str, subject: usize, at: i64) -> AuditEntry {
    let target =
        AuditTarget { tab: Some(cuid(GUESTS_TAB)), detail: Some("READY"), ..AuditTarget::room(&room(subject)) };
    let record = AuditRecord {
        actor: Some(actor.into()),
        action: "kitchen:bump",
        outcome: AuditOutcome::Refused,
        cause: Some("FORBIDDEN"),
        target: AuditTarget { subject: Some(subject.to_string().into()), ..target },
        session: Some("s".into()),
        address: "2001:db8::1".parse().ok(),
    };
    AuditEntry { at, times: 2, ..AuditEntry::now(record) }
}

fn the_audit_trail_is_added_to_read_by_pages_and_pruned(database: &Database) {
    let store = database.store(&[]);
    let now = AuditEntry::now(AuditRecord::revoked("x")).at;
    let add = |entries: Vec<AuditEntry>| store.block_on(store.append_audit(entries.into())).unwrap();
    add((0..250).map(|n| audit_entry("chef", n, now)).collect());
    add(vec![audit_entry("owner", 7, now)]);
    let read = |filter: AuditFilter, limit| store.block_on(store.read_audit(filter, limit)).unwrap();
    let chef = || AuditFilter { actor: Some("chef".to_owned()), ..AuditFilter::default() };
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = read(AuditFilter { before, ..chef() }, 100);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|row| row.subject.clone().unwrap().parse::<usize>().unwrap()));
    }
    assert!(seen.iter().copied().eq((0..250).rev()));
    let seventh = room(7).as_str().to_owned();
    let rows = read(
        AuditFilter { room: Some(seventh.clone()), tab: Some(GUESTS_TAB.to_owned()), ..AuditFilter::default() },
        9,
    );
    assert_eq!(rows.iter().map(|row| row.actor.as_deref().unwrap()).collect::<Vec<_>>(), ["owner", "chef"]);
    let first = &rows[0];
    assert_eq!(
        (first.at, first.times, first.action.as_str(), first.outcome.as_str()),
        (now, 2, "kitchen:bump", "refused")
    );
    assert_eq!((first.cause.as_deref(), first.detail.as_deref()), (Some("FORBIDDEN"), Some("READY")));
    assert_eq!((first.session.as_deref(), first.address.as_deref()), (Some("s"), Some("2001:db8::1")));
    assert!(read(AuditFilter { outcome: Some("done".to_owned()), ..AuditFilter::default() }, 9).is_empty());
    drop(store);

    // The oldest of long ago, and more rows than may be: the first thing that a store does.
    database.execute("UPDATE @audit_log SET at = 1 WHERE id <= 50");
    let store = database.store(&[("AUDIT_MAX_AGE_DAYS", "1")]);
    let kept = || store.block_on(store.read_audit(AuditFilter::default(), 1_000)).unwrap().len();
    eventually("the old ones' end", || (kept() == 201).then_some(()));
    let many = (0..1_200).map(|n| audit_entry("chef", n, now)).collect::<Vec<_>>();
    store.block_on(store.append_audit(many.into())).unwrap();
    drop(store);
    let store = database.store(&[("AUDIT_MAX_ROWS", "1000")]);
    let kept = || store.block_on(store.read_audit(AuditFilter::default(), 1_001)).unwrap().len();
    eventually("no more than may be", || (kept() == 1_000).then_some(()));
}
