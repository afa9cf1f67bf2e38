//! Where Postgres is and how long anything may take.
//!
//! Owns the settings and their validation. It connects to nothing. Passwords are kept out of `Debug`.

use clap::Args;
use std::{fmt, fs, path::PathBuf, time::Duration};
use tokio_postgres::Config;

/// Settings of the database; flatten it into a program's arguments.
#[derive(Args, Clone)]
pub struct PgArgs {
    /// Where Postgres is: `postgres://user:password@host:5432/database`.
    #[arg(long = "pg-url", env = "GAUNTLET_PG_URL", hide_env_values = true)]
    pub pg_url: Option<String>,
    /// File that holds the URL, for a mounted secret.
    #[arg(long = "pg-url-file", env = "GAUNTLET_PG_URL_FILE", conflicts_with = "pg_url")]
    pub pg_url_file: Option<PathBuf>,
    /// Most connections this process keeps to Postgres.
    #[arg(long = "pg-pool-max", env = "GAUNTLET_PG_POOL_MAX", default_value_t = 16)]
    pub pg_pool_max: usize,
}

impl fmt::Debug for PgArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgArgs").field("pg_pool_max", &self.pg_pool_max).finish_non_exhaustive()
    }
}

/// Why the settings of the database were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither the URL nor its file was given.
    #[error("set --pg-url or --pg-url-file")]
    Missing,
    /// The file with the URL cannot be read.
    #[error("file {} with the postgres url cannot be read", path.display())]
    File {
        /// The file as given.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The URL is malformed. It is not repeated here: it may hold a password.
    #[error("postgres url is malformed")]
    Url {
        /// What is wrong with it.
        source: tokio_postgres::Error,
    },
    /// The pool would hold no connection.
    #[error("--pg-pool-max must be at least 1")]
    PoolEmpty,
}

impl PgArgs {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When the URL is missing, unreadable or malformed, or the pool is empty.
    pub fn config(&self) -> Result<PgConfig, ConfigError> {
        let mut config = match (&self.pg_url, &self.pg_url_file) {
            (Some(url), _) => PgConfig::from_url(url)?,
            (None, Some(path)) => PgConfig::from_url(&read_url(path)?)?,
            (None, None) => return Err(ConfigError::Missing),
        };
        if self.pg_pool_max == 0 {
            return Err(ConfigError::PoolEmpty);
        }
        config.pool_size_max = self.pg_pool_max;
        Ok(config)
    }
}

fn read_url(path: &PathBuf) -> Result<String, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.clone(), source })?;
    Ok(text.trim().to_owned())
}

/// Validated settings of the database.
#[derive(Clone)]
pub struct PgConfig {
    /// Most connections in the pool; default 16.
    pub pool_size_max: usize,
    /// How long a caller waits for a free connection; default 3 s.
    pub wait_timeout: Duration,
    /// How long opening a connection may take; default 3 s.
    pub connect_timeout: Duration,
    /// How long the server runs one statement; default 10 s.
    pub statement_timeout: Duration,
    /// How long the server waits for one lock; default 5 s.
    pub lock_timeout: Duration,
    /// How long one attempt of a transaction, or one read, may take on our side before its connection is discarded;
    /// default 15 s.
    pub attempt_timeout: Duration,
    /// How long a start waits for a Postgres that is away; default 60 s.
    pub start_patience: Duration,
    pub(crate) server: Config,
}

/// Every statement finds its rows by an index and is planned once for each connection.
///
/// Left to itself, Postgres plans by the statistics it has: a plan made while a table was small reads the whole table, and is kept
/// when the table has grown (measured: an update of one run took 2 ms after 10,000 runs instead of 0.1); and arrays of one row
/// let it plan anew for each call, which costs more than most of our statements. `jit` goes with that: what Postgres was told
/// not to do counts as very expensive, which is when it would compile.
const PLANS: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off \
                     -c enable_mergejoin=off -c jit=off";

impl PgConfig {
    /// Returns the ports of the server.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        self.server.get_ports()
    }

    /// Returns settings for the server at `url`, with the default limits.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            pool_size_max: 16,
            wait_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(15),
            start_patience: Duration::from_secs(60),
            server: url.parse().map_err(|source| ConfigError::Url { source })?,
        })
    }

    /// Returns the connection settings of one service: its name, its schema, and every server-side limit.
    pub(crate) fn for_service(&self, application_name: &str, schema: &str) -> Config {
        let limits = [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_session_timeout", self.attempt_timeout),
        ];
        // Ours first: of two options of the same name Postgres takes the last.
        let given = self.server.get_options().unwrap_or_default();
        let mut options = format!("{PLANS} {given} -c search_path={schema}");
        for (name, limit) in limits {
            options.push_str(&format!(" -c {name}={}", limit.as_millis()));
        }
        let mut server = self.server.clone();
        server
            .options(options.trim())
            .application_name(application_name)
            .connect_timeout(self.connect_timeout)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(self.attempt_timeout);
        server
    }
}

impl fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgConfig")
            .field("hosts", &self.server.get_hosts())
            .field("database", &self.server.get_dbname())
            .field("pool_size_max", &self.pool_size_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let args = PgArgs {
            pg_url: Some("postgres://u:hunter2@h/d".to_owned()),
            pg_url_file: None,
            pg_pool_max: 2,
        };
        let shown = format!("{args:?} {:?}", args.config().unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn limits_and_schema_travel_as_connection_options() {
        let config = PgConfig::from_url("postgres://u@h/d?options=-c%20work_mem%3D8MB").unwrap();
        let server = config.for_service("gauntlet-results", "results");
        let expected = format!(
            "{PLANS} -c work_mem=8MB -c search_path=results -c statement_timeout=10000 -c lock_timeout=5000 \
             -c idle_in_transaction_session_timeout=15000"
        );
        assert_eq!(server.get_options(), Some(expected.as_str()));
    }
}
