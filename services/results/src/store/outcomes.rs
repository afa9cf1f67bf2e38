//! From rows to outcomes: attempts without their payloads, seals.

use super::{Store, StoreError, sql};
use gauntlet_core::RunId;
use gauntlet_core::seal::{StoredAttempt, StoredSeal, TestEnd};
use gauntlet_core::verdict::{AttemptOutcome, SkipReason, TestOutcome};
use gauntlet_pg::Row;
use std::collections::HashMap;

/// Returns the number of a reason in `seals.skip_reasons`.
pub(super) fn skip_number(reason: SkipReason) -> i16 {
    match reason {
        SkipReason::Aborted => 1,
        SkipReason::FailFast => 2,
        SkipReason::Deadline => 3,
    }
}

fn skip_reason(number: i16) -> Option<SkipReason> {
    SkipReason::ALL.into_iter().find(|reason| skip_number(*reason) == number)
}

/// Reads attempts of `(ordinal, outcome, final, shard_index)`.
pub(super) fn attempts_of(rows: &[Row]) -> Result<Vec<StoredAttempt>, StoreError> {
    rows.iter().map(attempt_of).collect()
}

fn attempt_of(row: &Row) -> Result<StoredAttempt, StoreError> {
    let outcome = match row.get::<_, i16>("outcome") {
        1 => AttemptOutcome::Passed,
        2 => AttemptOutcome::Failed,
        3 => AttemptOutcome::TimedOut,
        4 => AttemptOutcome::Errored,
        _ => return Err(StoreError::Inconsistent { table: "attempts", column: "outcome" }),
    };
    let ordinal = row.get::<_, i32>("ordinal").unsigned_abs();
    let (is_final, shard_index) = (row.get("final"), row.get("shard_index"));
    Ok(StoredAttempt { ordinal, outcome, is_final, shard_index })
}

/// Reads a seal.
pub(super) fn seal_of(row: &Row) -> Result<StoredSeal, StoreError> {
    let list = |column| row.get::<_, Vec<i32>>(column);
    let mut decided = HashMap::new();
    decided.extend(list("errored").into_iter().map(|o| (o, (TestOutcome::Errored, None))));
    decided.extend(list("not_run").into_iter().map(|o| (o, (TestOutcome::NotRun, None))));
    for (ordinal, number) in list("skipped").into_iter().zip(row.get::<_, Vec<i16>>("skip_reasons"))
    {
        let unknown = StoreError::Inconsistent { table: "seals", column: "skip_reasons" };
        let reason = skip_reason(number).ok_or(unknown)?;
        decided.insert(ordinal, (TestOutcome::Skipped, Some(reason)));
    }
    Ok(StoredSeal {
        generation: row.get("generation"),
        test_count: row.get("test_count"),
        decided,
        origins: row.get("origins"),
    })
}

impl Store {
    /// Returns a generation's seal; none while it is open.
    pub(crate) async fn find_seal(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<Option<StoredSeal>, StoreError> {
        let row = self.pool.read().query_opt(sql::SEALS_FIND, &[&run_id.0, &generation]).await?;
        row.as_ref().map(seal_of).transpose()
    }

    /// Returns how the tests of a sealed generation ended, by ordinal.
    pub(crate) async fn list_ends(
        &self,
        run_id: RunId,
        seal: &StoredSeal,
    ) -> Result<Vec<TestEnd>, StoreError> {
        let read = self.pool.read();
        let rows = if seal.origins.is_empty() {
            read.query(sql::ATTEMPTS_OUTCOMES, &[&run_id.0, &seal.generation]).await?
        } else {
            read.query(sql::ATTEMPTS_DECIDING, &[&run_id.0, &seal.origins]).await?
        };
        Ok(seal.tests(&attempts_of(&rows)?))
    }
}
