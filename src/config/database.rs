//! Which database, and how it is reached. A PostgreSQL URL is read here, with the parameters that Prisma and libpq
//! put into one: what this service has no use for is ignored, as another program reads the same variable.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::ConfigError;
use super::variables::Variables;

#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    pub target: DatabaseTarget,
    /// Whether the environment names it; otherwise it is the default.
    pub given: bool,
    /// How long one look-up or change may take.
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    Sqlite(PathBuf),
    Postgres(Box<PostgresConfig>),
}

#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// For queries; there may be a pooler in between.
    pub pooled: PostgresUrl,
    /// For migrations and notifications.
    pub direct: PostgresUrl,
}

/// A PostgreSQL URL, read.
#[derive(Clone, Debug)]
pub struct PostgresUrl {
    /// A name, an address, or the folder of a socket.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub database: String,
    /// Where the application's tables are.
    pub schema: String,
    pub tls: TlsMode,
    /// Certificates of the authorities that are trusted, in PEM; those of the system where there is none.
    pub authorities: Option<PathBuf>,
    /// What the server is shown, if it asks who connects.
    pub identity: Option<ClientCertificate>,
    /// Behind a pooler that gives each transaction another connection.
    pub pooler: bool,
    /// Connections at most, without those of the log and of notifications.
    pub connections: u32,
    /// How long a query waits for a connection; without one, as long as it may take as a whole.
    pub pool_timeout: Option<Duration>,
    pub connect_timeout: Duration,
}

/// The files of a client's certificate and of its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// Where the server has it.
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// And the server has a certificate of a trusted authority.
    VerifyAuthority,
    /// And the certificate is for the server's name.
    VerifyFull,
}

impl DatabaseConfig {
    const TAKES: &'static str = "sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE";

    pub(super) fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        const VARIABLE: &str = "DATABASE_URL";
        let named = env.get(VARIABLE);
        let given = named.is_some();
        let url = named.unwrap_or_else(|| "sqlite://expeditor.db".to_owned());
        let fault = |fault: &str| ConfigError { variable: VARIABLE, fault: fault.to_owned(), takes: Self::TAKES };
        let target = match url.split_once("://") {
            // What stands before a query string; SQLite needs none of the parameters.
            Some(("sqlite", rest)) => match rest.split('?').next().unwrap_or_default() {
                "" => return Err(fault("names no file")),
                path => DatabaseTarget::Sqlite(path.into()),
            },
            Some(("postgres" | "postgresql", _)) => {
                let pooled = PostgresUrl::read(VARIABLE, &url)?;
                let direct = env.get("DIRECT_URL").map(|url| PostgresUrl::read("DIRECT_URL", &url)).transpose()?;
                let direct = direct.unwrap_or_else(|| pooled.clone());
                DatabaseTarget::Postgres(Box::new(PostgresConfig { pooled, direct }))
            }
            _ => return Err(fault("not a database URL")),
        };
        let timeout = env.whole("DATABASE_TIMEOUT", 100..=60_000, 5_000, "milliseconds from 100 to 60000")?;
        Ok(Self { target, given, timeout: Duration::from_millis(timeout) })
    }
}

impl PostgresUrl {
    const TAKES: &'static str =
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with what is special in a password written as %XX";
    /// Connections, where the URL does not say.
    const CONNECTIONS: u64 = 8;

