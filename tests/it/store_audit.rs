//! The store's contract: its audit trail, on either database.

use expeditor::domain::{AuditOutcome, AuditRecord, AuditTarget, Cuid, RoomName};
use expeditor::store::{AuditEntry, AuditFilter};

use crate::support::database::{Database, contract};
use crate::support::eventually;
use crate::support::people::GUESTS_TAB;

contract! {
    the_audit_trail_is_added_to_read_by_pages_and_pruned,
}

fn room(n: usize) -> RoomName {
    RoomName::parse(&format!("tab:c{n:08}")).unwrap()
}

fn audit_entry(actor: &str, subject: usize, at: i64) -> AuditEntry {
    let target =
        AuditTarget { tab: Cuid::parse(GUESTS_TAB), detail: Some("READY"), ..AuditTarget::room(&room(subject)) };
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
