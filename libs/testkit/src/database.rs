//! A database of its own for each test, cloned from a migrated template.
//!
//! Database and not schema, because advisory locks and NOTIFY are scoped to a database. The template
//! is made once per schema on a server: under an advisory lock, and marked as a template only when
//! its migrations are through, so that a crash midway leaves one that is made again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio_postgres::Client;

use crate::client::{connected, with_database};
use crate::store::{TestStore, random_id};
use crate::target::workspace_dir;

/// How long the drop of a database may hold up the end of a test.
const DROP_LIMIT: Duration = Duration::from_secs(10);
/// Postgres cuts longer names off.
const LABEL_CHARS_MAX: usize = 24;

/// Returns the text of all migrations of the named services, in order.
///
/// # Panics
/// When a service has none.
#[must_use]
pub fn migrations_of(services: &[&str]) -> String {
    let text_of = |service: &&str| {
        let folder = workspace_dir().join("services").join(service).join("migrations");
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.expect("a migration").path()).collect();
        files.sort();
        files.iter().map(|file| fs::read_to_string(file).expect("a migration")).collect::<String>()
    };
    services.iter().map(text_of).collect()
}

/// An empty, migrated database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    maintenance_url: String,
}

impl TestDatabase {
    /// Creates a database on the shared server.
    ///
    /// `schema` is any text that changes when the migrations do, best [`migrations_of`]; `migrate` gets the URL
    /// of an empty database, and runs only if no template of that schema exists.
    ///
    /// # Panics
    /// When the database cannot be created, with the reason.
    pub async fn create(
        label: &str,
        schema: &str,
        migrate: impl AsyncFnOnce(String) -> anyhow::Result<()>,
    ) -> Self {
        let store = TestStore::shared().await;
        let created = Self::try_create(store.postgres_url(), label, schema, migrate).await;
        created.unwrap_or_else(|error| panic!("no test database {label}: {error:#}"))
    }

    /// Returns the URL, password included.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn try_create(
        maintenance_url: &str,
        label: &str,
        schema: &str,
        migrate: impl AsyncFnOnce(String) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut hasher = DefaultHasher::new();
        schema.hash(&mut hasher);
        let hash = hasher.finish();
        let template = format!("gauntlet_template_{hash:016x}");
        let label: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
        let label = label.to_lowercase();
        let label = &label[..label.len().min(LABEL_CHARS_MAX)];
        let name = format!("test_{label}_{}", &random_id()[..16]);
        let template_url = with_database(maintenance_url, &template);
        connected(maintenance_url, async |client| {
            if !is_ready(client, &template).await? {
                // Released with the connection, also if the migration panics.
                client.query("SELECT pg_advisory_lock($1)", &[&hash.cast_signed()]).await?;
                if !is_ready(client, &template).await? {
                    make_template(client, &template, async || migrate(template_url).await).await?;
                }
                client.query("SELECT pg_advisory_unlock($1)", &[&hash.cast_signed()]).await?;
            }
            let clone = format!("CREATE DATABASE {name} TEMPLATE {template}");
            client.batch_execute(&clone).await.context("cannot clone the template")
        })
        .await?;
        let url = with_database(maintenance_url, &name);
        Ok(Self { name, url, maintenance_url: maintenance_url.to_owned() })
    }
}

async fn is_ready(client: &Client, template: &str) -> anyhow::Result<bool> {
    let query = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    Ok(client.query_opt(query, &[&template]).await?.is_some())
}

/// Makes the template under the caller's advisory lock.
async fn make_template(
    client: &Client,
    template: &str,
    migrate: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)")).await?;
    client.batch_execute(&format!("CREATE DATABASE {template}")).await?;
    migrate().await.context("the migration failed")?;
    // A pool left open by the migration would stand in the way of every clone.
    let close = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    client.query(close, &[&template]).await?;
    let seal = format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false IS_TEMPLATE true");
    client.batch_execute(&seal).await.context("cannot seal the template")
}

impl Drop for TestDatabase {
    /// Drops the database, best effort: the server is removed after the tests anyway.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = self.maintenance_url.clone();
        // The test's runtime may be this very thread, so the work needs another one.
        let done = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let drop = connected(&url, async |client| Ok(client.batch_execute(&statement).await?));
            runtime.block_on(async { tokio::time::timeout(DROP_LIMIT, drop).await? })
        });
        if let Ok(Err(error)) = done.join() {
            eprintln!("database {} was not dropped: {error:#}", self.name);
        }
    }
}