    fn read(variable: &'static str, text: &str) -> Result<Self, ConfigError> {
        let fault = |fault: String| ConfigError { variable, fault, takes: Self::TAKES };
        // What is wrong is said without the text: it may hold the password.
        let url = Url::parse(text).map_err(|error| fault(format!("not a URL ({error})")))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(fault("not a PostgreSQL URL".to_owned()));
        }
        let parameters = Parameters { variable, url: &url };
        let decoded = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| fault("a part is not UTF-8".to_owned()))
        };
        let host = match parameters.get("host") {
            Some(host) => host,
            None => decoded(url.host_str().unwrap_or_default())?,
        };
        let database = decoded(url.path().trim_start_matches('/'))?;
        if host.is_empty() || database.is_empty() {
            return Err(fault(format!("names no {}", if host.is_empty() { "host" } else { "database" })));
        }
        let user = decoded(url.username())?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(5432),
            user: (!user.is_empty()).then_some(user),
            password: url.password().map(decoded).transpose()?.map(SecretString::from),
            database,
            schema: parameters.get("schema").unwrap_or_else(|| "public".to_owned()),
            tls: parameters.tls()?,
            authorities: parameters.authorities(),
            identity: parameters.identity(),
            pooler: parameters.get("pgbouncer").is_some_and(|value| value == "true"),
            connections: parameters.number("connection_limit", 1..=1_000)?.unwrap_or(Self::CONNECTIONS) as u32,
            pool_timeout: parameters.seconds("pool_timeout")?,
            connect_timeout: parameters.seconds("connect_timeout")?.unwrap_or(Duration::from_secs(5)),
        })
    }
}

struct Parameters<'a> {
    variable: &'static str,
    url: &'a Url,
}

