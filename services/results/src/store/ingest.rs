//! Writes under fences: many shards in one transaction.
//!
//! Lock order: the runs' advisory locks, shared, then fences in key order. A crash before the commit stores nothing; after
//! it the report is repeated and told so.

use super::{Store, StoreError, lock_key, sql};
use gauntlet_core::RunId;
use gauntlet_pg::{Flight, Row, Transaction, Tx, params};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Names one grant of one shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) run_id: RunId,
    pub(crate) generation: i32,
    pub(crate) shard_index: i32,
    pub(crate) epoch: i64,
}

/// Names a shard.
type ShardKey = (RunId, i32, i32);

impl Fence {
    fn shard(&self) -> ShardKey {
        (self.run_id, self.generation, self.shard_index)
    }
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

/// What is wanted under one fence: attempts to store, tests to look up.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) fence: Fence,
    pub(crate) attempts: Vec<NewAttempt>,
    pub(crate) ordinals: Vec<i32>,
    /// Failed tests that end the run, as its options say; 0 when they do not, or were told before.
    pub(crate) stop_after_failures: i32,
}

/// How far one test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownTest {
    pub(crate) ordinal: i32,
    pub(crate) attempt_count: i32,
    pub(crate) is_final: bool,
}

/// What was done under a fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Attempts that were not there before.
    pub(crate) stored_count: usize,
    /// Attempts of the shard.
    pub(crate) acknowledged_count: i32,
    /// Those of the tests asked for that have attempts, ascending.
    pub(crate) tests: Vec<KnownTest>,
    /// Failed tests that end the run, when the shard has new ones.
    pub(crate) stop_after_failures: Option<i32>,
}

/// What an entry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It was done.
    Done(Done),
    /// A newer epoch has the shard.
    LeaseLost,
    /// The generation is sealed.
    Sealed,
}

/// What to do about a seal in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealing {
    /// Wait for it.
    Wait,
    /// Leave the entries of that run out.
    Skip,
}

/// Enters all entries, each under its own fence. One transaction.
struct Enter<'a> {
    entries: &'a [Entry],
    sealing: Sealing,
}

/// A fence that this transaction holds.
struct Held {
    epoch: i64,
    row_count: i32,
    stop_after_failures: Option<i32>,
}

impl Transaction for Enter<'_> {
    const LABEL: &'static str = "ingest";
    type Output = Vec<Option<Entered>>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Self::Output, StoreError> {
        let locked = self.lock(tx).await?;
        let mut held = self.raise(tx, &locked).await?;
        let accepted = self.entries.iter().filter(|Entry { fence, .. }| {
            held.get(&fence.shard()).is_some_and(|held| held.epoch == fence.epoch)
        });
        let accepted: Vec<&Entry> = accepted.collect();
        let mut flight = Flight::default();
        let storing = store(&mut flight, &accepted);
        find_known(&mut flight, &accepted);
        let mut answers = tx.commit_with(&flight).await?.into_iter();
        let stored = if storing { answers.next() } else { None };
        let mut new = stored_keys(&stored.unwrap_or_default(), &mut held);
        let known = known_tests(&answers.next().unwrap_or_default());
        let mut entered = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            entered.push(match held.get(&entry.fence.shard()) {
                _ if !locked.contains(&lock_key(entry.fence.run_id)) => None,
                Some(held) if held.epoch == entry.fence.epoch => Some(Entered::Done(Done {
                    // What two entries of one batch bring counts for the first.
                    stored_count: entry.keys().filter(|key| new.remove(key)).count(),
                    acknowledged_count: held.row_count,
                    tests: entry.known_among(&known),
                    stop_after_failures: held.stop_after_failures,
                })),
                // A seal is looked for afterwards; there is seldom one.
                _ => Some(Entered::LeaseLost),
            });
        }
        Ok(entered)
    }
}

