//! PgBouncer in front of a test's PostgreSQL, giving each transaction another of its few connections.

use std::path::Path;
use std::process::{Child, Stdio};

use super::eventually;
use super::house::free_port;
use super::postgres::{Postgres, command};

pub struct PgBouncer {
    pub port: u16,
    process: Child,
}

impl PgBouncer {
    pub fn start(server: &Postgres) -> Self {
        Self::with(server, "")
    }

    /// With more settings.
    pub fn with(server: &Postgres, more: &str) -> Self {
        let port = free_port();
        let file = server.folder().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\nshop = host=127.0.0.1 port={} dbname=shop user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\n{more}",
            server.port
        );
        std::fs::write(&file, settings).unwrap();
        let log = std::fs::File::create(server.folder().join("pgbouncer.log")).unwrap();
        let mut pgbouncer = command(Path::new("/usr/sbin/pgbouncer"));
        let process = pgbouncer
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PgBouncer is installed; `make test` does that");
        let pooler = Self { port, process };
        eventually("PgBouncer takes connections", || std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
        pooler
    }

    pub fn url(&self) -> String {
        self.url_without_a_word() + "?pgbouncer=true"
    }

    /// One that does not say that there is a pooler.
    pub fn url_without_a_word(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/shop", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
