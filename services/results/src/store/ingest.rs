//! Reports under their fence.
//!
//! Lock order: the run's advisory lock, shared, then the shard's fence row. A crash before the commit stores nothing; after
//! it the report is repeated and told so.

use super::{Store, StoreError, lock_key, sql};
use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Transaction, Tx};

/// Names one grant of one shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) run_id: RunId,
    pub(crate) generation: i32,
    pub(crate) shard_index: i32,
    pub(crate) epoch: i64,
}

/// An attempt ready to store.
#[derive(Debug, Clone)]
pub(crate) struct NewAttempt {
    pub(crate) ordinal: i32,
    pub(crate) attempt: i32,
    /// `gauntlet.v1.AttemptOutcome`, 1 to 4.
    pub(crate) outcome: i16,
    pub(crate) is_final: bool,
    pub(crate) payload: Vec<u8>,
}

/// What a write under a fence came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportOutcome<T> {
    /// It was done.
    Done(T),
    /// A newer epoch has the shard.
    LeaseLost,
    /// The generation is sealed.
    Sealed,
}

/// What is known of a shard's tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Opened {
    pub(crate) final_ordinals: Vec<i32>,
    /// Tests with attempts but no final one, and how many.
    pub(crate) attempt_counts: Vec<(i32, i32)>,
    pub(crate) acknowledged_count: i32,
}

/// What a report stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) already_recorded: bool,
    pub(crate) acknowledged_count: i32,
}

/// Locks and raises the fence; returns its row count.
async fn raise(tx: &Tx<'_>, fence: &Fence) -> Result<ReportOutcome<i32>, StoreError> {
    tx.query(sql::INGEST_LOCK_SHARED, &[&lock_key(fence.run_id)]).await?;
    let Fence { run_id, generation, shard_index, epoch } = fence;
    let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] = [&run_id.0, generation, shard_index, epoch];
    if let Some(row) = tx.query_opt(sql::FENCES_RAISE, &params).await? {
        return Ok(ReportOutcome::Done(row.get("row_count")));
    }
    let sealed = tx.query_opt(sql::SEALS_FIND, &[&run_id.0, generation]).await?.is_some();
    Ok(if sealed { ReportOutcome::Sealed } else { ReportOutcome::LeaseLost })
}

struct OpenShard<'a> {
    fence: Fence,
    ordinals: &'a [i32],
}

impl Transaction for OpenShard<'_> {
    const LABEL: &'static str = "open_shard";
    type Output = ReportOutcome<Opened>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<ReportOutcome<Opened>, StoreError> {
        let acknowledged_count = match raise(tx, &self.fence).await? {
            ReportOutcome::Done(count) => count,
            ReportOutcome::LeaseLost => return Ok(ReportOutcome::LeaseLost),
            ReportOutcome::Sealed => return Ok(ReportOutcome::Sealed),
        };
        let mut opened = Opened { acknowledged_count, ..Opened::default() };
        let Fence { run_id, generation, .. } = self.fence;
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] =
            [&run_id.0, &generation, &self.ordinals];
        for row in tx.query(sql::ATTEMPTS_OF_ORDINALS, &params).await? {
            if row.get("final") {
                opened.final_ordinals.push(row.get("ordinal"));
            } else {
                opened.attempt_counts.push((row.get("ordinal"), row.get("attempt_count")));
            }
        }
        Ok(ReportOutcome::Done(opened))
    }
}

struct Report<'a> {
    fence: Fence,
    attempts: &'a [NewAttempt],
}

