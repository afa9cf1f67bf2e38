//! Where Redis is, if anywhere.
//!
//! Owns the settings and their validation; connects to nothing. A URL may hold a password, so it is not shown.

use clap::Args;
use std::fmt;

/// Settings of Redis; flatten it into a program's arguments.
#[derive(Args, Clone)]
pub struct RedisArgs {
    /// Where Redis is: `redis://host:6379`. Without it aborts arrive with the next lease renewal.
    #[arg(long = "redis-url", env = "GAUNTLET_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Prefix of every channel and key. Redis does not separate channels by database number.
    #[arg(long = "redis-prefix", env = "GAUNTLET_REDIS_PREFIX", default_value = "gauntlet")]
    pub redis_prefix: String,
}

/// Why the settings of Redis were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The URL is malformed. It is not repeated here: it may hold a password.
    #[error("redis url is malformed")]
    Url {
        /// What is wrong with it.
        source: redis::RedisError,
    },
    /// The prefix is empty or holds a space.
    #[error("redis prefix {prefix:?} must be a word")]
    Prefix {
        /// The prefix as given.
        prefix: String,
    },
}

impl RedisArgs {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When the URL or the prefix is malformed.
    pub fn config(&self) -> Result<RedisConfig, ConfigError> {
        RedisConfig::new(self.redis_url.as_deref(), &self.redis_prefix)
    }
}

impl fmt::Debug for RedisArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisArgs")
            .field("redis_url", &self.redis_url.as_ref().map(|_| "(set)"))
            .field("redis_prefix", &self.redis_prefix)
            .finish()
    }
}

/// Validated settings of Redis.
#[derive(Clone)]
pub struct RedisConfig {
    pub(crate) client: Option<redis::Client>,
    pub(crate) prefix: String,
}

impl RedisConfig {
    /// Returns settings for the server at `url`, if any.
    ///
    /// # Errors
    /// When the URL or the prefix is malformed.
    pub fn new(url: Option<&str>, prefix: &str) -> Result<Self, ConfigError> {
        if prefix.is_empty() || prefix.contains(char::is_whitespace) {
            return Err(ConfigError::Prefix { prefix: prefix.to_owned() });
        }
        let client = url
            .map(redis::Client::open)
            .transpose()
            .map_err(|source| ConfigError::Url { source })?;
        Ok(Self { client, prefix: prefix.to_owned() })
    }

    /// Returns the host and the port of the server; none without one, or where it is a socket of this machine.
    #[must_use]
    pub fn address(&self) -> Option<(String, u16)> {
        match self.client.as_ref()?.get_connection_info().addr() {
            redis::ConnectionAddr::Tcp(host, port)
            | redis::ConnectionAddr::TcpTls { host, port, .. } => Some((host.clone(), *port)),
            _ => None,
        }
    }

    /// Returns settings without Redis.
    #[must_use]
    pub fn off() -> Self {
        Self { client: None, prefix: "off".to_owned() }
    }

    /// Returns the channel of abort hints.
    pub(crate) fn abort_channel(&self) -> String {
        format!("{}:run-abort", self.prefix)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("on", &self.client.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_url_or_prefix_is_refused() {
        assert!(matches!(RedisConfig::new(Some("nonsense"), "a"), Err(ConfigError::Url { .. })));
        assert!(matches!(RedisConfig::new(None, "a b"), Err(ConfigError::Prefix { .. })));
        let config = RedisConfig::new(Some("redis://:hunter2@127.0.0.1/"), "a").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
