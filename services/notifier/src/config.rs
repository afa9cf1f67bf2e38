//! Settings of the notifier. The only reader of its flags and environment.

use crate::sign::Secret;
use gauntlet_pg::{PgArgs, PgConfig};
use gauntlet_runtime::KeyFileError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Waits before the tries of a delivery after the first: about eight hours in all, then it is dead.
const RETRY_SCHEDULE_S: [u64; 7] = [5, 30, 120, 600, 1_800, 7_200, 18_000];

/// Flags of `gauntlet serve notifier`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC on.
    #[arg(long, env = "GAUNTLET_NOTIFIER_LISTEN", default_value = "127.0.0.1:7003")]
    listen: SocketAddr,
    /// Where the scheduler is.
    #[arg(long, env = "GAUNTLET_NOTIFIER_SCHEDULER", default_value = "http://127.0.0.1:7001")]
    scheduler: String,
    /// File with the secret that webhooks are signed with, as `whsec_<base64>`.
    #[arg(long, env = "GAUNTLET_NOTIFIER_WEBHOOK_SECRET_FILE")]
    webhook_secret_file: PathBuf,
    /// Also call loopback addresses; for a mesh on one machine only.
    #[arg(long, env = "GAUNTLET_NOTIFIER_ALLOW_LOOPBACK_CALLBACKS")]
    allow_loopback_callbacks: bool,
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
    /// What webhooks are signed with.
    pub secret: Secret,
    /// Whether loopback addresses may be called.
    pub allow_loopback: bool,
    /// Waits before each further try; a delivery is dead after the last.
    pub retry_schedule: Vec<Duration>,
    /// The database.
    pub pg: PgConfig,
}

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database settings.
    #[error("the database settings are wrong")]
    Pg(#[source] gauntlet_pg::ConfigError),
    /// The secret cannot be used.
    #[error("the webhook secret cannot be used")]
    Secret(#[source] KeyFileError),
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When the database's URL or the secret is missing or malformed.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Ok(Config {
            listen: self.listen,
            scheduler: self.scheduler.clone(),
            secret: Secret::load(&self.webhook_secret_file).map_err(ConfigError::Secret)?,
            allow_loopback: self.allow_loopback_callbacks,
            retry_schedule: Config::default_schedule(),
            pg: self.pg.config().map_err(ConfigError::Pg)?,
        })
    }
}

impl Config {
    /// Returns the waits before each further try: 5 s, 30 s, 2 m, 10 m, 30 m, 2 h, 5 h.
    #[must_use]
    pub fn default_schedule() -> Vec<Duration> {
        RETRY_SCHEDULE_S.into_iter().map(Duration::from_secs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_mistyped_name_of_the_secret_ends_the_start_and_makes_no_other_secret() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| {
            let path = folder.path().join(name).display().to_string();
            let words = ["x", "--pg-url", "postgres://u@h/d", "--webhook-secret-file", &path];
            Cli::parse_from(words).args.config()
        };
        std::fs::write(folder.path().join("right"), format!("whsec_{}", "A".repeat(44))).unwrap();
        assert!(named("right").is_ok());
        let refused = named("rigth").err().expect("refused");
        let told = gauntlet_runtime::error_chain(&refused);
        assert!(told.contains("rigth does not exist"), "{told}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
