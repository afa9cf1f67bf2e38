//! Settings of the gateway. The only reader of its flags and environment.

use std::net::SocketAddr;

/// Flags of `gauntlet serve gateway`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC and gRPC-Web on.
    #[arg(long, env = "GAUNTLET_GATEWAY_LISTEN", default_value = "127.0.0.1:7430")]
    listen: SocketAddr,
    /// Where the scheduler is.
    #[arg(long, env = "GAUNTLET_GATEWAY_SCHEDULER", default_value = "http://127.0.0.1:7001")]
    scheduler: String,
    /// Where results is.
    #[arg(long, env = "GAUNTLET_GATEWAY_RESULTS", default_value = "http://127.0.0.1:7002")]
    results: String,
    /// Where the notifier is.
    #[arg(long, env = "GAUNTLET_GATEWAY_NOTIFIER", default_value = "http://127.0.0.1:7003")]
    notifier: String,
}

/// Validated settings; endpoints are checked when they are used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// The scheduler's endpoint.
    pub scheduler: String,
    /// The endpoint of results.
    pub results: String,
    /// The notifier's endpoint.
    pub notifier: String,
}

impl Args {
    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> Config {
        Config {
            listen: self.listen,
            scheduler: self.scheduler.clone(),
            results: self.results.clone(),
            notifier: self.notifier.clone(),
        }
    }
}
