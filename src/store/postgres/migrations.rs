//! Brings a PostgreSQL database up to date: the schema `realtime`, and the application's tables where there are
//! none. All in one transaction under a lock, so that of instances that start at once one does it.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{quoted, single};
use crate::config::PostgresConfig;
use crate::store::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
/// The migration that makes the application's tables, by its version.
const APPLICATION: &str = "20261124000001";
/// What of the application's this service reads.
const TABLES: [&str; 7] = ["users", "venues", "venue_staff", "tables", "tabs", "tab_items", "notifications"];

/// Nothing else waits for these, and an index may take its time.
const BEGIN: &str = "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(1702391923, 2);";

type Wrapper = AsyncConnectionWrapper<AsyncPgConnection>;

/// Why a database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
    #[error("{0}")]
    Migration(String),
    #[error("the role may not do this; an administrator has to run: {0}")]
    Denied(String),
    #[error("the schema {schema} has some of the application's tables, but not {missing}")]
    Incomplete { schema: String, missing: String },
}

/// Applies what the database still lacks and returns the names, oldest first. Blocks.
pub fn run(urls: &PostgresConfig) -> Result<Vec<String>, StoreError> {
    // The connection is driven by this runtime's thread while the migrations, which are synchronous, use it here.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| StoreError::Connection(error.to_string()))?;
    let connection = runtime.block_on(single(&urls.direct))?;
    let mut connection = Wrapper::from(connection);
    let schema = &urls.pooled.schema;
    let applied = connection.transaction(|connection| {
        connection.batch_execute(BEGIN)?;
        let applied = apply(connection, schema)?;
        check_grants(connection, schema)?;
        Ok(applied)
    });
    applied.map_err(|fault: Fault| StoreError::Query(fault.to_string()))
}

