//! The program with the sample rows, as a process that can be killed and started again on its database.

use std::net::TcpListener;
use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::instance::{SAMPLE, connect};
use super::people::{SERVER_SECRET, USER_SECRET};
use super::program::{Program, run};

pub struct House {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// One of the house's processes.
pub struct Server {
    pub program: Program,
    pub port: u16,
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would, but for the system's own buffers.
    pub fn kill(mut self) {
        self.program.signal("KILL");
        self.program.exit_code();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl House {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert!(run(folder.path(), &["migrate"], &[]).status.success());
        let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let house = Self { folder, variables: own };
        house.database().batch_execute(SAMPLE).unwrap();
        house
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("expeditor.db")
    }

    pub fn database(&self) -> SqliteConnection {
        let mut connection = connect(&self.path());
        connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        connection
    }

    pub fn serve(&self, port: u16) -> Server {
        self.serve_with(port, &[])
    }

    /// With variables of its own, in place of the house's.
    pub fn serve_with(&self, port: u16, own: &[(&str, &str)]) -> Server {
        let server = self.spawn(port, own);
        server.program.line("listening");
        server
    }

    /// The same, without waiting for it.
    pub fn spawn(&self, port: u16, own: &[(&str, &str)]) -> Server {
        let text = port.to_string();
        let mut variables = vec![
            ("HOST", "127.0.0.1"),
            ("PORT", text.as_str()),
            ("NODE_ENV", "production"),
            ("NEXTAUTH_SECRET", USER_SECRET),
            ("SOCKET_SERVER_SECRET", SERVER_SECRET),
            ("RATE_LIMIT_POINTS", "1000000"),
        ];
        variables.extend(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        variables.extend(own);
        let program = Program::start(self.folder.path(), &["serve"], &variables);
        Server { program, port }
    }
}
