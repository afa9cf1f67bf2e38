//! Seals and verdicts.
//!
//! Lock order: the run's advisory lock, exclusive: it waits for reports in flight, and no later one can slip in. A crash
//! before the commit seals nothing; a repeat finds the same rows and writes the same.

use super::outcomes::{attempts_of, seal_of};
use super::{Store, StoreError, lock_key, signed, sql};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Sealed, StoredSeal, TestEnd};
use gauntlet_core::verdict::TestOutcome;
use gauntlet_feed::Cursor;
use gauntlet_pg::{Flight, Row, Transaction, Tx, params};
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
    ending: &'a Ending,
    with: With<'a>,
}

impl Transaction for Seal<'_> {
    const LABEL: &'static str = "seal_generation";
    /// None when a newer finalizer stored a verdict or the run is closed.
    type Output = Option<Sealed>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Option<Sealed>, StoreError> {
        let mut flight = Flight::default();
        let sealed = self.seal(tx, &mut flight).await?;
        let stored_under = match self.with {
            With::Verdict { finalizer_epoch, judge } => {
                let verdict = judge(&sealed);
                let generation = self.ending.generation;
                flight.add(
                    sql::VERDICTS_STORE,
                    params![self.run_id.0, generation, finalizer_epoch, verdict],
                );
                Some(flight.len() - 1)
            }
            With::Cursor(Cursor { lane, feed_id, position }) => {
                flight.add(sql::CURSORS_ADVANCE, params![lane, feed_id, position]);
                None
            }
        };
        let answers = tx.commit_with(&flight).await?;
        let stored =
            stored_under.is_none_or(|index| answers.get(index).is_some_and(|a| !a.is_empty()));
        Ok(stored.then_some(sealed))
    }
}

impl Seal<'_> {
    /// The attempts are read by a later statement than the lock: it sees every report that was waited for. So does the look
    /// for an earlier seal, and none can come after it.
    async fn seal(&self, tx: &Tx<'_>, flight: &mut Flight<'_>) -> Result<Sealed, StoreError> {
        let generation = self.ending.generation;
        let [_, rows, earlier] = tx
            .begin_with([
                (sql::INGEST_LOCK_EXCLUSIVE, &[&lock_key(self.run_id)]),
                (sql::ATTEMPTS_OUTCOMES, &[&self.run_id.0, &generation]),
                (sql::SEALS_FIND, &[&self.run_id.0, &generation]),
            ])
            .await?;
        let attempts = attempts_of(&rows)?;
        if let Some(earlier) = earlier.first() {
            // The first seal stands: a late finalizer must not turn what an abort skipped into something else.
            let tests = tests_of(tx, self.run_id, &seal_of(earlier)?).await?;
            return Ok(Sealed::again(tests, &attempts));
        }
        let former = match generation {
            ..=1 => Vec::new(),
            _ => match self.find(tx, generation - 1).await? {
                Some(seal) => tests_of(tx, self.run_id, &seal).await?,
                None => Vec::new(),
            },
        };
        let sealed = Sealed::of(self.ending, &attempts, &former);
        self.insert(flight, &sealed);
        Ok(sealed)
    }

    async fn find(&self, tx: &Tx<'_>, generation: i32) -> Result<Option<StoredSeal>, StoreError> {
        let row = tx.query_opt(sql::SEALS_FIND, &[&self.run_id.0, &generation]).await?;
        row.as_ref().map(seal_of).transpose()
    }

    fn insert(&self, flight: &mut Flight<'_>, sealed: &Sealed) {
        let Ending { generation, test_count, .. } = *self.ending;
        let of = |outcome| -> Vec<i32> {
            let tests = (0..).zip(&sealed.tests).filter(|(_, test)| test.outcome == outcome);
            tests.map(|(ordinal, _)| ordinal).collect()
        };
        let skip_reasons = sealed.tests.iter().filter_map(|test| test.skip_reason);
        let skip_reasons: Vec<i16> = skip_reasons.map(super::outcomes::skip_number).collect();
        let mut origins: Vec<i32> = sealed.tests.iter().map(|test| test.origin).collect();
        if origins.iter().all(|origin| *origin == generation) {
            origins.clear();
        }
        flight.add(
            sql::SEALS_INSERT,
            params![
                self.run_id.0,
                generation,
                signed(test_count),
                of(TestOutcome::Skipped),
                skip_reasons,
                of(TestOutcome::Errored),
                of(TestOutcome::NotRun),
                origins,
            ],
        );
    }
}

/// Returns how the tests of a sealed generation ended, each by its attempts in the generation that decided it.
pub(super) async fn tests_of(
    tx: &Tx<'_>,
    run_id: RunId,
    seal: &StoredSeal,
) -> Result<Vec<TestEnd>, StoreError> {
    let rows = if seal.origins.is_empty() {
        tx.query(sql::ATTEMPTS_OUTCOMES, &[&run_id.0, &seal.generation]).await?
    } else {
        tx.query(sql::ATTEMPTS_DECIDING, &[&run_id.0, &seal.origins]).await?
    };
    Ok(seal.tests(&attempts_of(&rows)?))
}

impl Store {
    /// Seals a generation and stores the verdict that `judge` makes of it, in one transaction; none when a newer finalizer
    /// stored one or the run is closed. Idempotent.
    pub(crate) async fn seal_and_judge(
        &self,
        run_id: RunId,
        ending: &Ending,
        (finalizer_epoch, judge): (i64, &Judge<'_>),
    ) -> Result<Option<Sealed>, StoreError> {
        let with = With::Verdict { finalizer_epoch, judge };
        let sealed = self.pool.transact(&Seal { run_id, ending, with }).await?;
        self.changed(run_id);
        Ok(sealed)
    }

    /// Seals a generation and moves the feed's cursor, in one transaction. Idempotent.
    pub(crate) async fn seal_at(
        &self,
        run_id: RunId,
        ending: &Ending,
        cursor: Cursor,
    ) -> Result<(), StoreError> {
        self.pool.transact(&Seal { run_id, ending, with: With::Cursor(cursor) }).await?;
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
