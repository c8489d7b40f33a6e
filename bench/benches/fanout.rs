//! A room's fan-out: from the encoding of an event until the last member's outlet has
//! the event, where the clock stops. The outlet counts instead of writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, Recipient, System};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use expeditor::actors::Audience;
use expeditor::actors::insight::Post;
use expeditor::actors::logged::Logged;
use expeditor::actors::messages::{
    AddMember, Begin, Closing, Deliver, FellBehind, Leaves, Outlet, OutletDrained, Reply,
};
use expeditor::domain::{EventPacket, LogId, RoomName};
use expeditor::telemetry::Metrics;
use serde_json::value::RawValue;
use tracing::Span;

const MEMBERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const ORDER: &str = r#"{"venueId":"cvenuebench0000000000001","tabId":"ctab0000000000","items":[]}"#;

/// One member's end of the way.
struct Counting(Arc<AtomicUsize>);

impl Outlet for Counting {
    fn push_event(&self, packet: &EventPacket, _: Leaves) -> bool {
        std::hint::black_box(packet.text());
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
    fn push_notice(&self, _: &EventPacket) {}
    fn attend(&self, _: Recipient<OutletDrained>) {}
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

/// In place of the sessions; none of them falls behind here.
struct Sessions;

impl Actor for Sessions {
    type Context = Context<Self>;
}

impl Handler<FellBehind> for Sessions {
    type Result = ();

    fn handle(&mut self, _: FellBehind, _: &mut Self::Context) {
        panic!("the outlets take everything");
    }
}

fn join(audience: &Post<Audience>, sessions: &Addr<Sessions>, members: usize, delivered: &Arc<AtomicUsize>) {
    for key in 0..members {
        audience.do_send(AddMember {
            room: room(),
            key: key as u64,
            socket_id: "".into(),
            outlet: Arc::new(Counting(delivered.clone())),
            session: sessions.clone().recipient(),
            probe: Arc::default(),
            begin: Begin::Now,
            at: 0,
            entry: 0,
            reply: Reply::default(),
            entered: None,
        });
    }
}

/// Encoded, as it comes from the sequencer; the clock begins before that.
async fn deliver(audience: &Post<Audience>, position: u64, delivered: &AtomicUsize, members: usize) -> Duration {
    delivered.store(0, Ordering::Relaxed);
    let began = Instant::now();
    let event = Logged::placed([room()].into(), "kitchen:new-order", ORDER, LogId(1), position);
    audience.send(Deliver { event: Arc::new(event), span: Span::none() }).await.expect("the audience lives");
    let took = began.elapsed();
    assert_eq!(delivered.load(Ordering::Relaxed), members, "everybody has it");
    took
}

fn fan_out(criterion: &mut Criterion) {
    let system = System::new();
    let mut position = 0;
    let mut group = criterion.benchmark_group("fan-out");
    for members in MEMBERS {
        let delivered = Arc::new(AtomicUsize::new(0));
        let (audience, sessions) = system.block_on(async {
            (Audience::start(0, LogId(1), Arc::new(Metrics::new()), Arc::default()), Sessions.start())
        });
        join(&audience, &sessions, members, &delivered);
        group.throughput(Throughput::Elements(members as u64));
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter_custom(|times| {
                system.block_on(async {
                    let mut took = Duration::ZERO;
                    for _ in 0..times {
                        position += 1;
                        took += deliver(&audience, position, &delivered, members).await;
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
