use proptest::prelude::*;

use super::*;

fn text(payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::push_text(&mut bytes, &[payload.as_bytes()]);
    bytes
}

fn push_lane(outbox: &mut Outbox, session: u32, payload: &str) -> Result<(), Full> {
    let bytes = text(payload);
    outbox.push_lane(session, bytes.len(), |out| out.extend_from_slice(&bytes))
}

fn read(mut bytes: &[u8]) -> Vec<String> {
    let mut payloads = Vec::new();
    while let Some((start, end)) = frame::split(bytes) {
        payloads.push(String::from_utf8_lossy(&bytes[start..end]).into_owned());
        bytes = &bytes[end..];
    }
    assert!(bytes.is_empty(), "a frame is cut");
    payloads
}

const CONNECT: &str = r#"40{"sid":"x"}"#;
const CONNECTED: &str = r#"40{"sid":"x","pid":"p"}"#;

#[test]
fn the_lane_holds_back_until_connect_has_passed() {
    let mut outbox = Outbox::new(10_000);
    let session = outbox.begin_session("p");
    push_lane(&mut outbox, session, "early").unwrap();
    outbox.push_ordinary(&text("0{}")).unwrap();
    outbox.push_ordinary(&text("40/admin,{}")).unwrap();
    let both = [text(CONNECT), text("2")].concat();
    outbox.push_ordinary(&both).unwrap();
    push_lane(&mut outbox, session, "late").unwrap();
    assert_eq!(read(outbox.pending()), ["0{}", "40/admin,{}", CONNECTED, "early", "2", "late"]);
}

#[test]
fn a_session_that_was_upgraded_goes_on_by_the_lane_behind_all_that_came_before() {
    let mut outbox = Outbox::new(10_000);
    outbox.push_ordinary(&text("42[1]")).unwrap();
    let session = outbox.take_over();
    push_lane(&mut outbox, session, "42[3]").unwrap();
    outbox.push_ordinary(&text("42[2]")).unwrap();
    // Of another session on the same transport: no sign for this one.
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    outbox.push_ordinary(&[text(LAST), text("2")].concat()).unwrap();
    push_lane(&mut outbox, session, "42[4]").unwrap();
    assert_eq!(read(outbox.pending()), ["42[1]", "42[2]", CONNECT, "42[3]", "2", "42[4]"]);
}

#[test]
fn nothing_of_the_lane_follows_disconnect() {
    let mut outbox = Outbox::new(10_000);
    let first = outbox.begin_session("p");
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    outbox.push_ordinary(&text("41")).unwrap();
    push_lane(&mut outbox, first, "late").unwrap();
    let second = outbox.begin_session("p");
    push_lane(&mut outbox, first, "later").unwrap();
    push_lane(&mut outbox, second, "mine").unwrap();
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    assert_eq!(read(outbox.pending()), [CONNECTED, "41", CONNECTED, "mine"]);
}

#[test]
fn a_close_is_last() {
    let mut outbox = Outbox::new(10_000);
    let session = outbox.begin_session("p");
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    outbox.close_after_disconnect();
    outbox.push_ordinary(&text("41")).unwrap();
    outbox.push_ordinary(&text("2")).unwrap();
    push_lane(&mut outbox, session, "late").unwrap();
    let expected = [text(CONNECTED), text("41"), frame::GOING_AWAY.to_vec()].concat();
    assert_eq!(outbox.pending(), expected);
    assert!(outbox.is_closing());
}

#[test]
fn it_has_a_bound_and_gives_its_memory_back() {
    let mut outbox = Outbox::new(10_000);
    let session = outbox.begin_session("p");
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    let big = "x".repeat(6_000);
    push_lane(&mut outbox, session, &big).unwrap();
    assert_eq!(push_lane(&mut outbox, session, &big), Err(Full));
    assert_eq!(outbox.push_ordinary(&text(&big)), Err(Full));
    let pending = outbox.pending().len();
    outbox.advance(pending);
    assert_eq!(outbox.bytes.capacity(), 0);
    push_lane(&mut outbox, session, &big).unwrap();
}

#[test]
fn events_are_refused_from_a_mark_on_and_asked_for_again_below_another() {
    let mut outbox = Outbox::new(1_000_000);
    let session = outbox.begin_session("p");
    outbox.push_ordinary(&text(CONNECT)).unwrap();
    push_lane(&mut outbox, session, &"x".repeat(20_000)).unwrap();
    assert!(outbox.takes_events(session, false));
    assert!(!outbox.takes_events(session, true), "all connections together are in need");
    assert!(!outbox.drained());
    outbox.advance(outbox.pending().len() - 10);
    assert!(!outbox.takes_events(session, false), "not before the session has heard of it");
    assert!(outbox.drained() && !outbox.drained());
    assert!(outbox.takes_events(session, false));
    push_lane(&mut outbox, session, &"x".repeat(Outbox::HIGH)).unwrap();
    assert!(!outbox.takes_events(session, false));
}