impl Parameters<'_> {
    /// The last one counts, and an empty one does not.
    fn get(&self, name: &str) -> Option<String> {
        let found = self.url.query_pairs().filter(|(key, value)| key == name && !value.is_empty()).last();
        found.map(|(_, value)| value.into_owned())
    }

    fn fault(&self, name: &str, takes: &'static str) -> ConfigError {
        ConfigError { variable: self.variable, fault: format!("{name} has a value that cannot be used"), takes }
    }

    fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.fault(name, "a URL whose limits and timeouts are whole numbers in range"))
    }

    /// As Prisma has it, 0 stands for no limit: there the default limit holds.
    fn seconds(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        let seconds = self.number(name, 0..=3_600)?.filter(|seconds| *seconds > 0);
        Ok(seconds.map(Duration::from_secs))
    }

    /// libpq's modes; Prisma's `sslaccept=strict` is `verify-full`. A named authority is one to be verified by.
    fn tls(&self) -> Result<TlsMode, ConfigError> {
        let strict = self.get("sslaccept").is_some_and(|value| value == "strict");
        Ok(match self.get("sslmode").as_deref() {
            Some("disable") => TlsMode::Disable,
            Some("verify-full") => TlsMode::VerifyFull,
            Some("verify-ca") => TlsMode::VerifyAuthority,
            Some("require" | "prefer" | "allow") | None if strict => TlsMode::VerifyFull,
            Some("require") if self.get("sslrootcert").is_some() => TlsMode::VerifyAuthority,
            Some("require") => TlsMode::Require,
            Some("prefer" | "allow") | None => TlsMode::Prefer,
            Some(_) => {
                return Err(self.fault("sslmode", "disable, prefer, require, verify-ca or verify-full as sslmode"));
            }
        })
    }

    /// libpq calls it `sslrootcert`; Prisma `sslcert`, which in libpq is the client's own, with an `sslkey`.
    fn authorities(&self) -> Option<PathBuf> {
        let prismas = || self.get("sslcert").filter(|_| self.get("sslkey").is_none());
        self.get("sslrootcert").filter(|path| path != "system").or_else(prismas).map(PathBuf::from)
    }

    /// As libpq has it: one is of no use without the other.
    fn identity(&self) -> Option<ClientCertificate> {
        let (chain, key) = self.get("sslcert").zip(self.get("sslkey"))?;
        Some(ClientCertificate { chain: chain.into(), key: key.into() })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(url: &str) -> Result<PostgresUrl, ConfigError> {
        PostgresUrl::read("DATABASE_URL", url)
    }

    #[test]
    fn a_url_as_prisma_writes_it_is_understood() {
        let url = read(
            "postgresql://app:p%40ss%2Fw%3Ard@db.example.com:6543/shop%20floor?schema=pos&pgbouncer=true\
             &connection_limit=5&pool_timeout=7&connect_timeout=0&sslmode=require&statement_cache_size=0&foo=bar",
        )
        .unwrap();
        assert_eq!((url.host.as_str(), url.port, url.database.as_str()), ("db.example.com", 6543, "shop floor"));
        assert_eq!(url.user.as_deref(), Some("app"));
        assert_eq!(url.password.as_ref().unwrap().expose_secret(), "p@ss/w:rd");
        assert_eq!((url.schema.as_str(), url.pooler, url.connections), ("pos", true, 5));
        assert_eq!(url.pool_timeout, Some(Duration::from_secs(7)));
        assert_eq!(url.connect_timeout, Duration::from_secs(5));
        assert_eq!(url.tls, TlsMode::Require);
        assert!(!format!("{url:?}").contains("p@ss"));
    }

    #[test]
    fn little_need_be_said() {
        let url = read("postgres://localhost/shop").unwrap();
        assert_eq!((url.port, url.schema.as_str(), url.pooler, url.tls), (5432, "public", false, TlsMode::Prefer));
        assert_eq!((url.user, url.pool_timeout), (None, None));
        assert_eq!(read("postgresql://u@localhost/shop?host=/run/postgresql").unwrap().host, "/run/postgresql");
        assert_eq!(read("postgresql://u@%2Frun%2Fpostgresql/shop").unwrap().host, "/run/postgresql");
        assert_eq!(read("postgresql://u@[::1]/shop").unwrap().host, "::1");
    }

    #[test]
    fn how_far_a_server_is_verified_follows_both_ways_of_writing() {
        let of = |query: &str| {
            let url = read(&format!("postgresql://h/d?{query}")).unwrap();
            (url.tls, url.authorities.map(|path| path.display().to_string()))
        };
        assert_eq!(of("sslmode=verify-full&sslrootcert=/ca.pem"), (TlsMode::VerifyFull, Some("/ca.pem".to_owned())));
        assert_eq!(of("sslmode=require&sslrootcert=/ca.pem"), (TlsMode::VerifyAuthority, Some("/ca.pem".to_owned())));
        assert_eq!(of("sslmode=verify-ca"), (TlsMode::VerifyAuthority, None));
        assert_eq!(of("sslaccept=strict&sslcert=/ca.pem"), (TlsMode::VerifyFull, Some("/ca.pem".to_owned())));
        assert_eq!(of("sslmode=require&sslcert=/own.pem&sslkey=/own.key"), (TlsMode::Require, None));
        assert_eq!(of("sslmode=disable"), (TlsMode::Disable, None));
        let own = |query: &str| read(&format!("postgresql://h/d?{query}")).unwrap().identity;
        let identity = ClientCertificate { chain: "/own.pem".into(), key: "/own.key".into() };
        assert_eq!(own("sslmode=require&sslcert=/own.pem&sslkey=/own.key"), Some(identity));
        assert_eq!((own("sslcert=/ca.pem"), own("sslkey=/own.key")), (None, None));
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        for url in [
            "postgresql://u:hunter2@h:notaport/d",
            "postgresql://u:hunter2@h",
            "postgresql://u:hunter2@/d",
            "postgresql://u:hunter2@h/d?connection_limit=many",
            "postgresql://u:hunter2@h/d?connection_limit=0",
            "postgresql://u:hunter2@h/d?pool_timeout=-1",
            "postgresql://u:hunter2@h/d?sslmode=sometimes",
            "postgresql://u:hunter2%FF@h/d",
        ] {
            let line = read(url).unwrap_err().to_string();
            assert!(line.starts_with("DATABASE_URL: ") && line.contains("; it takes "), "{line}");
            assert!(!line.contains("hunter2") && !line.contains('\n'), "{line}");
        }
    }
}
