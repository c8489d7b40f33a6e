use proptest::prelude::*;

use super::*;

fn seal() -> Seal {
    Seal::new(LogId(7), b"secret")
}

#[test]
fn only_an_instance_of_the_log_can_make_a_frame() {
    let event = LogEvent { position: 5, rooms: vec!["a:b"], name: "e", payload: "{ \"b\":1,\"a\":2 }", held_as: None };
    let frame = LogFrame { instance: 1, before: 4, last: 5, events: vec![event] };
    let sealed = seal().close(LOG, &frame).unwrap();
    assert_eq!(seal().open::<LogFrame<'_>>(LOG, &sealed).unwrap(), frame);
    let open = |seal: Seal, channel: &str| seal.open::<LogFrame<'_>>(channel, &sealed).unwrap_err();
    assert_eq!(open(Seal::new(LogId(7), b"other"), LOG), Garbage::Forged);
    assert_eq!(open(Seal::new(LogId(8), b"secret"), LOG), Garbage::Foreign);
    assert_eq!(open(seal(), VOLATILE), Garbage::Forged, "it is for its channel only");
    for index in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[index] ^= 1;
        assert!(seal().open::<LogFrame<'_>>(LOG, &bent).is_err(), "byte {index}");
    }
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn loose() -> LooseEvent<'static> {
    LooseEvent { instance: 1, identity: None, rooms: vec!["a:b"], name: "e", payload: "1", except: vec![] }
}

fn behind() -> Behind<'static> {
    let trace = Trace { position: NO_POSITION, parent: PARENT.into() };
    let name = Name { position: NO_POSITION, publisher: "backend", id: "order-1", digest: [200; 32] };
    Behind { traces: vec![trace], names: vec![name] }
}

/// In a rolling upgrade either may be the older one.
#[test]
fn an_instance_that_knows_nothing_behind_frames_reads_a_frame_with_some_and_its_own_are_read() {
    let behind = behind();
    let (newer, older) =
        (seal().close_with(VOLATILE, &loose(), &behind).unwrap(), seal().close(VOLATILE, &loose()).unwrap());
    assert_eq!(seal().open::<LooseEvent<'_>>(VOLATILE, &newer).unwrap(), loose());
    let read = |sealed| seal().open_with::<LooseEvent<'_>>(VOLATILE, sealed).unwrap();
    assert_eq!(read(&newer), (loose(), behind.clone()));
    assert_eq!(read(&older), (loose(), Behind::default()), "without any it is the same frame as ever");
    for some in [Behind { names: vec![], ..behind.clone() }, Behind { traces: vec![], ..behind }] {
        let sealed = seal().close_with(VOLATILE, &loose(), &some).unwrap();
        assert_eq!(seal().open_with::<LooseEvent<'_>>(VOLATILE, &sealed).unwrap(), (loose(), some));
    }
    for index in HEAD..newer.len() {
        let mut bent = newer.clone();
        bent[index] ^= 1;
        let read = seal().open_with::<LooseEvent<'_>>(VOLATILE, &bent);
        assert_eq!(read.unwrap_err(), Garbage::Forged, "byte {index}: what is behind is under the seal");
    }
}

/// As it was read before an event could be for some of its rooms' members only.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FormerLooseEvent<'a> {
    instance: InstanceId,
    identity: Option<&'a str>,
    #[serde(borrow)]
    rooms: Vec<&'a str>,
    name: &'a str,
    payload: &'a str,
}

#[test]
fn an_instance_that_would_send_an_event_to_those_whom_it_is_not_for_does_not_take_it() {
    let excepting = LooseEvent { except: vec!["user:x", "abcdefghijklmnop"], ..loose() };
    for behind in [Behind::default(), behind()] {
        let sealed = |event| seal().close_with(VOLATILE, event, &behind).unwrap();
        let (excepting_sealed, plain) = (sealed(&excepting), sealed(&loose()));
        let former = |sealed| seal().open_with::<FormerLooseEvent<'_>>(VOLATILE, sealed).map(|(event, _)| event);
        assert_eq!(former(&excepting_sealed), Err(Garbage::Malformed));
        assert_eq!(former(&plain).unwrap().payload, "1");
        let former = former(&plain).unwrap();
        assert_eq!(seal().close_with(VOLATILE, &former, &behind).unwrap(), plain, "the same frame as ever");
        let read = seal().open_with::<LooseEvent<'_>>(VOLATILE, &excepting_sealed).unwrap();
        assert_eq!(read, (LooseEvent { except: excepting.except.clone(), ..loose() }, behind));
    }
}

proptest! {
    #[test]
    fn what_stands_behind_a_frame_does_it_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut body = seal().close(VOLATILE, &loose()).unwrap();
        body.extend(bytes);
        let sealed = seal().stamp(VOLATILE, body).unwrap();
        prop_assert_eq!(seal().open_with::<LooseEvent<'_>>(VOLATILE, &sealed).unwrap().0, loose());
    }

    #[test]
    fn arbitrary_bytes_are_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(seal().open::<LogFrame<'_>>(LOG, &bytes).is_err());
    }

    /// Sealed by a peer of another make, say: what is in it may be anything.
    #[test]
    fn arbitrary_contents_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let seal = seal();
        let sealed = seal.stamp(CONTROL, [vec![0; HEAD], bytes].concat()).unwrap();
        let _: Result<Control<'_>, Garbage> = seal.open(CONTROL, &sealed);
        let _: Result<LogFrame<'_>, Garbage> = seal.open(CONTROL, &sealed);
    }
}
