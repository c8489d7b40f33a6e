use actix::prelude::*;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::*;
use crate::actors::messages::OutletDrained;
use crate::domain::{Event, EventPacket};

#[derive(Default)]
struct Written(Mutex<Vec<String>>);

impl Outlet for Written {
    fn push_event(&self, packet: &EventPacket, _: Leaves) -> bool {
        self.0.lock().push(packet.name().to_owned());
        true
    }
    fn push_notice(&self, _: &EventPacket) {}
    fn push_ack(&self, _: i64, _: &RawValue) {}
    fn attend(&self, _: Recipient<OutletDrained>) {}
    fn close(&self, _: Closing) {}
    fn ended(&self) {}
    fn transport(&self) -> &'static str {
        "websocket"
    }
}

struct Sessions;

impl Actor for Sessions {
    type Context = Context<Self>;
}

impl Handler<FellBehind> for Sessions {
    type Result = ();

    fn handle(&mut self, _: FellBehind, _: &mut Self::Context) {}
}

#[actix_rt::test]
async fn what_was_kept_is_not_for_who_has_entered_an_excepted_room_meanwhile() {
    let (log, written) = (LogId(1), Arc::<Written>::default());
    let session = Sessions.start().recipient();
    let seat = Seat::new(1, "abcdefghijklmnop".into(), written.clone(), session, Arc::default(), Arc::default());
    let room = |name: &str| RoomName::parse(name).unwrap();
    let event = |name: &str, except: &[&str]| {
        let except = Except::of(except.iter().copied()).unwrap().map(Arc::new);
        let event = Event::of(name, &1);
        Arc::new(Logged::unplaced([room("tab:c12345678")].into(), event, true, except))
    };
    seat.enter(&room("tab:c12345678"), 0, 1, Begin::Now);
    seat.hold();
    seat.take(&event("for all", &[]), log, Leaves::Now);
    seat.take(&event("not for the table", &["table:c12345678"]), log, Leaves::Now);
    seat.take(&event("not for others", &["user:other"]), log, Leaves::Now);
    seat.enter(&room("table:c12345678"), 0, 2, Begin::Now);
    assert!(matches!(seat.go_live(0, log), GoneLive::Live));
    assert_eq!(*written.0.lock(), ["for all", "not for others"]);
}