#[derive(Clone, Debug)]
enum Step {
    Lane(usize),
    Ordinary(usize),
    Connect,
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..400).prop_map(Step::Lane),
        2 => (1usize..400).prop_map(Step::Ordinary),
        1 => Just(Step::Connect),
        4 => (0usize..300).prop_map(Step::Write),
    ];
    prop::collection::vec(step, 0..120)
}

#[derive(Clone, Debug)]
enum UpgradeStep {
    Event(usize),
    Upgrade,
    /// socketioxide's queue gives out one packet.
    Pass,
    Write(usize),
}

fn upgrade_steps() -> impl Strategy<Value = Vec<UpgradeStep>> {
    let step = prop_oneof![
        4 => (0usize..400).prop_map(UpgradeStep::Event),
        1 => Just(UpgradeStep::Upgrade),
        4 => Just(UpgradeStep::Pass),
        4 => (0usize..300).prop_map(UpgradeStep::Write),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    /// Whatever the order of pushes and however little each write takes, frames come
    /// out whole, each source in its order, and the lane only behind CONNECT.
    #[test]
    fn frames_stay_whole_and_in_order(steps in steps()) {
        let mut outbox = Outbox::new(1 << 20);
        let session = outbox.begin_session("p");
        let (mut wire, mut lane, mut ordinary, mut connected) = (Vec::new(), 0, 0, false);
        for step in steps {
            match step {
                Step::Lane(length) => {
                    push_lane(&mut outbox, session, &format!("42[{lane},{}]", "x".repeat(length))).unwrap();
                    lane += 1;
                }
                Step::Ordinary(length) => {
                    outbox.push_ordinary(&text(&format!("o{ordinary},{}", "y".repeat(length)))).unwrap();
                    ordinary += 1;
                }
                Step::Connect if connected => {}
                Step::Connect => {
                    outbox.push_ordinary(&text(CONNECT)).unwrap();
                    connected = true;
                }
                Step::Write(count) => {
                    let count = count.min(outbox.pending().len());
                    wire.extend_from_slice(&outbox.pending()[..count]);
                    outbox.advance(count);
                }
            }
        }
        wire.extend_from_slice(outbox.pending());
        let frames = read(&wire);
        let of = |prefix: &str| frames.iter().filter(|frame| frame.starts_with(prefix)).cloned().collect::<Vec<_>>();
        let number = |frame: &String| frame.trim_start_matches(|c: char| !c.is_ascii_digit()).split(',').next().unwrap().to_owned();
        let lane_frames: Vec<String> = of("42[").iter().map(|frame| number(&frame.replacen("42[", "", 1))).collect();
        let expected: Vec<String> = if connected { (0..lane).map(|n| n.to_string()).collect() } else { vec![] };
        prop_assert_eq!(lane_frames, expected);
        let ordinary_frames: Vec<String> = of("o").iter().map(number).collect();
        prop_assert_eq!(ordinary_frames, (0..ordinary).map(|n| n.to_string()).collect::<Vec<_>>());
        if let Some(first) = frames.iter().position(|frame| frame.starts_with("42[")) {
            prop_assert!(frames[..first].iter().any(|frame| frame == CONNECTED));
        }
    }

    /// However much is queued when a session is upgraded, and however its queue and the lane take turns,
    /// its events come out in the order in which they were sent.
    #[test]
    fn an_upgrade_reorders_nothing(steps in upgrade_steps()) {
        let mut outbox = Outbox::new(1 << 20);
        let (mut queue, mut lane, mut wire, mut sent) = (std::collections::VecDeque::new(), None, Vec::new(), 0);
        for step in steps {
            match step {
                UpgradeStep::Event(length) => {
                    let event = format!("42[{sent},{}]", "x".repeat(length));
                    sent += 1;
                    match lane {
                        Some(session) => push_lane(&mut outbox, session, &event).unwrap(),
                        None => queue.push_back(event),
                    }
                }
                UpgradeStep::Upgrade => if lane.is_none() {
                    lane = Some(outbox.take_over());
                    queue.push_back(LAST.to_owned());
                },
                UpgradeStep::Pass => if let Some(packet) = queue.pop_front() {
                    outbox.push_ordinary(&text(&packet)).unwrap();
                },
                UpgradeStep::Write(count) => {
                    let count = count.min(outbox.pending().len());
                    wire.extend_from_slice(&outbox.pending()[..count]);
                    outbox.advance(count);
                }
            }
        }
        queue.iter().for_each(|packet| outbox.push_ordinary(&text(packet)).unwrap());
        wire.extend_from_slice(outbox.pending());
        let number = |frame: &String| frame.trim_start_matches("42[").split(',').next().unwrap().to_owned();
        let numbers: Vec<String> = read(&wire).iter().map(number).collect();
        prop_assert_eq!(numbers, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
