//! Seals and verdicts.
//!
//! Lock order: the run's advisory lock, exclusive: it waits for reports in flight, and no later one can slip in. A crash
//! before the commit seals nothing; a repeat finds the same rows and writes the same.

use super::{Store, StoreError, lock_key, signed, sql};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Rest, Sealed, StoredAttempt};
use gauntlet_core::verdict::AttemptOutcome;
use gauntlet_feed::Cursor;
use gauntlet_pg::{Row, Transaction, Tx};
use uuid::Uuid;

/// What else happens in the transaction that seals.
#[derive(Clone, Copy)]
enum With<'a> {
    /// The verdict is stored under this epoch.
    Verdict { finalizer_epoch: i64, judge: &'a Judge<'a> },
    /// The feed's cursor moves.
    Cursor(Cursor),
}

/// Makes the encoded verdict of what was sealed.
pub(crate) type Judge<'a> = dyn Fn(&Sealed) -> Vec<u8> + Send + Sync + 'a;

struct Seal<'a> {
    run_id: RunId,
    generation: i32,
    test_count: u32,
    rest: &'a Rest,
    with: With<'a>,
}

impl Transaction for Seal<'_> {
    const LABEL: &'static str = "seal_generation";
    /// None when a newer finalizer stored a verdict or the run is closed.
    type Output = Option<Sealed>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Option<Sealed>, StoreError> {
        tx.query(sql::INGEST_LOCK_EXCLUSIVE, &[&lock_key(self.run_id)]).await?;
        let sealed = self.seal(tx).await?;
        let stored = match self.with {
            With::Verdict { finalizer_epoch, judge } => {
                let verdict = judge(&sealed);
                let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
                    [&self.run_id.0, &self.generation, &finalizer_epoch, &verdict];
                tx.query_opt(sql::VERDICTS_STORE, &params).await?.is_some()
            }
            With::Cursor(Cursor { lane, feed_id, position }) => {
                tx.execute(sql::CURSORS_ADVANCE, &[&lane, &feed_id, &position]).await?;
                true
            }
        };
        Ok(stored.then_some(sealed))
    }
}

impl Seal<'_> {
    /// A later statement than the lock: it sees every report that was waited for.
    async fn seal(&self, tx: &Tx<'_>) -> Result<Sealed, StoreError> {
        let key: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&self.run_id.0, &self.generation];
        let rows = tx.query(sql::ATTEMPTS_OUTCOMES, &key).await?;
        let attempts = rows.iter().map(attempt_of).collect::<Result<Vec<_>, _>>()?;
        let sealed = Sealed::of(self.test_count, &attempts, self.rest);
        let test_count = signed(self.test_count);
        let (skipped, errored, not_run) = (&sealed.skipped, &sealed.errored, &sealed.not_run);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 6] =
            [key[0], key[1], &test_count, skipped, errored, not_run];
        if tx.query_opt(sql::SEALS_INSERT, &params).await?.is_some() {
            return Ok(sealed);
        }
        // The first seal stands: a late finalizer must not turn what an abort skipped into something else.
        let earlier = tx.query_one(sql::SEALS_FIND, &key).await?;
        Ok(Sealed::of(self.test_count, &attempts, &rest_of(&earlier)))
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
    Ok(StoredAttempt {
        ordinal,
        outcome,
        is_final: row.get("final"),
        shard_index: row.get("shard_index"),
    })
}

impl Store {
    /// Seals a generation and stores the verdict that `judge` makes of it, in one transaction; none when a newer finalizer
    /// stored one or the run is closed. Idempotent.
    pub(crate) async fn seal_and_judge(
        &self,
        run_id: RunId,
        generation: i32,
        test_count: u32,
        rest: &Rest,
        (finalizer_epoch, judge): (i64, &Judge<'_>),
    ) -> Result<Option<Sealed>, StoreError> {
        let with = With::Verdict { finalizer_epoch, judge };
        let seal = Seal { run_id, generation, test_count, rest, with };
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
    ) -> Result<(), StoreError> {
        let with = With::Cursor(cursor);
        self.pool.transact(&Seal { run_id, generation, test_count, rest, with }).await?;
        self.changed(run_id);
        Ok(())
    }

    /// Notes that runs were closed with their verdicts. Idempotent.
    pub(crate) async fn close_verdicts(&self, closed: &[(RunId, i32)]) -> Result<(), StoreError> {
        let (runs, generations): (Vec<Uuid>, Vec<i32>) =
            closed.iter().map(|(run_id, generation)| (run_id.0, *generation)).unzip();
        self.pool.write_idempotent().query(sql::VERDICTS_CLOSE, &[&runs, &generations]).await?;
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
        self.pool.write_idempotent().query(sql::CURSORS_RESET, &[]).await?;
        Ok(())
    }

    /// Moves the follower past an event that needs nothing.
    pub(crate) async fn advance(&self, cursor: Cursor) -> Result<(), StoreError> {
        let Cursor { lane, feed_id, position } = cursor;
        self.pool
            .write_idempotent()
            .query(sql::CURSORS_ADVANCE, &[&lane, &feed_id, &position])
            .await?;
        Ok(())
    }
}
