//! The scheduler: control plane of the mesh and the only writer of run and shard state.
//!
//! Owns the catalog, runs, shards, leases, finalization leases and the run event log (schema `scheduler`). It promises that
//! every change of a run is one transaction decided by `core::protocol` under the run's row lock, with its events. It never
//! looks inside results and never calls the internet. Invariants: RN-1 … RN-4, SH-1, SH-2, SH-4, FN-1, FD-1.
//!
//! Reading order is request order: `grpc` → use case (`admit`, `retry`, `abort`, `dispatch`, `commit`, `finalize`, `reconcile`) → `store`.
//! A crash anywhere loses replies, never facts: commands can be repeated, and the reconcilers find what is half done.

mod abort;
mod admit;
mod app;
mod audit;
mod commit;
mod config;
mod dispatch;
mod events;
mod finalize;
mod grants;
mod grpc;
#[cfg(feature = "interleave")]
pub mod interleave;
mod reconcile;
mod retry;
mod store;
mod vault;
mod wake;

pub use app::{App, BuildError};
pub use config::{Args, Config, ConfigError};
pub use vault::SecretsKey;

use gauntlet_pg::{Runner, SchemaError};

fn migrations() -> Result<Runner, SchemaError> {
    gauntlet_pg::migrations!(
        "0001_runs",
        "0002_generations",
        "0003_audit",
        "0004_secrets",
        "0005_refusals",
        "0006_egress"
    )
}

/// Brings the schema `scheduler` of the database to this program's version; returns how many migrations were applied.
///
/// # Errors
/// When Postgres fails or the schema is newer than this program.
pub async fn migrate(pg_url: &str) -> Result<usize, SchemaError> {
    gauntlet_pg::migrate(pg_url, app::SCHEMA, migrations()?).await
}
