//! A PostgreSQL server of the benchmark's own, with the settings that Debian gives one: each commit waits for the disk.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::process::{free_address, root};

pub struct Postgres {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Postgres {
    /// With the application's own tables, as its migrations make them.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        if let Some((user, group)) = unprivileged()? {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))?;
        }
        let data = folder.path().join("data");
        let made = program("initdb")?
            .args(["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "-D"])
            .arg(&data)
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_address()?.port();
        let process = program("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { folder, port, process };
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.psql(&["-c", "SELECT 1"]).is_err() {
            ensure!(Instant::now() < deadline, "PostgreSQL does not answer");
        }
        let application = root().join("../fixtures/application.postgres.sql");
        server.psql(&["-f", &application.display().to_string()])?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements, all or none.
    pub fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let file = self.folder.path().join("statements.sql");
        std::fs::write(&file, sql)?;
        self.psql(&["--single-transaction", "-f", &file.display().to_string()])
    }

    fn psql(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url()])
            .args(arguments)
            .output()
            .context("psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// One of the server's programs where Debian has them, of the newest version.
fn program(name: &str) -> anyhow::Result<Command> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let paths = versions.flatten().map(|version| version.path().join("bin").join(name));
    let newest = paths.filter(|path: &PathBuf| Path::exists(path)).max().context("PostgreSQL is not installed")?;
    let mut command = Command::new(newest);
    if let Some((user, group)) = unprivileged()? {
        command.uid(user).gid(group);
    }
    command.env("LC_ALL", "C").stdin(Stdio::null());
    Ok(command)
}

/// The user and group to run it as, where this runs as root, which the server refuses.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> anyhow::Result<u32> {
        let output = Command::new("id").args(arguments).output()?;
        String::from_utf8(output.stdout)?.trim().parse().context("the user postgres")
    };
    Ok(if id(&["-u"])? == 0 { Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)) } else { None })
}
