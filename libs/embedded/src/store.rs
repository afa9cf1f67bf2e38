//! The store: both servers of one data folder, from claim to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::account::Account;
use crate::config::EmbeddedConfig;
use crate::error::EmbeddedError;
use crate::folder::DataFolder;
use crate::guard::Guard;
use crate::password::Password;
use crate::postgres::{self, PostgresLaunch};
use crate::process::Pid;
use crate::programs::Programs;
use crate::redis::RedisLaunch;
use crate::server::{Launch, Server};
use crate::{orphans, programs};

/// A Postgres and a Redis that run for as long as this value lives.
#[derive(Debug)]
pub struct EmbeddedStore {
    // Order matters on drop: the folder's lock goes last.
    postgres: Server,
    redis: Server,
    guard: Arc<Guard>,
    ephemeral: bool,
    detached: bool,
    folder: DataFolder,
}

/// Servers that were let go to outlive their owner; see [`EmbeddedStore::detach`].
#[derive(Debug, Clone)]
pub struct DetachedStore {
    /// The URL of the database, password included.
    pub postgres_url: String,
    /// The URL of Redis, password included.
    pub redis_url: String,
    /// The Postgres process.
    pub postgres_pid: Option<Pid>,
    /// The Redis process.
    pub redis_pid: Option<Pid>,
    /// The data folder, resolved.
    pub data_dir: PathBuf,
}

impl EmbeddedStore {
    /// Claims the folder, stops what a killed owner left on it, makes what is absent, starts both
    /// servers and waits until both answer.
    ///
    /// # Errors
    /// Every variant of [`EmbeddedError`] says what mends it.
    ///
    /// # Cancel safety
    /// Dropped midway, a server that was started is killed; its data is whole.
    pub async fn start(config: &EmbeddedConfig) -> Result<Self, EmbeddedError> {
        let begun = Instant::now();
        let folder = DataFolder::claim(&config.data_dir, config.ephemeral)?;
        let programs = programs::find(config, &folder.postgres())?;
        let account = Account::choose(&folder.postgres())?;
        folder.open_to(&account)?;
        orphans::stop(&folder, config.stop_grace).await?;
        let password = password_of(&folder)?;
        let guard = Arc::new(match config.stop_with_owner {
            true => Guard::start(folder.root(), config.ephemeral)?,
            false => Guard::default(),
        });
        let launches = Launches { folder: &folder, programs, account, password, config };
        // Both run to their end, so that the one that succeeded is stopped if the other failed.
        let (postgres, redis) =
            tokio::join!(launches.postgres(guard.clone()), launches.redis(guard.clone()));
        let (postgres, redis) = (postgres?, redis?);
        tracing::info!(
            folder = %folder.root().display(),
            postgres.port = postgres.port(),
            redis.port = redis.port(),
            elapsed_ms = begun.elapsed().as_millis(),
            "embedded store started"
        );
        let (ephemeral, detached) = (config.ephemeral, false);
        Ok(Self { postgres, redis, guard, ephemeral, detached, folder })
    }

    /// Returns the URL of the database, password included: not for logs.
    pub fn postgres_url(&self) -> String {
        self.postgres.url()
    }

    /// Returns the URL of Redis, password included: not for logs.
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// Returns the controls of Postgres.
    pub fn postgres(&self) -> &Server {
        &self.postgres
    }

    /// Returns the controls of Redis.
    pub fn redis(&self) -> &Server {
        &self.redis
    }

    /// Returns the data folder, resolved.
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// Stops both servers in good order, each within its grace; removes an ephemeral folder.
    ///
    /// # Cancel safety
    /// Dropped midway, the rest is done by `Drop`, the hard way.
    pub async fn stop(self) {
        tokio::join!(self.redis.stop(), self.postgres.stop());
    }

    /// Lets the servers outlive this process; whoever calls this sees to their end.
    pub fn detach(mut self) -> DetachedStore {
        self.guard.dismiss();
        self.detached = true;
        DetachedStore {
            postgres_url: self.postgres_url(),
            redis_url: self.redis_url(),
            postgres_pid: self.postgres.forget(),
            redis_pid: self.redis.forget(),
            data_dir: self.folder.root().to_owned(),
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        self.postgres.abort_blocking();
        self.redis.abort_blocking();
        self.guard.dismiss();
        if self.ephemeral
            && let Err(error) = std::fs::remove_dir_all(self.folder.root())
        {
            tracing::warn!(folder = %self.folder.root().display(), %error, "folder not removed");
        }
    }
}

/// Reads or makes the password; a cluster whose password is lost is not ours to open.
fn password_of(folder: &DataFolder) -> Result<Password, EmbeddedError> {
    let file = folder.password();
    if folder.postgres().join("PG_VERSION").exists() && !file.exists() {
        return Err(EmbeddedError::PasswordMissing { file });
    }
    Password::load_or_create(&file)
}

/// What both servers are started from.
struct Launches<'a> {
    folder: &'a DataFolder,
    programs: Programs,
    account: Account,
    password: Password,
    config: &'a EmbeddedConfig,
}

impl Launches<'_> {
    async fn postgres(&self, guard: Arc<Guard>) -> Result<Server, EmbeddedError> {
        let Self { folder, programs, account, password, config } = self;
        postgres::init(folder, programs, account, password, config.ephemeral).await?;
        let launch = PostgresLaunch {
            program: programs.postgres.clone(),
            data: folder.postgres(),
            log: folder.log("postgres"),
            account: account.clone(),
            password: password.clone(),
            ephemeral: config.ephemeral,
        };
        let server = self.start(Launch::Postgres(launch), guard).await?;
        server.ensure_database().await?;
        Ok(server)
    }

    async fn redis(&self, guard: Arc<Guard>) -> Result<Server, EmbeddedError> {
        let launch = RedisLaunch {
            program: self.programs.redis_server.clone(),
            dir: self.folder.redis(),
            conf: self.folder.redis_conf(),
            log: self.folder.log("redis"),
            account: self.account.clone(),
            password: self.password.clone(),
            ephemeral: self.config.ephemeral,
        };
        launch.write_conf()?;
        self.start(Launch::Redis(launch), guard).await
    }

    async fn start(&self, launch: Launch, guard: Arc<Guard>) -> Result<Server, EmbeddedError> {
        Server::start(launch, guard, self.config.start_timeout, self.config.stop_grace).await
    }
}
