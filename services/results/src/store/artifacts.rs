//! The index of artifacts and what each run may store of them.
//!
//! Lock order: the content's row of the run → the run's budget. A crash after the charge leaves a run charged for content
//! that did not arrive; the repeated upload is not charged again.

use super::{Store, StoreError, sql};
use gauntlet_core::RunId;
use gauntlet_pg::{Transaction, Tx};

/// Charges a run for content that it has not been charged for.
struct Charge<'a> {
    run_id: RunId,
    hash: &'a [u8],
    size_bytes: i64,
    limit_bytes: i64,
}

/// Rolls a charge back.
#[derive(Debug)]
enum ChargeError {
    OverBudget,
    Store(StoreError),
}

impl From<gauntlet_pg::PgError> for ChargeError {
    fn from(error: gauntlet_pg::PgError) -> Self {
        Self::Store(error.into())
    }
}

impl Transaction for Charge<'_> {
    const LABEL: &'static str = "charge_artifact";
    type Output = ();
    type Error = ChargeError;

    async fn run(&self, tx: &Tx<'_>) -> Result<(), ChargeError> {
        let Self { run_id, hash, size_bytes, limit_bytes } = self;
        if tx.query_opt(sql::ARTIFACTS_NAME_IN_RUN, &[&run_id.0, hash]).await?.is_none() {
            return Ok(());
        }
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&run_id.0, size_bytes, limit_bytes];
        let charged = tx.query_opt(sql::ARTIFACTS_CHARGE, &params).await?;
        charged.map(|_| ()).ok_or(ChargeError::OverBudget)
    }
}

impl Store {
    /// Charges a run for content, once; false when that would go over its budget.
    pub(crate) async fn charge_artifact(
        &self,
        run_id: RunId,
        hash: &[u8],
        size_bytes: i64,
        budget_bytes: u64,
    ) -> Result<bool, StoreError> {
        let limit_bytes = i64::try_from(budget_bytes).unwrap_or(i64::MAX);
        let charge = Charge { run_id, hash, size_bytes, limit_bytes };
        match self.pool.transact(&charge).await {
            Ok(()) => Ok(true),
            Err(ChargeError::OverBudget) => Ok(false),
            Err(ChargeError::Store(error)) => Err(error),
        }
    }

    /// Indexes an artifact whose file is in place. Idempotent by hash.
    pub(crate) async fn insert_artifact(
        &self,
        hash: &[u8],
        kind: i32,
        size_bytes: i64,
    ) -> Result<(), StoreError> {
        let kind = i16::try_from(kind).unwrap_or(0);
        self.pool
            .write_idempotent()
            .query(sql::ARTIFACTS_INSERT, &[&hash, &kind, &size_bytes])
            .await?;
        Ok(())
    }

    /// Returns the size of an artifact, if it is known.
    pub(crate) async fn find_artifact(&self, hash: &[u8]) -> Result<Option<i64>, StoreError> {
        let row = self.pool.read().query_opt(sql::ARTIFACTS_FIND, &[&hash]).await?;
        Ok(row.map(|row| row.get("size_bytes")))
    }
}
