//! Results: data plane of the mesh and the only writer of attempts, artifacts and verdicts (schema `results`).
//!
//! It promises that a report counts once (SH-3), that nothing of an older epoch is stored, that a sealed generation never
//! changes, and that every planned test of it has exactly one outcome (RN-5). It finalizes runs: seals, reads, judges by
//! the pure functions of `core`, and asks the scheduler to close. It never changes the state of a run or shard.
//!
//! Reading order is request order: `grpc` → use case (`ingest`, `seal`, `finalize`, `follow`) → `store`. A crash anywhere
//! loses replies, never facts: reports are repeated by executors, a finalization is claimed again with a higher epoch.

mod app;
mod artifacts;
mod config;
mod fail_fast;
mod finalize;
mod fit;
mod follow;
mod grpc;
mod ingest;
#[cfg(feature = "interleave")]
pub mod interleave;
mod partitions;
mod progress;
mod store;
mod sweep;
#[cfg(test)]
mod tests;

pub use app::{App, BuildError};
pub use config::{Args, ArtifactsConfig, Config, ConfigError};

use gauntlet_pg::{Runner, SchemaError};

fn migrations() -> Result<Runner, SchemaError> {
    gauntlet_pg::migrations!(
        "0001_attempts",
        "0002_artifact_budgets",
        "0003_generations",
        "0004_audit",
        "0005_partitions",
        "0006_artifact_worth"
    )
}

/// Brings the schema `results` of the database to this program's version; returns how many migrations were applied.
///
/// # Errors
/// When Postgres fails or the schema is newer than this program.
pub async fn migrate(pg_url: &str) -> Result<usize, SchemaError> {
    gauntlet_pg::migrate(pg_url, app::SCHEMA, migrations()?).await
}
