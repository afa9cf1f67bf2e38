//! The schema of a service: made by `gauntlet migrate`, checked at every start.
//!
//! Owns the order of migrations and their history, a table inside the schema itself. Services never migrate on their own.
//! Each migration is one transaction: a crash leaves the ones before it applied, and running again continues.

use crate::{ConfigError, PgConfig, PgError, Pool};
use refinery::{Migration, Runner};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// First half of the advisory lock's key: "gntl"; the second is the hash of the schema's name.
const LOCK_CLASS: i32 = 0x676e_746c;
/// How long one migration statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long to wait for another migrator.
const MIGRATOR_WAIT: Duration = Duration::from_secs(120);
const HISTORY: &str = "SELECT max(version) FROM refinery_schema_history";

/// Why a schema was not migrated or was refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The name is not a plain lower-case one.
    #[error("schema name {schema:?} must be lower-case letters, digits and underscores")]
    Name {
        /// The name as given.
        schema: String,
    },
    /// The URL is malformed.
    #[error("settings of the database were refused")]
    Config {
        /// What is wrong with them.
        source: ConfigError,
    },
    /// The file name of a migration is malformed.
    #[error("migration {name:?} must be named like 0001_runs")]
    FileName {
        /// The name as given.
        name: String,
    },
    /// Postgres failed or is unavailable.
    #[error("postgres failed while working on schema {schema}")]
    Pg {
        /// The schema.
        schema: String,
        /// What went wrong.
        source: PgError,
    },
    /// A migration failed, or the history in the database differs from the files.
    #[error("migration of schema {schema} failed")]
    Migration {
        /// The schema.
        schema: String,
        /// What went wrong.
        source: Box<refinery::Error>,
    },
    /// The schema is at another version than this program knows.
    #[error(
        "schema {schema} is at version {found:?}, this program knows {expected}: run `gauntlet migrate`"
    )]
    Version {
        /// The schema.
        schema: String,
        /// Version in the database; none when it was never migrated.
        found: Option<i32>,
        /// Version this program knows.
        expected: i32,
    },
}

/// Gathers `migrations/<name>.sql` of the calling crate: `migrations!("0001_runs", "0002_events")` is a
/// `Result<Runner, SchemaError>`.
#[macro_export]
macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        $crate::runner(&[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $name, ".sql")),
        )),+])
    };
}

/// Returns a runner of the given (file name, SQL) pairs; `0001_runs` is version 1, named `runs`.
///
/// # Errors
/// When a name does not start with a number and an underscore.
pub fn runner(files: &[(&str, &str)]) -> Result<Runner, SchemaError> {
    let migrations: Result<Vec<_>, _> =
        files.iter().map(|(name, sql)| migration(name, sql)).collect();
    Ok(Runner::new(&migrations?))
}

fn migration(name: &str, sql: &str) -> Result<Migration, SchemaError> {
    let malformed = || SchemaError::FileName { name: name.to_owned() };
    let (number, rest) = name.split_once('_').ok_or_else(malformed)?;
    let version: i32 = number.parse().map_err(|_| malformed())?;
    Migration::unapplied(&format!("V{version}__{rest}"), sql).map_err(|_| malformed())
}

/// Returns the newest version among the migrations.
#[must_use]
pub fn latest_version(runner: &Runner) -> i32 {
    runner.get_migrations().iter().map(Migration::version).max().unwrap_or(0)
}

/// Creates `schema` if it is missing and applies what is missing in it; returns how many migrations were applied.
///
/// Migrators wait for each other by an advisory lock, so any number of them may run at once.
///
/// # Errors
/// When Postgres fails, a migration fails, or an applied one differs from its file or is unknown to this program.
pub async fn migrate(url: &str, schema: &str, runner: Runner) -> Result<usize, SchemaError> {
    validate_schema(schema)?;
    let mut config = PgConfig::from_url(url).map_err(|source| SchemaError::Config { source })?;
    config.statement_timeout = STATEMENT_TIMEOUT;
    config.lock_timeout = MIGRATOR_WAIT;
    config.attempt_timeout = STATEMENT_TIMEOUT;
    let failed = |source| SchemaError::Pg {
        schema: schema.to_owned(),
        source: PgError::of_statement("migrate", source),
    };
    let (mut client, connection) =
        config.for_service("gauntlet-migrate", schema).connect(NoTls).await.map_err(failed)?;
    // The connection is its own and is driven here: dropping this future closes it, and that frees the lock.
    let work = async {
        lock_and_create(&client, schema).await.map_err(failed)?;
        let report = runner.run_async(&mut client).await;
        drop(client);
        report.map(|report| report.applied_migrations().len()).map_err(|source| {
            SchemaError::Migration { schema: schema.to_owned(), source: Box::new(source) }
        })
    };
    let (result, _) = tokio::join!(work, connection);
    result
}

async fn lock_and_create(client: &Client, schema: &str) -> Result<(), tokio_postgres::Error> {
    client.execute("SELECT pg_advisory_lock($1, hashtext($2))", &[&LOCK_CLASS, &schema]).await?;
    // A schema name cannot be a parameter; it was validated to be a plain word.
    client
        .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET lock_timeout = '10s'"))
        .await
}

pub(crate) async fn check(pool: &Pool, schema: &str, expected: i32) -> Result<(), SchemaError> {
    let found = match pool.read().query_one(HISTORY, &[]).await {
        Ok(row) => row.try_get(0).map_err(|error| PgError::of_statement("check", error)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    };
    let found: Option<i32> =
        found.map_err(|source| SchemaError::Pg { schema: schema.to_owned(), source })?;
    if found == Some(expected) {
        return Ok(());
    }
    Err(SchemaError::Version { schema: schema.to_owned(), found, expected })
}

/// Returns whether the history table is not there, which is a database that was never migrated.
fn is_missing(error: &PgError) -> bool {
    let PgError::Other { source: Some(source), .. } = error else { return false };
    source.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.code())
        == Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE)
}

/// Schema names travel in connection options and in `CREATE SCHEMA`, where nothing is quoted.
pub(crate) fn validate_schema(schema: &str) -> Result<(), SchemaError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let first = schema.starts_with(|c: char| c.is_ascii_lowercase());
    if first && schema.len() <= 63 && schema.chars().all(plain) {
        Ok(())
    } else {
        Err(SchemaError::Name { schema: schema.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_versions() {
        let runner = runner(&[("0001_runs", "SELECT 1"), ("0012_events", "SELECT 1")]).unwrap();
        assert_eq!(latest_version(&runner), 12);
        assert!(matches!(super::runner(&[("runs", "")]), Err(SchemaError::FileName { .. })));
    }

    #[test]
    fn a_schema_name_is_a_plain_word() {
        assert!(validate_schema("results").is_ok());
        for bad in ["", "Results", "1a", "a;b", "a-b", "a b"] {
            assert!(validate_schema(bad).is_err(), "{bad}");
        }
    }
}
