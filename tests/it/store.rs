//! The store's contract but for its log: one suite, which either database has to pass.

use std::time::Duration;

use expeditor::domain::{Cuid, KitchenStatus, NotificationId, RevocationId, StaffRole, TabStatus, UserId};
use expeditor::store::Store;
use expeditor::store::log::{Append, ItemChange, PageLimit, Write, Written};

use crate::support::database::{Database, contract};
use crate::support::eventually;
use crate::support::log::{append, commit, room};
use crate::support::people::{
    BANNED, BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, FRIES, GUEST, GUESTS_NOTE, GUESTS_TAB, SERVER,
};

contract! {
    look_ups_give_the_same,
    a_change_and_its_event_are_written_together,
    a_lease_has_one_holder,
    what_a_newer_log_knows_is_there_after_a_restart,
    the_key_of_pids_is_changed_as_the_documentation_says,
}

fn cuid(text: &str) -> Cuid {
    Cuid::parse(text).unwrap()
}

fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
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
    let note = |reader: &str| {
        store.block_on(store.read_notification(&user(reader), &NotificationId::parse(GUESTS_NOTE).unwrap())).unwrap()
    };
    assert_eq!([note(GUEST), note(GUEST), note(SERVER)], [true, true, false]);
    let id = RevocationId::parse(&"ab".repeat(32)).unwrap();
    let is_revoked = || store.block_on(store.is_revoked(std::slice::from_ref(&id))).unwrap();
    assert!(!is_revoked());
    let revoke = || store.block_on(store.revoke(&id, Some("lost".to_owned()))).unwrap();
    assert_eq!([revoke(), revoke()], [true, false]);
    assert!(is_revoked());
    assert!(store.block_on(store.is_ready()));
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
    let (before, _) = first.block_on(first.resume_log(PageLimit::of(10))).unwrap();
    commit(&first, (0..3).map(|n| Write::Append(append(&[room(1), room(2)], n))).collect());
    drop(first);
    let second = database.store(&[]);
    let (after, newest) = second.block_on(second.resume_log(PageLimit::of(10))).unwrap();
    assert_eq!((after.log, after.pid_secret), (before.log, before.pid_secret));
    assert!(after.pid_secret.iter().any(|byte| *byte != 0));
    assert_eq!((after.head, newest.len(), newest[0].rooms.len()), (3, 3, 2));
    assert_eq!(commit(&second, vec![Write::Append(append(&[room(1)], 3))]).before, 3);
}

fn the_key_of_pids_is_changed_as_the_documentation_says(database: &Database) {
    let secret = || {
        let store = database.store(&[]);
        store.block_on(store.resume_log(PageLimit::of(1))).unwrap().0.pid_secret
    };
    let before = secret();
    let begins = match database {
        Database::Sqlite(_) => "UPDATE log_head SET pid_secret",
        Database::Postgres(_) => "UPDATE realtime.log_head SET pid_secret",
    };
    let documented = include_str!("../../docs/SECURITY.md").lines().map(str::trim);
    let statements: Vec<_> = documented.filter(|line| line.starts_with(begins)).collect();
    let [statement] = statements[..] else { panic!("{statements:?}") };
    database.execute(statement);
    let after = secret();
    assert_ne!(before, after);
    database.execute(statement);
    assert_ne!(after, secret(), "it is another one each time");
}
