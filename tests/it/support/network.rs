//! A network of their own for clients: a namespace with one link to the service. While it is cut,
//! packets are lost on the way, in both directions, and nobody is told.

use std::process::{Command, Output};

pub struct Network {
    name: String,
    /// The service's address on the link.
    pub address: String,
    service_end: String,
    client_end: String,
}

impl Network {
    /// Returns `None` where the system does not let a test make one: that takes root and iproute2.
    pub fn start() -> Option<Self> {
        // A test is a process of its own.
        let id = std::process::id();
        let net = format!("10.213.{}", id % 250);
        let (name, service_end, client_end) = (format!("expeditor{id}"), format!("xps{id}"), format!("xpc{id}"));
        let network = Self { name, address: format!("{net}.1"), service_end, client_end };
        let Self { name, address, service_end, client_end } = &network;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", service_end, "type", "veth", "peer", "name", client_end, "netns", name])?;
        ip(&["addr", "add", &format!("{address}/24"), "dev", service_end])?;
        ip(&["link", "set", service_end, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{net}.2/24"), "dev", client_end])?;
        ip(&["-n", name, "link", "set", client_end, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Some(network)
    }

    /// Runs a program on the clients' side.
    pub fn command(&self, program: &str) -> Command {
        let mut command = ip_command();
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Both sides send to a hardware address that nobody has. Their sockets notice nothing of it.
    pub fn cut(&self) {
        let nobody = ["lladdr", "02:00:00:00:00:01", "nud", "permanent"];
        let client = self.client_address();
        let done =
            ip(&[&["-n", &self.name, "neigh", "replace", &self.address, "dev", &self.client_end], &nobody[..]]
                .concat())
            .and_then(|()| ip(&[&["neigh", "replace", &client, "dev", &self.service_end], &nobody[..]].concat()));
        assert!(done.is_some(), "the network is not cut");
    }

    pub fn mend(&self) {
        let done = ip(&["-n", &self.name, "neigh", "del", &self.address, "dev", &self.client_end])
            .and_then(|()| ip(&["neigh", "del", &self.client_address(), "dev", &self.service_end]));
        assert!(done.is_some(), "the network is not mended");
    }

    fn client_address(&self) -> String {
        format!("{}2", self.address.strip_suffix('1').unwrap())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The link goes with it.
        ip(&["netns", "del", &self.name]);
    }
}

fn ip_command() -> Command {
    Command::new("ip")
}

fn ip(arguments: &[&str]) -> Option<()> {
    let Output { status, stderr, .. } = ip_command().args(arguments).output().ok()?;
    if !status.success() {
        eprintln!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&stderr));
    }
    status.success().then_some(())
}
