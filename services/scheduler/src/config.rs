//! Settings of the scheduler. The only reader of its flags and environment.

use gauntlet_bus::{RedisArgs, RedisConfig};
use gauntlet_pg::{PgArgs, PgConfig};
use std::net::SocketAddr;

/// Flags of `gauntlet serve scheduler`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC on.
    #[arg(long, env = "GAUNTLET_SCHEDULER_LISTEN", default_value = "127.0.0.1:7001")]
    listen: SocketAddr,
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
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When a URL is missing or malformed.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Ok(Config {
            listen: self.listen,
            pg: self.pg.config().map_err(ConfigError::Pg)?,
            redis: self.redis.config().map_err(ConfigError::Redis)?,
        })
    }
}
