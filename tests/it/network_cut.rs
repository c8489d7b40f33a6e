//! The network goes without a word: packets are lost, nobody is refused or told.
//!
//! In a network namespace where the test may make one (root, and iproute2); elsewhere behind a proxy that stops
//! forwarding, which differs in that new connections are still accepted by it. The test says which it was.

use std::time::Duration;

use serde_json::json;

use crate::support::network::Network;
use crate::support::people::{BISTRO, CHEF};
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once, recovered};
use crate::support::{Driver, Instance, token};

/// The way from the clients to the service.
enum Way {
    Network(Network),
    Proxy(Proxy),
}

impl Way {
    fn cut(&self) {
        match self {
            Self::Network(network) => network.cut(),
            Self::Proxy(proxy) => proxy.cut(true),
        }
    }

    fn mend(&self) {
        match self {
            Self::Network(network) => network.mend(),
            Self::Proxy(proxy) => proxy.cut(false),
        }
    }
}

/// A service, clients in the kitchen on each transport, and 20 seconds without a network in the midst of publishing.
fn twenty_seconds_without_a_network(variables: &[(&str, &str)]) -> (Instance, Driver, Way) {
    let network = Network::start();
    let host = network.as_ref().map_or("127.0.0.1", |network| network.address.as_str()).to_owned();
    let instance = Instance::with(&[variables, &[("HOST", host.as_str())]].concat());
    let (driver, way, url) = if let Some(network) = network {
        println!("the network is a namespace's");
        (Driver::node_by(network.command("node")), Way::Network(network), instance.url())
    } else {
        println!("the network is a proxy's");
        let proxy = Proxy::to(instance.address);
        let url = proxy.url();
        (Driver::node(), Way::Proxy(proxy), url)
    };
    for (name, transports) in TRANSPORTS {
        connect(&driver, &url, name, &token(CHEF), transports);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let backend = Backend::new(&instance.url());
    let mut pace = Pace::start();
    for n in 0..300 {
        backend.publish(&format!("kitchen:{BISTRO}"), n);
        pace.wait(Duration::from_millis(100));
        match n {
            40 => way.cut(),
            240 => way.mend(),
            _ => {}
        }
    }
    for (name, _) in TRANSPORTS {
        has_each_once(&driver, name, 300);
    }
    (instance, driver, way)
}

const TRANSPORTS: [(&str, &[&str]); 3] =
    [("websocket", &["websocket"]), ("polling", &["polling"]), ("upgrading", &["polling", "websocket"])];

#[test]
fn with_pings_of_two_seconds_clients_notice_and_are_recovered() {
    let (_instance, driver, _way) =
        twenty_seconds_without_a_network(&[("PING_INTERVAL", "2000"), ("PING_TIMEOUT", "2000")]);
    for (name, _) in TRANSPORTS {
        connections(&driver, name, 2);
        always_recovered(&driver, name);
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn with_the_default_pings_the_connection_lives_on_without_a_gap() {
    let (_instance, driver, _way) = twenty_seconds_without_a_network(&[]);
    for (name, _) in TRANSPORTS {
        // One whose ping fell into the cut may have been given up; a websocket is not, within 20 + 25 s.
        let outcomes = recovered(&driver, name);
        assert!(outcomes[1..].iter().all(|outcome| *outcome), "{name}: {outcomes:?}");
        if name == "websocket" {
            assert_eq!(outcomes, [false]);
        }
        driver.call("disconnect", json!({ "client": name }));
    }
}
