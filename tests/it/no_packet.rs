//! What is no packet of the protocol ends the connection, on either transport, and harms no other.

use serde_json::json;

use crate::bad_input::raw_session;
use crate::support::people::{BISTRO, CHEF};
use crate::support::poller::Poller;
use crate::support::{Driver, Instance, token};

/// The last three: an array without a name, an acknowledgement without a number, more
/// attachments than are read.
const NO_PACKETS: [&str; 17] = [
    "4x",
    "49",
    "x",
    "42",
    "42[",
    "42[1]",
    "42{}",
    "4",
    "42[\"a\",",
    "42[\"a\",]",
    "45x-[\"a\"]",
    "\u{0}",
    "",
    "7",
    "42[]",
    "43[1]",
    "4599-[\"a\"]",
];

#[test]
fn what_is_no_packet_ends_the_connection() {
    let (instance, driver) = (Instance::start(), Driver::node());
    for (index, bad) in NO_PACKETS.iter().enumerate() {
        let name = format!("raw{index}");
        raw_session(&driver, &instance.websocket_url(), &name, &token(CHEF));
        driver.call("rawSend", json!({ "client": name, "text": bad }));
        driver.call("wait", json!({ "client": name, "event": "$close" }));
    }
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
}

#[test]
fn a_binary_message_that_no_packet_announced_ends_the_connection() {
    let (instance, driver) = (Instance::start(), Driver::node());
    raw_session(&driver, &instance.websocket_url(), "unannounced", &token(CHEF));
    driver.call("rawSend", json!({ "client": "unannounced", "binaryBase64": "AAECAw==" }));
    driver.call("wait", json!({ "client": "unannounced", "event": "$close" }));
    raw_session(&driver, &instance.websocket_url(), "interrupted", &token(CHEF));
    driver.call("rawSend", json!({ "client": "interrupted", "text": r#"451-["e",{"_placeholder":true,"num":0}]"# }));
    driver.call("rawSend", json!({ "client": "interrupted", "text": r#"42["e"]"# }));
    driver.call("wait", json!({ "client": "interrupted", "event": "$close" }));
}

#[test]
fn what_is_no_packet_ends_a_polling_session() {
    let instance = Instance::start();
    for bad in NO_PACKETS {
        let poller = Poller::connect(&instance, &token(CHEF));
        let answered = poller.post(bad);
        // What is left for the client may still be fetched; then there is no such session.
        let ended = || instance.services().directory.is_empty().then_some(());
        crate::support::eventually(&format!("the end after {bad:?}, answered with {answered}"), ended);
        assert!((0..3).any(|_| poller.get().0 >= 400), "{bad:?}");
    }
    let poller = Poller::connect(&instance, &token(CHEF));
    assert_eq!(poller.post(r#"421["tab:leave",{"tabId":"c12345678"}]"#), 200);
    assert_eq!(poller.get(), (200, r#"431[{"ok":true}]"#.to_owned()), "a sound one goes on");
    assert_eq!(poller.post("41"), 200);
}
