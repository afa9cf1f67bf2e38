//! Rows of results: reports, seals, verdicts, artifacts. Whole transactions; begin and commit stay here.
//!
//! Lock order: the generation's advisory lock (shared for reports, exclusive for a seal) → the shard's fence.

mod artifacts;
mod audit;
mod ingest;
mod outcomes;
mod reads;
mod seals;
pub(crate) mod sql;

pub(crate) use artifacts::{Charge, Charged, SettleError};
pub(crate) use ingest::{Done, Entered, Entry, Fence, KnownTest, NewAttempt};
pub(crate) use reads::{Page, PageRequest};
pub(crate) use seals::Judge;

use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Pool};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Partitions are made from this many days ago …
const PARTITION_DAYS_BEHIND: i32 = 1;
/// … to this many days ahead.
const PARTITION_DAYS_AHEAD: i32 = 14;
/// Changes announced to watchers before a slow one is told to look anyway.
const CHANGES_BUFFERED_MAX: usize = 1_024;

/// What a store command can fail with.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// Postgres failed.
    #[error("the store failed")]
    Pg(#[source] Arc<PgError>),
    /// A row that this program cannot have written.
    #[error("table {table} has an impossible {column}")]
    Inconsistent {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
    },
}

impl From<PgError> for StoreError {
    fn from(error: PgError) -> Self {
        Self::Pg(Arc::new(error))
    }
}

/// Connections to the schema `results`, and the wake-up of those who watch it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
    changes: broadcast::Sender<RunId>,
}

impl Store {
    pub(crate) fn new(pool: Pool) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_BUFFERED_MAX);
        Self { pool, changes }
    }

    /// Returns the runs that change from now on: a hint to look again.
    pub(crate) fn changes(&self) -> broadcast::Receiver<RunId> {
        self.changes.subscribe()
    }

    fn changed(&self, run_id: RunId) {
        // No receiver means that nobody watches.
        let _ = self.changes.send(run_id);
    }

    /// Makes the partitions of the coming days.
    pub(crate) async fn ensure_partitions(&self) -> Result<(), StoreError> {
        let days = (PARTITION_DAYS_BEHIND, PARTITION_DAYS_AHEAD);
        self.pool.write_idempotent().query(sql::PARTITIONS_ENSURE, &[&days.0, &days.1]).await?;
        Ok(())
    }
}

/// Returns the key of a run's advisory lock: runs that share one only wait for each other's seals.
fn lock_key(run_id: RunId) -> i32 {
    let bytes = run_id.0.as_bytes();
    i32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

/// Counts of the contract stay far below the signed range.
pub(crate) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
