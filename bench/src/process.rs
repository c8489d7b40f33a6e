//! A server as one or more processes: starting them, and what they have cost.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::restaurant::{ADMIN_TOKEN, Restaurant, SERVER_SECRET, USER_SECRET};

/// The servers that are compared, in the order of the table's columns. The second is the first, with events that
/// are not to be stored, the third is the first on PostgreSQL.
pub const ALL: [&str; 7] = ["expeditor", "expeditor-volatile", "expeditor-postgresql", "node", "bun", "bare", "floor"];

/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub struct Server {
    instances: Vec<Process>,
    /// When the first instance was started.
    pub started: Instant,
    pub addresses: Vec<SocketAddr>,
    /// What instances find each other through.
    redis: Option<Process>,
}

impl Server {
    /// `instances` of one server; more than one are tied through a Redis of their own.
    pub fn start(name: &str, restaurant: &Restaurant, instances: usize) -> anyhow::Result<Self> {
        let mut server = Self { instances: Vec::new(), started: Instant::now(), addresses: Vec::new(), redis: None };
        let redis = if instances > 1 { Some(server.start_redis()?) } else { None };
        for _ in 0..instances {
            let address = free_address()?;
            let mut command = program(name, address.port(), restaurant)?;
            command
                .env("PORT", address.port().to_string())
                .env("NEXTAUTH_SECRET", USER_SECRET)
                .env("SOCKET_SERVER_SECRET", SERVER_SECRET)
                .env("ADMIN_TOKEN", ADMIN_TOKEN)
                .stdout(Stdio::null());
            if let Some(redis) = redis {
                command.env("REDIS_URL", format!("redis://{redis}"));
            }
            if server.instances.is_empty() {
                server.started = Instant::now();
            }
            server.instances.push(Process(command.spawn().context(name.to_owned())?));
            wait_until_it_listens(address)?;
            server.addresses.push(address);
        }
        Ok(server)
    }

    fn start_redis(&mut self) -> anyhow::Result<SocketAddr> {
        let address = free_address()?;
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &address.port().to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        self.redis = Some(Process(command.stdout(Stdio::null()).spawn().context("redis-server")?));
        wait_until_it_listens(address)?;
        Ok(address)
    }

    /// User and system time of all instances so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        self.instances.iter().map(|Process(process)| cpu_of(process.id())).sum()
    }

    /// KiB of resident memory.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        self.instances.iter().map(|Process(process)| status_kib(process.id(), "VmRSS:")).sum()
    }

    /// KiB of resident memory at their highest.
    pub fn peak_kib(&self) -> anyhow::Result<u64> {
        self.instances.iter().map(|Process(process)| status_kib(process.id(), "VmHWM:")).sum()
    }
}

pub fn expeditor() -> PathBuf {
    std::env::var_os("EXPEDITOR").map_or_else(|| root().join("../target/release/expeditor"), Into::into)
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program(name: &str, port: u16, restaurant: &Restaurant) -> anyhow::Result<Command> {
    Ok(match name {
        "expeditor" | "expeditor-volatile" | "expeditor-postgresql" => {
            let embedded = name != "expeditor-postgresql";
            let database = if embedded { restaurant.sqlite() } else { restaurant.postgres()? };
            let migrated = Command::new(expeditor()).arg("migrate").env("DATABASE_URL", &database).output()?;
            ensure!(migrated.status.success(), "expeditor migrate failed");
            if embedded {
                restaurant.fill()?;
            }
            let mut command = Command::new(expeditor());
            // What a deployment sets, and nothing else.
            command.env("DATABASE_URL", database).env("NODE_ENV", "production").env("HOST", "127.0.0.1");
            command
        }
        "node" => {
            let mut command = Command::new("node");
            command.arg(root().join("peers/node.mjs"));
            command
        }
        "bun" => {
            let mut command = Command::new(root().join("peers/node_modules/.bin/bun"));
            command.arg(root().join("peers/bun.mjs"));
            command
        }
        "bare" | "floor" => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(name).arg(port.to_string());
            command
        }
        other => bail!("no server {other}; there are {}", ALL.join(", ")),
    })
}

pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn wait_until_it_listens(address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < deadline, "it does not listen");
        std::thread::yield_now();
    }
    Ok(())
}

/// User and system time of a process so far.
pub fn cpu_of(process: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit(')').next().context("stat has a name")?;
    // utime and stime are fields 14 and 15, and the name the second (proc(5)).
    let mut times = after_name.split_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<u32> { Ok(times.next().context("stat has times")?.parse()?) };
    Ok(TICK * (ticks()? + ticks()?))
}

fn status_kib(process: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
