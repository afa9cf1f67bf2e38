//! The notifier: tells those who asked, once per event and endpoint, however often it is killed.
//!
//! Owns deliveries and its place in the scheduler's feed (schema `notifier`). It promises that the delivery of a terminal
//! event is created in the transaction that moves the cursor (so none is lost and none doubled, DL-1), that every try of it
//! carries the same id and a signature, and that no address inside the network is called (E5). It decides nothing about
//! runs. A crash while sending sends again later: receivers tell repeats by `webhook-id`.

mod app;
mod config;
mod follow;
mod grpc;
mod guard;
mod post;
mod send;
mod sign;
mod store;
#[cfg(test)]
mod tests;

pub use app::{App, BuildError};
pub use config::{Args, Config, ConfigError};
pub use sign::Secret;

use gauntlet_pg::{Runner, SchemaError};

fn migrations() -> Result<Runner, SchemaError> {
    gauntlet_pg::migrations!("0001_deliveries", "0002_traces")
}

/// Brings the schema `notifier` of the database to this program's version; returns how many migrations were applied.
///
/// # Errors
/// When Postgres fails or the schema is newer than this program.
pub async fn migrate(pg_url: &str) -> Result<usize, SchemaError> {
    gauntlet_pg::migrate(pg_url, app::SCHEMA, migrations()?).await
}
