//! An instance of the service in this process, on a port and a database of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection, RunQueryDsl};
use expeditor::App;
use expeditor::app::Inside;
use expeditor::config::Config;
use expeditor::store::migrations;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::people::{SERVER_SECRET, USER_SECRET};
use super::wait::eventually;

pub const SAMPLE: &str = include_str!("../../../fixtures/sample.sql");

pub struct Instance {
    pub address: SocketAddr,
    pub database: PathBuf,
    inside: Inside,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Instance {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more of the environment than a test needs.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self::with_rooms_idle(variables, Duration::from_mins(1))
    }

    pub fn with_rooms_idle(variables: &[(&str, &str)], idle: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("expeditor.db");
        let config = config(&format!("sqlite://{}", database.display()), variables);
        migrations::run(&config.database).unwrap();
        connect(&database).batch_execute(SAMPLE).unwrap();
        Self::run(config, idle, folder, database)
    }

    /// On a database that has the sample rows already. What asks the file of the embedded one is of no use then.
    pub fn on(url: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::run(config(url, variables), Duration::from_mins(1), folder, PathBuf::new())
    }

    fn run(config: Config, idle: Duration, folder: TempDir, database: PathBuf) -> Self {
        let (ready, started) = mpsc::channel();
        let (stop, stopping) = oneshot::channel();
        let running = std::thread::spawn(move || {
            let app = App::build(config, false).unwrap().with_room_idle(idle);
            ready.send((app.address().unwrap(), app.inside())).unwrap();
            let stopped = async move { drop(stopping.await) };
            actix_rt::System::new().block_on(app.run(stopped)).unwrap();
        });
        let (address, inside) = started.recv().unwrap();
        let instance = Self { address, database, inside, stop: Some(stop), running: Some(running), _folder: folder };
        eventually("the first worker", || instance.inside.services().map(drop));
        instance
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn websocket_url(&self) -> String {
        format!("ws://{}/socket.io/?EIO=4&transport=websocket", self.address)
    }

    pub fn services(&self) -> &expeditor::actors::session::SessionServices {
        self.inside.services().unwrap()
    }

    /// The status and body of a `GET`.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut request = agent.get(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    pub fn get_json(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let (status, body) = self.get(path, headers);
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The status and answer of a `POST` with this token as Bearer.
    pub fn post_json(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.post_with(path, &[("authorization", &format!("Bearer {token}"))], body)
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut request = agent.post(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    /// The value of a counter's line, such as `socket_events_total{event="broadcast",status="success"}`.
    pub fn metric(&self, line: &str) -> u64 {
        let text = self.services().metrics.render();
        let found = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    pub fn execute(&self, sql: &str) {
        let mut connection = connect(&self.database);
        connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        connection.batch_execute(sql).unwrap();
    }

    /// Waits until it has stopped by itself.
    pub fn ended(&self) {
        eventually("its end", || self.running.as_ref().is_none_or(JoinHandle::is_finished).then_some(()));
    }

    /// Begins the stop, as a signal does; the end is waited for on dropping.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have stopped by itself.
            stop.send(()).ok();
        }
    }

    /// Rows of the log.
    pub fn stored_events(&self) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        let query = diesel::sql_query("SELECT count(*) AS count FROM log_events");
        query.get_result::<Count>(&mut connect(&self.database)).unwrap().count
    }

    fn halt(&mut self) {
        self.stop();
        if let Some(running) = self.running.take() {
            let outcome = running.join();
            if !std::thread::panicking() {
                outcome.unwrap();
                let services = self.inside.services().unwrap();
                assert_eq!(services.directory.len(), 0, "sessions are left");
                assert!(services.metrics.render().contains("socket_connections 0"), "the gauge is off");
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.halt();
    }
}

pub fn connect(database: &std::path::Path) -> SqliteConnection {
    SqliteConnection::establish(database.to_str().unwrap()).unwrap()
}

/// What an instance on this database is given, and more.
pub fn config(url: &str, variables: &[(&str, &str)]) -> Config {
    let defaults = [
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("DATABASE_URL", url),
        ("NEXTAUTH_SECRET", USER_SECRET),
        ("SOCKET_SERVER_SECRET", SERVER_SECRET),
        ("DRAIN_SECS", "1"),
        ("RATE_LIMIT_POINTS", "100000"),
    ];
    Config::from_lookup(|name| {
        let given = variables.iter().chain(&defaults).find(|(key, _)| *key == name);
        given.map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}
