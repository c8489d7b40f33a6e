//! The pieces of an event's way, each alone: reading it, deciding on it, putting it
//! into a connection's outbox.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expeditor::access::policy::{Operation, Place, Question};
use expeditor::access::{Decisions, Policy};
use expeditor::domain::{
    Command, Cuid, EventPacket, Identity, KitchenStatus, RoomName, StaffRole, TabFacts, TabStatus, UserFacts, UserId,
};
use expeditor::socket::frame;
use expeditor::socket::outbox::Outbox;
use serde_json::value::RawValue;

const ORDER: &str = r#"{"venueId":"cvenuebench0000000000001","tabId":"ctab0000000000","items":[{"id":"citem000000000000000000001","name":"Burger","quantity":1,"modifiers":["NO ONIONS","EXTRA CHEESE"],"notes":"medium rare, nut allergy at the table"},{"id":"citem000000000000000000002","name":"Fries","quantity":2,"modifiers":[],"notes":null}],"timestamp":"2026-11-24T12:00:00.000Z"}"#;
const CONNECT: &str = r#"40{"sid":"x"}"#;
const BOUND: usize = 8_000_000;

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("the benchmark's JSON")
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let broadcast =
        format!(r#"{{"room":"tab:cbench00000000000000001","event":"kitchen:new-order","payload":{ORDER}}}"#);
    for (event, payload) in [
        ("tab:join", r#"{"tabId":"cbench00000000000000001"}"#.to_owned()),
        ("kitchen:update-status", r#"{"tabItemId":"citem000000000000000000001","status":"READY"}"#.to_owned()),
        ("broadcast", broadcast),
    ] {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let payload = raw(payload);
        group.bench_function(event, |bencher| {
            bencher.iter(|| Command::parse(black_box(event), Some(black_box(&payload))));
        });
    }
    group.finish();
}

fn deciding(criterion: &mut Criterion) {
    let venue = Cuid::parse("cvenuebench0000000000001").expect("an id");
    let facts = |id: &str, staff| UserFacts { id: UserId::parse(id).expect("an id"), staff };
    let member = Identity::User(Arc::new(facts("cuser0000000001", [(venue.clone(), StaffRole::Chef)].into())));
    let stranger = Identity::User(Arc::new(facts("cuser0000000002", [].into())));
    let tab = TabFacts {
        venue: venue.clone(),
        server: UserId::parse("cuser0000000003").expect("an id"),
        customer: None,
        status: TabStatus::Open,
    };
    let (tab_room, kitchen) = (RoomName::tab(&venue), RoomName::kitchen(&venue));
    let questions = [
        ("enter a tab", Question::enter(&tab_room, Place::of_tab(Some(&tab)))),
        ("enter a kitchen", Question::enter(&kitchen, Place::named(&kitchen))),
        ("change an item", Question::change_item(Operation::UpdateStatus(KitchenStatus::Ready), &tab)),
    ];
    let policy = Arc::new(Policy::load(None).expect("the built-in policy"));
    let mut group = criterion.benchmark_group("policy");
    for (who, identity) in [("staff", &member), ("stranger", &stranger)] {
        for (what, question) in &questions {
            group.bench_function(format!("{what}, {who}"), |bencher| {
                bencher.iter(|| policy.decide(black_box(identity), black_box(question), SystemTime::now()));
            });
        }
    }
    let kept = Decisions::new(policy);
    group.bench_function("publish, decided before", |bencher| {
        let question = Question::publish(&kitchen, Place::named(&kitchen));
        kept.ask(&Identity::System, &question).expect("the backend publishes");
        bencher.iter(|| kept.may_publish_still(black_box(&Identity::System), black_box(&kitchen)));
    });
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    group.bench_function("encode an event", |bencher| {
        bencher.iter(|| EventPacket::with_offset("kitchen:new-order", black_box(ORDER), "zik0zj.2s8c"));
    });
    let packet = EventPacket::new("kitchen:new-order", &raw(ORDER.to_owned()));
    let mut connect = Vec::new();
    frame::push_text(&mut connect, &[CONNECT.as_bytes()]);
    for count in [1, 10] {
        group.throughput(Throughput::Elements(count));
        let mut outbox = Outbox::new(BOUND);
        let session = outbox.begin_session("a-pid");
        outbox.push_ordinary(&connect).expect("there is room");
        let pending = outbox.pending().len();
        outbox.advance(pending);
        group.bench_function(format!("push {count} and write them all"), |bencher| {
            bencher.iter(|| {
                for _ in 0..count {
                    let text = packet.text();
                    outbox
                        .push_lane(session, text.len() + 11, |out| frame::push_text(out, &[b"4", text.as_bytes()]))
                        .expect("there is room");
                }
                let pending = black_box(outbox.pending()).len();
                outbox.advance(pending);
            });
        });
    }
    group.finish();
}

criterion_group!(pieces, parsing, deciding, encoding);
criterion_main!(pieces);