impl Transaction for Report<'_> {
    const LABEL: &'static str = "report_attempts";
    type Output = ReportOutcome<Reported>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<ReportOutcome<Reported>, StoreError> {
        let acknowledged_count = match raise(tx, &self.fence).await? {
            ReportOutcome::Done(count) => count,
            ReportOutcome::LeaseLost => return Ok(ReportOutcome::LeaseLost),
            ReportOutcome::Sealed => return Ok(ReportOutcome::Sealed),
        };
        let stored = self.insert(tx).await?;
        if stored.row_count == 0 {
            return Ok(ReportOutcome::Done(Reported {
                already_recorded: true,
                acknowledged_count,
            }));
        }
        let Fence { run_id, generation, shard_index, .. } = self.fence;
        let row = tx
            .query_one(
                sql::FENCES_COUNT,
                &[
                    &run_id.0,
                    &generation,
                    &shard_index,
                    &stored.row_count,
                    &stored.passed,
                    &stored.flaky,
                    &stored.failed,
                    &stored.timed_out,
                    &stored.errored,
                ],
            )
            .await?;
        let acknowledged_count = row.get("row_count");
        Ok(ReportOutcome::Done(Reported { already_recorded: false, acknowledged_count }))
    }
}

/// What one report added.
#[derive(Default)]
struct Stored {
    row_count: i32,
    passed: i32,
    flaky: i32,
    failed: i32,
    timed_out: i32,
    errored: i32,
}

impl Report<'_> {
    async fn insert(&self, tx: &Tx<'_>) -> Result<Stored, StoreError> {
        macro_rules! column {
            ($attempt:ident => $value:expr) => {
                self.attempts.iter().map(|$attempt| $value).collect::<Vec<_>>()
            };
        }
        let Fence { run_id, generation, shard_index, epoch } = self.fence;
        let rows = tx
            .query(
                sql::ATTEMPTS_INSERT,
                &[
                    &run_id.0,
                    &generation,
                    &shard_index,
                    &epoch,
                    &column!(a => a.ordinal),
                    &column!(a => a.attempt),
                    &column!(a => a.outcome),
                    &column!(a => a.is_final),
                    &column!(a => a.payload.as_slice()),
                ],
            )
            .await?;
        let mut stored = Stored::default();
        for row in rows {
            stored.row_count += 1;
            if !row.get::<_, bool>("final") {
                continue;
            }
            *match (row.get::<_, i16>("outcome"), row.get::<_, i32>("attempt")) {
                (1, 1) => &mut stored.passed,
                (1, _) => &mut stored.flaky,
                (2, _) => &mut stored.failed,
                (3, _) => &mut stored.timed_out,
                _ => &mut stored.errored,
            } += 1;
        }
        Ok(stored)
    }
}

impl Store {
    /// Raises a shard's fence and tells how far its tests are. Idempotent.
    pub(crate) async fn open_shard(
        &self,
        fence: Fence,
        ordinals: &[i32],
    ) -> Result<ReportOutcome<Opened>, StoreError> {
        self.pool.transact(&OpenShard { fence, ordinals }).await
    }

    /// Stores attempts. Idempotent by (run, generation, ordinal, attempt).
    pub(crate) async fn report(
        &self,
        fence: Fence,
        attempts: &[NewAttempt],
    ) -> Result<ReportOutcome<Reported>, StoreError> {
        let report = Report { fence, attempts };
        let reported = match self.pool.transact(&report).await {
            // The run's partition is missing: a run older than the partitions kept ready.
            Err(StoreError::Pg(PgError::CheckViolation { .. })) => {
                let run = [&fence.run_id.0 as &(dyn gauntlet_pg::ToSql + Sync)];
                self.pool.read().query(sql::PARTITIONS_ENSURE_FOR_RUN, &run).await?;
                self.pool.transact(&report).await?
            }
            reported => reported?,
        };
        self.changed(fence.run_id);
        Ok(reported)
    }

    /// Indexes an artifact; true when it was known.
    pub(crate) async fn insert_artifact(
        &self,
        hash: &[u8],
        kind: i32,
        size_bytes: i64,
    ) -> Result<(), StoreError> {
        let kind = i16::try_from(kind).unwrap_or(0);
        self.pool.read().query(sql::ARTIFACTS_INSERT, &[&hash, &kind, &size_bytes]).await?;
        Ok(())
    }

    /// Returns the size of an artifact, if it is known.
    pub(crate) async fn find_artifact(&self, hash: &[u8]) -> Result<Option<i64>, StoreError> {
        let row = self.pool.read().query_opt(sql::ARTIFACTS_FIND, &[&hash]).await?;
        Ok(row.map(|row| row.get("size_bytes")))
    }
}