fn apply(connection: &mut Wrapper, schema: &str) -> Result<Vec<String>, Fault> {
    let missing = missing_tables(connection, schema)?;
    if !missing.is_empty() && missing.len() < TABLES.len() {
        return Err(Fault::Incomplete { schema: quoted(schema), missing: missing.join(", ") });
    }
    let applied = applied_versions(connection)?;
    let migrations: Vec<Box<dyn Migration<Pg>>> =
        MIGRATIONS.migrations().map_err(|error| Fault::Migration(error.to_string()))?;
    let is_application = |migration: &dyn Migration<Pg>| migration.name().version().to_string() == APPLICATION;
    let pending: Vec<_> = migrations
        .iter()
        .filter(|migration| !applied.contains(&migration.name().version().to_string()))
        // Tables that are there are the application's own affair, whoever made them.
        .filter(|migration| !missing.is_empty() || !is_application(&**migration))
        .collect();
    if !pending.is_empty() {
        make_schema(connection)?;
    }
    for migration in &pending {
        let mut path = "realtime".to_owned();
        if is_application(&***migration) {
            demand(
                connection,
                "has_schema_privilege(to_regnamespace(quote_ident($1))::oid, 'CREATE')",
                CREATE_IN,
                schema,
            )?;
            path = format!("{}, realtime", quoted(schema));
        }
        connection.batch_execute(&format!("SET LOCAL search_path = {path}"))?;
        connection.run_migration(&**migration).map_err(|error| Fault::Migration(error.to_string()))?;
    }
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

const CREATE_IN: &str = "format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', $1, current_user)";
const CREATE_SCHEMA: &str = "format('GRANT CREATE ON DATABASE %I TO %I (or: CREATE SCHEMA %I AUTHORIZATION %2$I)', current_database(), current_user, $1)";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

fn names(rows: Vec<Name>) -> Vec<String> {
    rows.into_iter().map(|row| row.name).collect()
}

/// The application's tables that the schema lacks.
fn missing_tables(connection: &mut Wrapper, schema: &str) -> Result<Vec<String>, Fault> {
    let query = "SELECT wanted.name FROM unnest($2) AS wanted (name)
        WHERE to_regclass(format('%I.%I', $1, wanted.name)) IS NULL";
    let rows = diesel::sql_query(query).bind::<Text, _>(schema).bind::<Array<Text>, _>(TABLES.to_vec());
    Ok(names(rows.load(connection)?))
}

/// Asked without diesel's own way, which would make its table first, and need the right to.
fn applied_versions(connection: &mut Wrapper) -> Result<Vec<String>, Fault> {
    let there =
        yes(connection, "to_regclass('realtime.__diesel_schema_migrations') IS NOT NULL AND $1 <> ''", "realtime")?;
    if !there {
        return Ok(Vec::new());
    }
    let query = "SELECT version::text AS name FROM realtime.__diesel_schema_migrations";
    Ok(names(diesel::sql_query(query).load(connection)?))
}

fn make_schema(connection: &mut Wrapper) -> Result<(), Fault> {
    const SCHEMA: &str = "realtime";
    if yes(connection, "to_regnamespace($1) IS NULL", SCHEMA)? {
        demand(connection, "$1 <> '' AND has_database_privilege(current_database(), 'CREATE')", CREATE_SCHEMA, SCHEMA)?;
        connection.batch_execute("CREATE SCHEMA realtime")?;
    }
    demand(connection, "has_schema_privilege($1, 'CREATE')", CREATE_IN, SCHEMA)?;
    connection.batch_execute("SET LOCAL search_path = realtime")?;
    // Makes diesel's table, in the schema that the path begins with.
    connection.applied_migrations().map_err(|error| Fault::Migration(error.to_string()))?;
    Ok(())
}

/// What the service needs of the application's tables and of its own, so that a start without it stops.
fn check_grants(connection: &mut Wrapper, schema: &str) -> Result<(), Fault> {
    demand(
        connection,
        "has_schema_privilege(to_regnamespace(quote_ident($1))::oid, 'USAGE')",
        "format('GRANT USAGE ON SCHEMA %I TO %I', $1, current_user)",
        schema,
    )?;
    demand(
        connection,
        "has_schema_privilege($1, 'USAGE')",
        "format('GRANT USAGE ON SCHEMA %I TO %I', $1, current_user)",
        "realtime",
    )?;
    let read = "SELECT format('%I.%I', $1, needed.name) AS name FROM unnest($2) AS needed (name)
        WHERE NOT has_table_privilege(format('%I.%I', $1, needed.name), 'SELECT')";
    let rows = diesel::sql_query(read).bind::<Text, _>(schema).bind::<Array<Text>, _>(TABLES.to_vec());
    let unreadable = names(rows.load(connection)?);
    if !unreadable.is_empty() {
        return Err(denied(
            connection,
            "format('GRANT SELECT ON %s TO %I', $1, current_user)",
            &unreadable.join(", "),
        )?);
    }
    for (table, columns) in
        [("tab_items", "kitchen_status, prepared_at, delivered_at"), ("notifications", "read, read_at")]
    {
        let qualified = format!("{}.{table}", quoted(schema));
        let column = columns.split(',').next().unwrap_or_default();
        let grant = format!("format('GRANT UPDATE ({columns}) ON %s TO %I', $1, current_user)");
        demand(connection, &format!("has_column_privilege($1, '{column}', 'UPDATE')"), &grant, &qualified)?;
    }
    for table in OWN {
        let qualified = format!("realtime.{table}");
        demand(
            connection,
            "has_table_privilege($1, 'SELECT') AND has_table_privilege($1, 'INSERT')
            AND has_table_privilege($1, 'UPDATE') AND has_table_privilege($1, 'DELETE')",
            "format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO %I', current_user) || left($1, 0)",
            &qualified,
        )?;
    }
    Ok(())
}

const OWN: [&str; 9] = [
    "log_head",
    "log_rooms",
    "log_events",
    "log_publishes",
    "log_writers",
    "session_rooms",
    "revocations",
    "leases",
    "audit_log",
];

/// Fails with what to grant where a condition on `$1` does not hold.
fn demand(connection: &mut Wrapper, condition: &str, grant: &str, subject: &str) -> Result<(), Fault> {
    if yes(connection, condition, subject)? { Ok(()) } else { Err(denied(connection, grant, subject)?) }
}

fn denied(connection: &mut Wrapper, grant: &str, subject: &str) -> Result<Fault, Fault> {
    let query = diesel::sql_query(format!("SELECT {grant} AS name")).bind::<Text, _>(subject);
    Ok(Fault::Denied(query.get_result::<Name>(connection)?.name))
}

fn yes(connection: &mut Wrapper, condition: &str, subject: &str) -> Result<bool, Fault> {
    #[derive(QueryableByName)]
    struct Yes {
        #[diesel(sql_type = Bool)]
        yes: bool,
    }
    let query = diesel::sql_query(format!("SELECT {condition} AS yes")).bind::<Text, _>(subject);
    Ok(query.get_result::<Yes>(connection)?.yes)
}
