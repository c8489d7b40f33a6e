//! A room's fan-out: from the message to its audience until the last member's outlet has
//! the event, where the clock stops. The outlet counts instead of writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::{Addr, System};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use expeditor::actors::Audience;
use expeditor::actors::messages::{AddMember, Closing, Deliver, Outlet, Reply};
use expeditor::actors::publication::{Arrival, Publication, Receipt};
use expeditor::domain::{EventPacket, RoomName};
use metrics::Counter;
use serde_json::value::RawValue;

const MEMBERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const ORDER: &str = r#"{"venueId":"cvenuebench0000000000001","tabId":"ctab0000000000","items":[]}"#;

/// One member's end of the way.
struct Counting(Arc<AtomicUsize>);

impl Outlet for Counting {
    fn push_event(&self, packet: &EventPacket) {
        std::hint::black_box(packet.text());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn push_ack(&self, _: i64, _: &RawValue) {}
    fn close(&self, _: Closing) {}
    fn ended(&self) {}
    fn transport(&self) -> &'static str {
        "websocket"
    }
}

fn room() -> RoomName {
    RoomName::parse("tab:cbench00000000000000001").expect("a room")
}

/// An event that its one room has reached.
fn reached(packet: &EventPacket) -> Arc<Publication> {
    let parts = Publication::split(vec![room()], packet.clone(), Receipt::for_nobody());
    let arrivals = parts.into_iter().map(|part| part.arrive(1, || unreachable!("it has one room")));
    let last = arrivals.filter_map(|arrival| match arrival {
        Arrival::Last(settlement) => Some(settlement.publication),
        Arrival::Early => None,
    });
    last.last().expect("a publish to one room has its place at once")
}

fn join(audience: &Addr<Audience>, members: usize, delivered: &Arc<AtomicUsize>) {
    for key in 0..members {
        let outlet = Arc::new(Counting(delivered.clone()));
        audience.do_send(AddMember { room: room(), key: key as u64, outlet, reply: Reply::default() });
    }
}

async fn deliver(audience: &Addr<Audience>, packet: &EventPacket, delivered: &AtomicUsize, members: usize) -> Duration {
    delivered.store(0, Ordering::Relaxed);
    let publication = reached(packet);
    let began = Instant::now();
    audience.send(Deliver { publication }).await.expect("the audience lives");
    let took = began.elapsed();
    assert_eq!(delivered.load(Ordering::Relaxed), members, "everybody has it");
    took
}

fn fan_out(criterion: &mut Criterion) {
    let system = System::new();
    let payload = RawValue::from_string(ORDER.to_owned()).expect("the benchmark's JSON");
    let packet = EventPacket::new("kitchen:new-order", payload);
    let mut group = criterion.benchmark_group("fan-out");
    for members in MEMBERS {
        let delivered = Arc::new(AtomicUsize::new(0));
        let audience = system.block_on(async { Audience::start(Counter::noop()) });
        join(&audience, members, &delivered);
        group.throughput(Throughput::Elements(members as u64));
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter_custom(|times| {
                system.block_on(async {
                    let mut took = Duration::ZERO;
                    for _ in 0..times {
                        took += deliver(&audience, &packet, &delivered, members).await;
                    }
                    took
                })
            });
        });
    }
    group.finish();
}

criterion_group!(fanout, fan_out);
criterion_main!(fanout);
