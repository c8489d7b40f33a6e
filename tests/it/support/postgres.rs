//! A PostgreSQL server of the test's own, which can be killed and started again on its data.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::house::free_port;
use super::instance::SAMPLE;
use super::wait::eventually;

/// The application's tables as its own migrations make them.
pub const APPLICATION: &str = include_str!("../../../fixtures/application.postgres.sql");

pub struct Postgres {
    folder: TempDir,
    pub port: u16,
    process: Option<Child>,
    settings: Vec<String>,
}

/// Runs a program of PostgreSQL, which refuses to run as root.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if id(&[]) == 0 {
        command.uid(id(&["postgres"])).gid(id(&["-g", "postgres"]));
    }
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// The user's number, as `id -u` says it; with `-g` the group's.
fn id(arguments: &[&str]) -> u32 {
    let which = if arguments.contains(&"-g") { "-g" } else { "-u" };
    let user = arguments.iter().filter(|argument| **argument != "-g");
    let output = Command::new("id").arg(which).args(user).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("the user postgres is there")
}

/// Where Debian has the server's programs, of the newest version.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed; `make test` does that")
        .map(|entry| entry.unwrap().path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    versions.sort();
    versions.pop().expect("PostgreSQL is installed; `make test` does that")
}

impl Postgres {
    pub fn start() -> Self {
        Self::with(&[""; 0], "")
    }

    /// With settings of the form `name=value`, and lines for `pg_hba.conf` that come before the usual ones.
    pub fn with(settings: &[impl AsRef<str>], access: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::own(folder.path());
        let data = folder.path().join("data");
        let made = command(&program("initdb"))
            .args(["--no-sync", "--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = data.join("pg_hba.conf");
        let usual = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{access}\n{usual}")).unwrap();
        let settings = settings.iter().map(|setting| setting.as_ref().to_owned()).collect();
        let mut server = Self { folder, port: free_port(), process: None, settings };
        server.restart();
        server
    }

    /// Lets the server's user into a file or folder.
    pub fn own(path: &Path) {
        if id(&[]) == 0 {
            std::os::unix::fs::chown(path, Some(id(&["postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again, on its data and its port.
    pub fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        eventually("PostgreSQL takes connections", || {
            let stopped = self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some());
            if stopped {
                // What is left of a killed one may hold its memory for a moment.
                self.process = Some(self.spawn(log.try_clone().unwrap()));
            }
            self.answers().then_some(())
        });
    }

    fn spawn(&self, log: File) -> Child {
        let mut postgres = command(&program("postgres"));
        postgres.arg("-D").arg(self.folder.path().join("data"));
        postgres.arg("-k").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        // A killed process loses nothing by this; only the machine's fall would.
        for setting in ["fsync=off", "listen_addresses=127.0.0.1", "max_connections=60", "shared_buffers=16MB"] {
            postgres.args(["-c", setting]);
        }
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        postgres.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").is_ok()
    }

    /// As the kernel does when memory runs out.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
        eventually("it is gone", || (!self.answers()).then_some(()));
    }

    /// `STOP`: none of its processes goes on, and nothing is closed; `CONT` lets them.
    pub fn signal(&self, name: &str) {
        let own = self.process.as_ref().unwrap().id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        let all = [own.to_string()].into_iter().chain(children.split_whitespace().map(str::to_owned));
        // One that has just ended is none of them.
        Command::new("kill").args(["-s", name]).args(all).status().unwrap();
    }

    /// What a query prints, without headings; `Err` with what was wrong.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let url = self.url(database);
        let output = Command::new("psql")
            .args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A database with nothing in it; its URL.
    pub fn empty(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        self.url(name)
    }

    /// A database that the application has made its tables in, with the sample rows; its URL.
    pub fn application(&self, name: &str) -> String {
        let url = self.empty(name);
        self.psql(name, APPLICATION).unwrap();
        self.psql(name, SAMPLE).unwrap();
        url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            // Its children end by themselves, if they are not stopped.
            self.signal("CONT");
        }
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
