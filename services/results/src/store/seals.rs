//! Seals and verdicts.
//!
//! Lock order: the run's advisory lock, exclusive: it waits for reports in flight, and no later one can slip in. A crash
//! before the commit seals nothing; a repeat finds the same rows and writes the same.

use super::{Store, StoreError, lock_key, signed, sql};
use crate::seal::{Rest, Sealed, StoredAttempt};
use gauntlet_core::RunId;
use gauntlet_core::verdict::AttemptOutcome;
use gauntlet_feed::Cursor;
use gauntlet_pg::{Row, Transaction, Tx};
use std::collections::HashMap;

struct Seal<'a> {
    run_id: RunId,
    generation: i32,
    test_count: u32,
    rest: &'a Rest,
    cursor: Option<Cursor>,
}

impl Transaction for Seal<'_> {
    const LABEL: &'static str = "seal_generation";
    type Output = Sealed;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Sealed, StoreError> {
        let key: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&self.run_id.0, &self.generation];
        tx.query(sql::INGEST_LOCK_EXCLUSIVE, &[&lock_key(self.run_id)]).await?;
        let test_count = signed(self.test_count);
        let first = tx.execute(sql::SEALS_INSERT, &[key[0], key[1], &test_count]).await? == 1;
        // The first seal stands: a late finalizer must not turn what an abort skipped into something else.
        let earlier = if first { None } else { tx.query_opt(sql::SEALS_FIND, &key).await? };
        let rest = earlier.as_ref().map_or_else(|| self.rest.clone(), rest_of);
        // A later statement than the lock: it sees every report that was waited for.
        let rows = tx.query(sql::ATTEMPTS_OUTCOMES, &key).await?;
        let attempts = rows.iter().map(attempt_of).collect::<Result<Vec<_>, _>>()?;
        let sealed = Sealed::of(self.test_count, &attempts, &rest);
        let (skipped, errored, not_run) = (&sealed.skipped, &sealed.errored, &sealed.not_run);
        tx.execute(sql::SEALS_SET_OUTCOMES, &[key[0], key[1], skipped, errored, not_run]).await?;
        if let Some(cursor) = &self.cursor {
            let Cursor { lane, feed_id, position } = cursor;
            tx.execute(sql::CURSORS_ADVANCE, &[lane, feed_id, position]).await?;
        }
        Ok(sealed)
    }
}

/// Returns how an earlier seal disposed of tests without a final attempt.
fn rest_of(row: &Row) -> Rest {
    let set = |column| {
        let ordinals: Vec<i32> = row.get(column);
        ordinals.into_iter().map(i32::unsigned_abs).collect()
    };
    Rest::Sealed { skipped: set("skipped"), errored: set("errored") }
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
    Ok(StoredAttempt { ordinal, outcome, is_final: row.get("final") })
}

impl Store {
    /// Seals a generation and returns its outcomes. Idempotent.
    pub(crate) async fn seal(
        &self,
        run_id: RunId,
        generation: i32,
        test_count: u32,
        rest: &Rest,
    ) -> Result<Sealed, StoreError> {
        let seal = Seal { run_id, generation, test_count, rest, cursor: None };
        let sealed = self.pool.transact(&seal).await?;
        self.changed(run_id);
        Ok(sealed)
    }

    /// Seals a generation and moves the feed's cursor, in one transaction. Idempotent.
    pub(crate) async fn seal_at(
        &self,
        run_id: RunId,
        generation: i32,
        test_count: u32,
        rest: &Rest,
        cursor: Cursor,
    ) -> Result<Sealed, StoreError> {
        let seal = Seal { run_id, generation, test_count, rest, cursor: Some(cursor) };
        let sealed = self.pool.transact(&seal).await?;
        self.changed(run_id);
        Ok(sealed)
    }

    /// Returns how many attempts each shard stored.
    pub(crate) async fn row_counts(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<HashMap<i32, i32>, StoreError> {
        let rows =
            self.pool.read().query(sql::ATTEMPTS_COUNT_BY_SHARD, &[&run_id.0, &generation]).await?;
        Ok(rows.iter().map(|row| (row.get("shard_index"), row.get("row_count"))).collect())
    }

    /// Stores a verdict; false when a newer finalizer did or the run is closed.
    pub(crate) async fn store_verdict(
        &self,
        run_id: RunId,
        generation: i32,
        finalizer_epoch: i64,
        verdict: &[u8],
    ) -> Result<bool, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&run_id.0, &generation, &finalizer_epoch, &verdict];
        Ok(self.pool.read().query_opt(sql::VERDICTS_STORE, &params).await?.is_some())
    }

    /// Notes that the run was closed with its verdict.
    pub(crate) async fn close_verdict(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<(), StoreError> {
        self.pool.read().query(sql::VERDICTS_CLOSE, &[&run_id.0, &generation]).await?;
        Ok(())
    }

    /// Returns where the follower stands.
    pub(crate) async fn list_cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let rows = self.pool.read().query(sql::CURSORS_LIST, &[]).await?;
        let cursor = |row: &Row| Cursor {
            lane: row.get("lane"),
            feed_id: row.get("feed_id"),
            position: row.get("position"),
        };
        Ok(rows.iter().map(cursor).collect())
    }

    /// Forgets where the follower stood: the feed was restored.
    pub(crate) async fn reset_cursors(&self) -> Result<(), StoreError> {
        self.pool.read().query(sql::CURSORS_RESET, &[]).await?;
        Ok(())
    }

    /// Moves the follower past an event that needs nothing.
    pub(crate) async fn advance(&self, cursor: Cursor) -> Result<(), StoreError> {
        let Cursor { lane, feed_id, position } = cursor;
        self.pool.read().query(sql::CURSORS_ADVANCE, &[&lane, &feed_id, &position]).await?;
        Ok(())
    }
}
