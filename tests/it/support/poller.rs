//! Polling by hand, request by request.

use serde_json::{Value, json};

use super::Instance;

/// A polling session without a client that would mend anything.
pub struct Poller {
    url: String,
    agent: ureq::Agent,
}

impl Poller {
    pub fn connect(instance: &Instance, token: &str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut poller = Self { url: format!("{}/socket.io/?EIO=4&transport=polling", instance.url()), agent };
        let open: Value = serde_json::from_str(&poller.get().1[1..]).unwrap();
        poller.url = format!("{}&sid={}", poller.url, open["sid"].as_str().unwrap());
        let auth = json!({ "token": token });
        assert_eq!(poller.post(&format!("40{auth}")), 200);
        let connected = poller.get();
        assert!(connected.1.starts_with("40{"), "{connected:?}");
        poller
    }

    /// Its requests' path, with the query.
    pub fn path(&self) -> String {
        self.url[self.url.find("/socket.io/").unwrap()..].to_owned()
    }

    pub fn sid(&self) -> &str {
        self.url.split("sid=").nth(1).unwrap()
    }

    /// The status, and the packets but for Engine.IO's pings.
    pub fn get(&self) -> (u16, String) {
        loop {
            let mut response = self.agent.get(&self.url).call().unwrap();
            let body = response.body_mut().read_to_string().unwrap();
            let packets: Vec<&str> = body.split('\u{1e}').filter(|packet| *packet != "2").collect();
            if !packets.is_empty() {
                return (response.status().as_u16(), packets.join("\u{1e}"));
            }
        }
    }

    pub fn post(&self, body: &str) -> u16 {
        let request = self.agent.post(&self.url).header("content-type", "text/plain;charset=UTF-8");
        request.send(body).unwrap().status().as_u16()
    }
}
