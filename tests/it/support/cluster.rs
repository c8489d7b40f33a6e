//! Several instances, as processes, on one database and one Redis.

use serde_json::Value;

use super::house::{House, Server, free_port};
use super::postgres::Postgres;
use super::program::run;
use super::proxy::Proxy;
use super::redis::RedisServer;
use super::wait::eventually;

pub struct Cluster {
    pub house: House,
    pub redis: RedisServer,
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts `count` instances, and waits until each relays.
    pub fn start(count: usize) -> Self {
        Self::with(count, RedisServer::start(), &[])
    }

    pub fn with(count: usize, redis: RedisServer, variables: &[(&str, &str)]) -> Self {
        Self::each_with(redis, variables, &vec![String::new(); count])
    }

    /// With a database for each, if it is not the house's.
    fn each_with(redis: RedisServer, variables: &[(&str, &str)], databases: &[String]) -> Self {
        let url = redis.url();
        let mut own = vec![("REDIS_URL", url.as_str()), ("DRAIN_SECS", "2")];
        own.extend(variables);
        let house = House::new(&own);
        let servers = databases.iter().map(|database| {
            let own = [("DATABASE_URL", database.as_str())];
            house.serve_with(free_port(), if database.is_empty() { &[] } else { &own })
        });
        let servers = servers.collect();
        let cluster = Self { house, redis, servers };
        cluster.relays();
        cluster
    }

    pub fn url(&self, index: usize) -> String {
        self.servers[index].url()
    }

    /// Waits until every instance says that it relays.
    pub fn relays(&self) {
        for server in &self.servers {
            eventually("the relay", || (health(server)["cluster"] == true).then_some(()));
        }
    }

    /// Waits until no instance says that it relays; each is ready all the same.
    pub fn relays_no_more(&self) {
        for server in &self.servers {
            eventually("the loss of the relay", || {
                let health = health(server);
                (health["cluster"] == false && health["ready"] == true).then_some(())
            });
        }
    }

    /// On PostgreSQL, in the application's own database.
    pub fn on_postgres(count: usize, postgres: &Postgres) -> Self {
        let url = migrated(postgres);
        Self::with(count, RedisServer::start(), &[("DATABASE_URL", &url)])
    }

    /// The same; each has a way of its own to the database.
    pub fn on_postgres_by(proxies: &[Proxy], postgres: &Postgres) -> Self {
        migrated(postgres);
        let databases = proxies.iter().map(|proxy| proxy.url().replace("http://", "postgresql://postgres@"));
        let databases: Vec<String> = databases.map(|url| url + "/restaurant?sslmode=disable").collect();
        Self::each_with(RedisServer::start(), &[], &databases)
    }

    /// The value of a metric's line, at one instance.
    pub fn metric(&self, index: usize, line: &str) -> f64 {
        line_of(&self.servers[index], line).map_or(0.0, |value| value.parse().unwrap())
    }

    /// The same of what is counted in whole numbers.
    pub fn count(&self, index: usize, line: &str) -> u64 {
        line_of(&self.servers[index], line).map_or(0, |value| value.parse().unwrap())
    }

    /// How much of what came through Redis was not taken for this cause, at one instance.
    pub fn ignored(&self, index: usize, cause: &str) -> u64 {
        self.count(index, &format!("expeditor_bridge_ignored_total{{cause=\"{cause}\"}}"))
    }

    /// The instance that takes in what Node servers publish.
    pub fn lease_holder(&self) -> usize {
        eventually("the lease", || {
            let held = |index: &usize| self.metric(*index, "expeditor_bridge_lease") > 0.0;
            (0..self.servers.len()).find(held)
        })
    }
}

/// The application's database with the service's tables; its URL.
fn migrated(postgres: &Postgres) -> String {
    let url = postgres.application("restaurant");
    let migrated = run(postgres.folder(), &["migrate"], &[("DATABASE_URL", &url)]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    url
}

fn get(server: &Server, path: &str) -> String {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    agent.get(format!("{}{path}", server.url())).call().unwrap().body_mut().read_to_string().unwrap()
}

/// What `/health/ready` says.
pub fn health(server: &Server) -> Value {
    serde_json::from_str(&get(server, "/health/ready")).unwrap()
}

fn line_of(server: &Server, line: &str) -> Option<String> {
    let text = get(server, "/metrics");
    text.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(' ')).map(str::to_owned)
}
