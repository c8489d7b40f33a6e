//! Encrypted connections to PostgreSQL: how far the server is verified, and what it is shown.

use std::os::unix::fs::PermissionsExt;

use expeditor::store::migrations;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::instance::config;
use crate::support::people::BISTRO;
use crate::support::postgres::Postgres;
use crate::support::stock::Backend;
use crate::support::{Instance, eventually};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(authority, key) }
    }

    /// A certificate for this name, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut holder = CertificateParams::new(vec![name.to_owned()]).unwrap();
        holder.distinguished_name.push(DnType::CommonName, name);
        (holder.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Files that PostgreSQL may read, and nobody else.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Postgres::own(folder.path());
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        Postgres::own(&path);
        path.to_str().unwrap().to_owned()
    }

    /// What a server is started with that has a certificate of this authority, for `localhost`.
    fn of_server(&self, authority: &Authority) -> Vec<String> {
        let (certificate, key) = authority.sign("localhost");
        let (certificate, key) = (self.write("server.pem", &certificate), self.write("server.key", &key));
        vec!["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")]
    }
}

#[test]
fn an_encrypted_server_is_verified_as_far_as_the_url_says() {
    let files = Files::new();
    let (own, strange) = (Authority::new(), Authority::new());
    let (authority, stranger) =
        (files.write("ca.pem", &own.certificate), files.write("other.pem", &strange.certificate));
    let access = "hostnossl all app all reject\nhostssl all app all scram-sha-256";
    let server = Postgres::with(&files.of_server(&own), access);
    server.application("shop");
    let role = "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'p@ss/w:rd 100%'";
    server.psql("shop", role).unwrap();
    let url = |host: &str, query: &str| {
        format!("postgresql://app:p%40ss%2Fw%3Ard%20100%25@{host}:{}/shop?{query}", server.port)
    };
    let (ca, other) = (&authority, &stranger);
    let reach = |host: &str, query: &str| migrations::run(&config(&url(host, query), &[]).database).map(drop);
    let full = format!("sslmode=verify-full&sslrootcert={ca}");
    let good = [
        ("127.0.0.1", String::new()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("localhost", full.clone()),
        ("localhost", format!("sslaccept=strict&sslcert={ca}")),
    ];
    for (host, query) in good {
        reach(host, &query).unwrap_or_else(|error| panic!("{host} {query}: {error}"));
    }
    let bad = [
        ("127.0.0.1", "sslmode=disable".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={other}")),
        ("127.0.0.1", full.clone()),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}")),
        ("localhost", "sslmode=verify-full".to_owned()),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned()),
    ];
    for (host, query) in bad {
        let error = reach(host, &query).expect_err(&query).to_string();
        assert!(!error.contains("p@ss") && !error.contains('\n'), "{error}");
    }
    let instance = Instance::on(&url("localhost", &full), &[]);
    let backend = Backend::new(&instance.url());
    eventually("that it is stored", || (backend.publish(&kitchen(), 0)["durable"] == true).then_some(()));
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'";
    assert_eq!(server.psql("shop", encrypted), Ok("t".to_owned()));
}

#[test]
fn a_server_that_asks_who_connects_is_shown_a_certificate() {
    let files = Files::new();
    let (own, strange) = (Authority::new(), Authority::new());
    let ca = files.write("ca.pem", &own.certificate);
    let mut settings = files.of_server(&own);
    settings.push(format!("ssl_ca_file={ca}"));
    // `cert`: by the name in it, and nothing else.
    let server = Postgres::with(&settings, "hostnossl all app all reject\nhostssl all app all cert");
    server.application("shop");
    server.psql("shop", "CREATE ROLE app LOGIN SUPERUSER").unwrap();
    let show = |file: &str, authority: &Authority, name: &str| {
        let (certificate, key) = authority.sign(name);
        let chain = files.write(&format!("{file}.pem"), &certificate);
        format!("sslcert={chain}&sslkey={}", files.write(&format!("{file}.key"), &key))
    };
    let url = |own: &str| {
        format!("postgresql://app@localhost:{}/shop?sslmode=verify-full&sslrootcert={ca}&{own}", server.port)
    };
    let reach = |own: &str| migrations::run(&config(&url(own), &[]).database).map(drop);
    let good = show("app", &own, "app");
    reach(&good).unwrap();
    let bad = [
        String::new(),
        show("other", &own, "other"),
        show("strange", &strange, "app"),
        format!("sslcert={ca}&sslkey=/nowhere.key"),
        format!("sslcert=/nowhere.pem&sslkey={ca}"),
        // The key of another certificate.
        good.replace("app.key", "other.key"),
    ];
    for own in bad {
        let error = reach(&own).expect_err(&own).to_string();
        assert!(!error.contains('\n'), "{error}");
    }
    // Look-ups, the log and notifications alike.
    let instance = Instance::on(&url(&good), &[]);
    assert_eq!(Backend::new(&instance.url()).publish(&kitchen(), 0)["durable"], true);
    let shown = "SELECT DISTINCT client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'";
    assert_eq!(server.psql("shop", shown), Ok("/CN=app".to_owned()));
}
