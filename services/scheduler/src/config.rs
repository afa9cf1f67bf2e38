//! Settings of the scheduler. The only reader of its flags and environment.

use crate::vault::SecretsKey;
use gauntlet_bus::{RedisArgs, RedisConfig};
use gauntlet_pg::{PgArgs, PgConfig};
use gauntlet_runtime::KeyFileError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of `gauntlet serve scheduler`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC on.
    #[arg(long, env = "GAUNTLET_SCHEDULER_LISTEN", default_value = "127.0.0.1:7001")]
    listen: SocketAddr,
    /// File with the key that secrets of environments are encrypted with, as `gkey_<base64 of 32 bytes>`; without it secrets
    /// are refused.
    #[arg(long, env = "GAUNTLET_SCHEDULER_SECRETS_KEY_FILE")]
    secrets_key_file: Option<PathBuf>,
    #[command(flatten)]
    pg: PgArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

/// Validated settings.
#[derive(Clone)]
pub struct Config {
    /// Where to serve gRPC.
    pub listen: SocketAddr,
    /// The database.
    pub pg: PgConfig,
    /// Where abort hints go.
    pub redis: RedisConfig,
    /// What secrets of environments are encrypted with; none refuses them.
    pub secrets_key: Option<SecretsKey>,
}

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database settings.
    #[error("the database settings are wrong")]
    Pg(#[source] gauntlet_pg::ConfigError),
    /// The Redis settings.
    #[error("the redis settings are wrong")]
    Redis(#[source] gauntlet_bus::ConfigError),
    /// The key cannot be used.
    #[error("the key of the secrets cannot be used")]
    SecretsKey(#[source] KeyFileError),
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When a URL is missing or malformed, or the key's file is.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let secrets_key = self.secrets_key_file.as_deref().map(SecretsKey::load).transpose();
        Ok(Config {
            secrets_key: secrets_key.map_err(ConfigError::SecretsKey)?,
            listen: self.listen,
            pg: self.pg.config().map_err(ConfigError::Pg)?,
            redis: self.redis.config().map_err(ConfigError::Redis)?,
        })
    }
}
