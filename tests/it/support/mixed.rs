//! Instances and Node servers in one cluster, as a house has them that moves from one to the other.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::people::{BISTRO, CHEF};
use super::stock::connect;
use super::{Driver, eventually, token};

/// Two instances, two Node servers, and a client at each in the kitchen's room.
pub struct Mixed {
    pub cluster: Cluster,
    pub nodes: [Driver; 2],
    pub driver: Driver,
}

pub const OURS: [&str; 2] = ["ours0", "ours1"];
pub const THEIRS: [&str; 2] = ["node0", "node1"];

impl Mixed {
    pub fn start() -> Self {
        Self::among(Cluster::start(2))
    }

    /// With these instances, of which there are two.
    pub fn among(cluster: Cluster) -> Self {
        let driver = Driver::node();
        cluster.lease_holder();
        for (index, name) in OURS.into_iter().enumerate() {
            connect(&driver, &cluster.url(index), name, &token(CHEF), &["websocket"]);
            driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
        }
        let nodes = THEIRS.map(|name| {
            let node = Driver::node_server();
            let started = node.call("start", json!({ "redis": cluster.redis.url() }));
            connect(&driver, &format!("http://127.0.0.1:{}", started["port"]), name, "", &["websocket"]);
            driver.ask_ok(name, "enter", &format!("kitchen:{BISTRO}").into());
            node
        });
        for index in 0..2 {
            eventually("that the Node servers are known", || {
                (cluster.count(index, "expeditor_bridge_node_servers") == 2).then_some(())
            });
        }
        Self { cluster, nodes, driver }
    }

    pub fn socket_id(&self, client: &str) -> Value {
        let events = self.driver.events(client);
        events.iter().rfind(|(name, _)| name == "$connect").map(|(_, args)| args[0].clone()).unwrap()
    }
}
