//! Settings of results. The only reader of its flags and environment.

use gauntlet_pg::{PgArgs, PgConfig};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of `gauntlet serve results`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC on.
    #[arg(long, env = "GAUNTLET_RESULTS_LISTEN", default_value = "127.0.0.1:7002")]
    listen: SocketAddr,
    /// Where the scheduler is.
    #[arg(long, env = "GAUNTLET_RESULTS_SCHEDULER", default_value = "http://127.0.0.1:7001")]
    scheduler: String,
    /// Folder for screenshots and other artifacts; made when missing.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_DIR", default_value = "artifacts")]
    artifacts_dir: PathBuf,
    #[command(flatten)]
    pg: PgArgs,
}

/// Validated settings.
#[derive(Clone)]
pub struct Config {
    /// Where to serve gRPC.
    pub listen: SocketAddr,
    /// The scheduler's endpoint.
    pub scheduler: String,
    /// Folder for artifacts.
    pub artifacts_dir: PathBuf,
    /// The database.
    pub pg: PgConfig,
}

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database settings.
    #[error("the database settings are wrong")]
    Pg(#[source] gauntlet_pg::ConfigError),
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When the database's URL is missing or malformed.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Ok(Config {
            listen: self.listen,
            scheduler: self.scheduler.clone(),
            artifacts_dir: self.artifacts_dir.clone(),
            pg: self.pg.config().map_err(ConfigError::Pg)?,
        })
    }
}