impl Enter<'_> {
    /// Returns the keys of the runs that are locked now.
    async fn lock(&self, tx: &Tx<'_>) -> Result<BTreeSet<i32>, StoreError> {
        let keys: BTreeSet<i32> = self.entries.iter().map(|e| lock_key(e.fence.run_id)).collect();
        if self.sealing == Sealing::Wait {
            for key in &keys {
                tx.query(sql::INGEST_LOCK_SHARED, &[key]).await?;
            }
            return Ok(keys);
        }
        let wanted: Vec<i32> = keys.into_iter().collect();
        let [got] = tx.begin_with([(sql::INGEST_TRY_LOCK_SHARED, &[&wanted])]).await?;
        Ok(got.iter().map(|row| row.get("key")).collect())
    }

    /// Raises each shard's fence to the highest epoch asked for; returns those that could be.
    async fn raise(
        &self,
        tx: &Tx<'_>,
        locked: &BTreeSet<i32>,
    ) -> Result<HashMap<ShardKey, Held>, StoreError> {
        let mut wanted: BTreeMap<ShardKey, (i64, i32)> = BTreeMap::new();
        for Entry { fence, stop_after_failures, .. } in self.entries {
            if locked.contains(&lock_key(fence.run_id)) {
                let (epoch, failures) = wanted.entry(fence.shard()).or_default();
                *epoch = fence.epoch.max(*epoch);
                *failures = *stop_after_failures.max(failures);
            }
        }
        let runs: Vec<_> = wanted.keys().map(|shard| shard.0.0).collect();
        let generations: Vec<i32> = wanted.keys().map(|shard| shard.1).collect();
        let indexes: Vec<i32> = wanted.keys().map(|shard| shard.2).collect();
        let (epochs, failures): (Vec<i64>, Vec<i32>) = wanted.values().copied().unzip();
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&runs, &generations, &indexes, &epochs, &failures];
        let raised = tx.query(sql::FENCES_RAISE, &params).await?;
        let held = raised.iter().map(|row| {
            let shard = shard_of(row);
            let epoch = wanted.get(&shard).map_or(0, |wanted| wanted.0);
            let row_count = row.get("row_count");
            (shard, Held { epoch, row_count, stop_after_failures: None })
        });
        Ok(held.collect())
    }
}

/// Names an attempt.
type AttemptKey = (RunId, i32, i32, i32);
/// Names a test.
type TestKey = (RunId, i32, i32);

impl Entry {
    fn keys(&self) -> impl Iterator<Item = AttemptKey> {
        let Fence { run_id, generation, .. } = self.fence;
        self.attempts.iter().map(move |a| (run_id, generation, a.ordinal, a.attempt))
    }

    fn known_among(&self, known: &HashMap<TestKey, KnownTest>) -> Vec<KnownTest> {
        let Fence { run_id, generation, .. } = self.fence;
        let asked: BTreeSet<i32> = self.ordinals.iter().copied().collect();
        asked.iter().filter_map(|o| known.get(&(run_id, generation, *o)).copied()).collect()
    }
}

fn shard_of(row: &Row) -> ShardKey {
    (RunId(row.get("run_id")), row.get("generation"), row.get("shard_index"))
}

/// Adds the attempts of entries whose fences are held; returns whether there are any.
fn store<'a>(flight: &mut Flight<'a>, entries: &[&'a Entry]) -> bool {
    if entries.iter().all(|entry| entry.attempts.is_empty()) {
        return false;
    }
    macro_rules! column {
        ($entry:ident, $attempt:ident => $value:expr) => {
            entries
                .iter()
                .copied()
                .flat_map(|$entry| $entry.attempts.iter().map(move |$attempt| $value))
                .collect::<Vec<_>>()
        };
    }
    flight.add(
        sql::ATTEMPTS_STORE,
        params![
            column!(e, _a => e.fence.run_id.0),
            column!(e, _a => e.fence.generation),
            column!(e, _a => e.fence.shard_index),
            column!(e, _a => e.fence.epoch),
            column!(e, a => a.ordinal),
            column!(e, a => a.attempt),
            column!(e, a => a.outcome),
            column!(e, a => a.is_final),
            column!(e, a => a.payload.as_slice()),
        ],
    );
    true
}

