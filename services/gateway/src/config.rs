//! Settings of the gateway. The only reader of its flags and environment.

use http::HeaderValue;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a peer may be silent on a stream that it keeps alive every 15 s; shorter than the patience of clients.
const PEER_SILENCE_MAX: Duration = Duration::from_secs(35);

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
    /// Origin whose pages may call the mesh by gRPC-Web, such as `https://dashboard.example`; several with commas. Pages of
    /// other origins are refused by the browser.
    #[arg(long = "web-origin", env = "GAUNTLET_GATEWAY_WEB_ORIGINS", value_delimiter = ',', value_parser = origin)]
    web_origins: Vec<HeaderValue>,
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
    /// Origins whose pages may call.
    pub web_origins: Vec<HeaderValue>,
    /// How long the scheduler may be silent on a watch before it counts as away.
    pub peer_silence_max: Duration,
}

impl Args {
    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> Config {
        let peers = [&self.scheduler, &self.results, &self.notifier].map(String::clone);
        Config { web_origins: self.web_origins.clone(), ..Config::new(self.listen, peers) }
    }
}

impl Config {
    /// Returns the settings of a gateway between these peers that no page may call.
    #[must_use]
    pub fn new(listen: SocketAddr, [scheduler, results, notifier]: [String; 3]) -> Self {
        Self {
            listen,
            scheduler,
            results,
            notifier,
            web_origins: Vec::new(),
            peer_silence_max: PEER_SILENCE_MAX,
        }
    }
}

/// Reads an origin: a scheme and a host, no path, no wildcard.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let host = text.split_once("://").map(|(_, host)| host);
    match (host, HeaderValue::from_str(text)) {
        (Some(host), Ok(origin)) if !host.is_empty() && !host.contains(['/', '*']) => Ok(origin),
        _ => Err("must be an origin like https://dashboard.example".to_owned()),
    }
}
