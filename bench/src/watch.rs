//! Operators who read what the server says of itself, every second.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::measure::Figures;
use crate::restaurant::ADMIN_TOKEN;

const EVERY: Duration = Duration::from_secs(1);
const PAGES: [(&str, &str); 2] =
    [("/metrics", "slowest /metrics ms"), ("/admin/api/actors", "slowest /admin/api/actors ms")];

pub struct Watch {
    end: Sender<()>,
    watching: JoinHandle<anyhow::Result<Figures>>,
}

impl Watch {
    pub fn start(server: SocketAddr) -> Self {
        let (end, ended) = channel();
        let watching = std::thread::spawn(move || {
            let mut slowest: Figures = PAGES.iter().map(|(_, name)| (*name, 0.0)).collect();
            loop {
                for ((path, _), (_, slowest)) in PAGES.iter().zip(&mut slowest) {
                    let began = Instant::now();
                    let authorization = format!("Bearer {ADMIN_TOKEN}");
                    let mut answer =
                        ureq::get(format!("http://{server}{path}")).header("Authorization", authorization).call()?;
                    answer.body_mut().read_to_vec()?;
                    *slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
                }
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return Ok(slowest);
                }
            }
        });
        Self { end, watching }
    }

    /// How long the slowest answers took.
    pub fn end(self) -> anyhow::Result<Figures> {
        // It may have failed before, which is said below.
        self.end.send(()).ok();
        self.watching.join().map_err(|_| anyhow!("the watching thread panicked"))?
    }
}