/// Returns which attempts are new, and counts them where they belong.
fn stored_keys(rows: &[Row], held: &mut HashMap<ShardKey, Held>) -> HashSet<AttemptKey> {
    let mut new = HashSet::new();
    for row in rows {
        let shard = shard_of(row);
        if let Some(held) = held.get_mut(&shard) {
            held.row_count = row.get("row_count");
            let limit: i32 = row.get("stop_after_failures");
            held.stop_after_failures = Some(limit).filter(|limit| *limit > 0 && row.get("failing"));
        }
        let (ordinals, attempts) =
            (row.get::<_, Vec<i32>>("ordinals"), row.get::<_, Vec<i32>>("attempts"));
        new.extend(ordinals.into_iter().zip(attempts).map(|(o, a)| (shard.0, shard.1, o, a)));
    }
    new
}

/// Adds the question how far the tests are that entries ask for.
fn find_known(flight: &mut Flight<'_>, entries: &[&Entry]) {
    let asked = || entries.iter().flat_map(|e| e.ordinals.iter().map(|o| (&e.fence, *o)));
    let runs: Vec<_> = asked().map(|(fence, _)| fence.run_id.0).collect();
    if runs.is_empty() {
        return;
    }
    let generations: Vec<i32> = asked().map(|(fence, _)| fence.generation).collect();
    let ordinals: Vec<i32> = asked().map(|(_, ordinal)| ordinal).collect();
    flight.add(sql::ATTEMPTS_OF_ORDINALS, params![runs, generations, ordinals]);
}

fn known_tests(rows: &[Row]) -> HashMap<TestKey, KnownTest> {
    let known = rows.iter().map(|row| {
        let test = KnownTest {
            ordinal: row.get("ordinal"),
            attempt_count: row.get("attempt_count"),
            is_final: row.get("final"),
        };
        ((RunId(row.get("run_id")), row.get("generation"), test.ordinal), test)
    });
    known.collect()
}

impl Store {
    /// Enters all entries in one transaction and answers in their order; those of runs that are being sealed right now are
    /// left out and answered by none. Idempotent by (run, generation, ordinal, attempt).
    pub(crate) async fn enter_batch(
        &self,
        entries: &[Entry],
    ) -> Result<Vec<Option<Entered>>, StoreError> {
        self.enter_all(entries, Sealing::Skip).await
    }

    /// As [`Store::enter_batch`] for one entry, waiting for a seal in progress.
    pub(crate) async fn enter(&self, entry: &Entry) -> Result<Entered, StoreError> {
        let mut entered = self.enter_all(std::slice::from_ref(entry), Sealing::Wait).await?;
        entered
            .pop()
            .flatten()
            .ok_or(StoreError::Inconsistent { table: "fences", column: "run_id" })
    }

    async fn enter_all(
        &self,
        entries: &[Entry],
        sealing: Sealing,
    ) -> Result<Vec<Option<Entered>>, StoreError> {
        let mut entered = self.pool.transact(&Enter { entries, sealing }).await?;
        for (entry, entered) in entries.iter().zip(&mut entered) {
            match entered {
                Some(Entered::Done(done)) if done.stored_count > 0 => {
                    self.changed(entry.fence.run_id);
                }
                // Nothing removes a seal, so it does not matter that this looks later.
                Some(refused @ Entered::LeaseLost)
                    if self.is_sealed(entry.fence.run_id, entry.fence.generation).await? =>
                {
                    *refused = Entered::Sealed;
                }
                _ => {}
            }
        }
        Ok(entered)
    }

    /// Makes the partition that a run's attempts belong in: it is older than those kept ready.
    pub(crate) async fn ensure_partition_of(&self, run_id: RunId) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::PARTITIONS_ENSURE_FOR_RUN, &[&run_id.0]).await?;
        Ok(())
    }
}
