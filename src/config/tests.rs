use super::*;

fn read(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn fault(values: &[(&str, &str)]) -> String {
    read(values).unwrap_err().to_string()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_defaults_are_those_of_the_documents() {
    let config = read(&[]).unwrap();
    assert_eq!(config.server.port, 3002);
    assert_eq!(config.server.host.to_string(), "0.0.0.0");
    assert_eq!(config.server.drain, Duration::from_secs(10));
    assert_eq!(config.server.allowed_origins, ["http://localhost:3000", "http://localhost:3001"]);
    assert_eq!(config.socket.ping_interval, Duration::from_secs(25));
    assert_eq!(config.socket.ping_timeout, Duration::from_mins(1));
    assert_eq!(config.socket.max_payload, 1_000_000);
    assert_eq!((config.log.max_events, config.log.max_age), (10_000, Duration::from_hours(24)));
    assert_eq!(config.limits.rate_points, 100);
    assert_eq!(config.limits.max_rooms_per_session, 64);
    assert!(matches!(&config.database.target, DatabaseTarget::Sqlite(path) if path.to_str() == Some("expeditor.db")));
    assert_eq!(config.telemetry, TelemetryConfig { level: tracing::Level::INFO, json: false });
}

#[test]
fn production_needs_both_secrets() {
    assert!(fault(&[("NODE_ENV", "production")]).starts_with("NEXTAUTH_SECRET: missing"));
    let short = [("NODE_ENV", "production"), ("NEXTAUTH_SECRET", SECRET), ("SOCKET_SERVER_SECRET", "short")];
    assert_eq!(fault(&short), "SOCKET_SERVER_SECRET: only 5 bytes long; it takes a secret of at least 32 bytes");
    let good = [("NODE_ENV", "production"), ("AUTH_SECRET", SECRET), ("SOCKET_SERVER_SECRET", SECRET)];
    assert!(read(&good).unwrap().telemetry.json);
}

#[test]
fn a_wrong_value_is_named_with_its_fault_and_what_it_takes() {
    for (name, value) in [
        ("PORT", "99999"),
        ("PORT", "http"),
        ("HOST", "everywhere"),
        ("WORKERS", "0"),
        ("DRAIN_SECS", "-1"),
        ("PING_INTERVAL", "soon"),
        ("MAX_PAYLOAD", "1"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "many"),
        ("MAX_SESSIONS_PER_USER", "0"),
        ("HANDSHAKE_TIMEOUT", "1"),
        ("AUDIT_MAX_AGE_DAYS", "0"),
        ("AUDIT_MAX_ROWS", "1"),
        ("REQUEST_TIMEOUT", "1"),
        ("ADMIN_MAX_FAILURES", "0"),
        ("RATE_LIMIT_POINTS", "0"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "postgresql://nowhere"),
        ("CORS_ORIGINS", "pos.example.com"),
        ("NEXTAUTH_URL", "ftp://x"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("LOG_LEVEL", "loud"),
        ("NODE_ENV", "prod"),
        ("BISCUIT_PUBLIC_KEY", "1=abc"),
        ("BISCUIT_PRIVATE_KEY", "abc"),
        ("REDIS_URL", "http://localhost"),
    ] {
        let line = fault(&[(name, value)]);
        assert!(line.starts_with(&format!("{name}: ")) && line.contains("; it takes "), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn a_secret_never_shows_in_debug_output() {
    let config = read(&[("NEXTAUTH_SECRET", SECRET)]).unwrap();
    assert!(!format!("{config:?}").contains(SECRET));
    let url = format!("rediss://user:{SECRET}@cache.example.com");
    for variables in [vec![("REDIS_URL", url.as_str())], vec![("REDIS_URL", "redis://x"), ("REDIS_PASSWORD", SECRET)]] {
        let shown = format!("{:?}", read(&variables).unwrap());
        assert!(shown.contains("RedisConfig") && !shown.contains(SECRET), "{shown}");
    }
    assert!(!fault(&[("REDIS_URL", &format!("nonsense:{SECRET}"))]).contains(SECRET));
}

#[test]
fn a_certificate_needs_a_connection_that_is_encrypted() {
    let plain = [("REDIS_URL", "redis://x"), ("REDIS_CA_FILE", "/etc/ca.pem")];
    assert!(fault(&plain).starts_with("REDIS_CA_FILE: REDIS_URL asks for no TLS"));
    let missing = [("REDIS_URL", "rediss://x"), ("REDIS_CA_FILE", "/nowhere/ca.pem")];
    assert!(fault(&missing).starts_with("REDIS_CA_FILE: /nowhere/ca.pem"));
}

#[test]
fn an_origin_loses_its_path_and_an_empty_value_is_absent() {
    let values = [("NEXTAUTH_URL", "https://App.example.com/api/auth"), ("PORT", ""), ("DATABASE_URL", "")];
    let config = read(&values).unwrap();
    assert_eq!(config.server.allowed_origins[0], "https://app.example.com");
    assert_eq!(config.server.port, 3002);
    assert!(!config.database.given);
    assert!(read(&[("DATABASE_URL", "sqlite://x.db")]).unwrap().database.given);
}

#[test]
fn every_variable_is_in_a_table() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    // So that what is asked only where another is given is asked as well.
    let given = [
        ("DATABASE_URL", "postgresql://u@h/d"),
        ("REDIS_URL", "rediss://x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
    ];
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Config::from_lookup(lookup).unwrap();
    let rows = include_str!("../../docs/OPERATIONS.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let names: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).flat_map(|names| names.split('`')).collect();
    let asked = asked.into_inner();
    let without: Vec<_> = asked.iter().filter(|name| !names.contains(&name.as_str())).collect();
    assert!(asked.len() > 50 && without.is_empty(), "{} asked, in no table: {without:?}", asked.len());
}
