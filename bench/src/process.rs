//! A server as a process: starting it, and what it has cost.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::restaurant::{Restaurant, SERVER_SECRET, USER_SECRET};

pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(name: &str, restaurant: &Restaurant) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = match name {
            "expeditor" => {
                let program =
                    std::env::var("EXPEDITOR").map_or_else(|_| root.join("../target/release/expeditor"), Into::into);
                let database = format!("sqlite://{}", restaurant.database().display());
                let migrated = Command::new(&program).arg("migrate").env("DATABASE_URL", &database).output()?;
                anyhow::ensure!(migrated.status.success(), "expeditor migrate failed");
                restaurant.fill()?;
                let mut command = Command::new(program);
                // What a deployment sets, and nothing else.
                command.env("DATABASE_URL", database).env("NODE_ENV", "production").env("HOST", "127.0.0.1");
                command
            }
            "node" => {
                let mut command = Command::new("node");
                command.arg(root.join("peers/node.mjs"));
                command
            }
            "bun" => {
                let mut command = Command::new(root.join("peers/node_modules/.bin/bun"));
                command.arg(root.join("peers/bun.mjs"));
                command
            }
            "floor" => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("floor").arg(port.to_string());
                command
            }
            other => bail!("no server {other}"),
        };
        command
            .env("PORT", port.to_string())
            .env("NEXTAUTH_SECRET", USER_SECRET)
            .env("SOCKET_SERVER_SECRET", SERVER_SECRET)
            .stdout(Stdio::null());
        let server = Self {
            process: command.spawn().context(name.to_owned())?,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    fn wait_until_it_listens(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        while TcpStream::connect(self.address).is_err() {
            anyhow::ensure!(Instant::now() < deadline, "it does not listen");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// User and system time so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit(')').next().context("stat has a name")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        // Linux counts these in hundredths of a second.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// KiB of resident memory.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
