//! A real Redis on a free port, that can be killed, stopped, and started again empty.

use std::process::{Child, Command, Stdio};

use redis::{Client, Connection};
use tempfile::TempDir;

use super::house::free_port;
use super::wait::eventually;

pub struct RedisServer {
    pub port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
    folder: TempDir,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments than it needs.
    pub fn with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { port: free_port(), arguments, process: None, folder: tempfile::tempdir().unwrap() };
        server.start_again();
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it, with nothing in it.
    pub fn start_again(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        // A test may take away the folder that it saves into.
        command.args(["--enable-protected-configs", "yes"]);
        command.args(&self.arguments).current_dir(self.folder.path());
        self.process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let listening = || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop);
        eventually("Redis", listening);
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// `STOP`: it answers no more, and closes nothing; `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub fn connection(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
