//! Commands of the run protocol under their locks: the one transaction that every change of a run goes through.
//!
//! A batch of commands is decided by `core::protocol` one after the other on rows locked up front, and written with one
//! statement per table. Locks: runs in ascending id, then their shards in key order, then feed lanes ascending.
//! A crash before the commit changes nothing; right after it only the replies are lost, and a repeat is told what happened.

use super::rows::{LockedRun, array_literal, epoch_column, locked_run, locked_shard, signed};
use super::{Store, StoreError, sql};
use crate::events::{self, Context, NewEvent};
use gauntlet_core::limits::LEASE_TTL;
use gauntlet_core::protocol::{Command, Event, NewShard, Outcome, ShardRow, StopReason, decide};
use gauntlet_core::{RunId, SessionId};
use gauntlet_pg::{Flight, ToSql, Transaction, Tx, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// One command about one run.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) run_id: RunId,
    /// The shard it is about; none for commands about the run itself.
    pub(crate) shard_index: Option<u32>,
    pub(crate) command: Command,
    /// The encoded verdict of a `Close`.
    pub(crate) verdict: Option<Vec<u8>>,
}

/// What an item came to.
#[derive(Debug, Clone)]
pub(crate) enum Applied {
    /// The protocol decided.
    Decided {
        /// What it decided.
        outcome: Outcome,
        /// Revision of the run after it.
        revision: u64,
        /// Whether it took open shards out of play: their holders are told to renew.
        cancelled: bool,
    },
    /// There is no such run or shard.
    NotFound,
}

/// Applies items in order. One transaction.
pub(crate) struct ApplyBatch<'a> {
    pub(crate) store: &'a Store,
    pub(crate) items: &'a [Item],
}

impl Transaction for ApplyBatch<'_> {
    const LABEL: &'static str = "apply_batch";
    type Output = Vec<Result<Applied, StoreError>>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Self::Output, StoreError> {
        let mut rows = Rows::lock(tx, self.items).await?;
        let applied = self.items.iter().map(|item| rows.apply(item)).collect();
        rows.write(tx, self.store).await?;
        Ok(applied)
    }
}

/// The rows of one batch under their locks, and what is to be written.
#[derive(Default)]
struct Rows {
    runs: BTreeMap<RunId, LockedRun>,
    shards: BTreeMap<(RunId, u32), ShardRow>,
    dirty_runs: BTreeSet<RunId>,
    dirty_shards: BTreeMap<(RunId, u32), Duration>,
    /// With the generation that ended.
    cancelled: BTreeSet<(RunId, u32)>,
    /// With the generation each is of.
    new_shards: Vec<(RunId, u32, NewShard)>,
    /// With the generation and revision of each.
    events: Vec<(RunId, u32, u64, Event)>,
}

impl Rows {
    /// Lock order: runs ascending, then shards, sent together and run one after the other. Deciding happens after both: a
    /// statement that waits for a lock and counts at once would count with an old snapshot.
    async fn lock(tx: &Tx<'_>, items: &[Item]) -> Result<Self, StoreError> {
        let run_ids: Vec<Uuid> = items.iter().map(|item| item.run_id.0).collect();
        let wanted = items.iter().filter_map(|item| Some((item.run_id.0, item.shard_index?)));
        let (shard_runs, indexes): (Vec<Uuid>, Vec<i32>) =
            wanted.map(|(run, index)| (run, signed(index))).unzip();
        let lock_shards: [&(dyn ToSql + Sync); 2] = [&shard_runs, &indexes];
        let [runs, shards] = tx
            .begin_with([(sql::RUNS_LOCK, &[&run_ids]), (sql::SHARDS_LOCK, &lock_shards)])
            .await?;
        let runs = runs.iter().map(locked_run).collect::<Result<_, _>>()?;
        let shards = shards.iter().map(locked_shard).collect::<Result<_, _>>()?;
        Ok(Self { runs, shards, ..Self::default() })
    }

    fn apply(&mut self, item: &Item) -> Result<Applied, StoreError> {
        let key = item.shard_index.map(|index| (item.run_id, index));
        let shard = key.map(|key| self.shards.get(&key));
        let (Some(run), None | Some(Some(_))) = (self.runs.get_mut(&item.run_id), shard) else {
            return Ok(Applied::NotFound);
        };
        let decision =
            decide(&run.row, shard.flatten(), &item.command).map_err(StoreError::Illegal)?;
        let first_revision = run.row.revision + 1;
        if let Some(row) = decision.run {
            run.row = row;
            self.dirty_runs.insert(item.run_id);
        }
        match decision.outcome {
            Outcome::Closed if item.verdict.is_some() => run.verdict.clone_from(&item.verdict),
            // The verdict of the generation before stays in the log.
            Outcome::Retried => run.verdict = None,
            _ => {}
        }
        let generation = run.row.generation;
        let revision = run.row.revision;
        if let (Some(key), Some(row)) = (key, decision.shard) {
            self.shards.insert(key, row);
            self.dirty_shards.insert(key, decision.requeue_delay);
        }
        let cancelled = decision.cancel_open_shards;
        if cancelled {
            self.cancelled.insert((item.run_id, generation));
        }
        let new_shards = decision.new_shards.into_iter();
        self.new_shards.extend(new_shards.map(|new| (item.run_id, generation, new)));
        let revisions = first_revision..;
        let events = revisions.zip(decision.events);
        self.events.extend(events.map(|(r, e)| (item.run_id, generation, r, e)));
        Ok(Applied::Decided { outcome: decision.outcome, revision, cancelled })
    }

    /// Rows first, the log last: its feed lanes are the last locks. All of it goes with the COMMIT, except what must be
    /// counted before.
    async fn write(&self, tx: &Tx<'_>, store: &Store) -> Result<(), StoreError> {
        let mut flight = Flight::default();
        self.write_shards(&mut flight);
        self.write_runs(&mut flight);
        self.insert_shards(tx).await?;
        if !self.cancelled.is_empty() {
            // After the shards' own rows and the new ones: what this batch put into the queue is cancelled too.
            let (run_ids, generations): (Vec<Uuid>, Vec<i32>) =
                self.cancelled.iter().map(|(run, generation)| (run.0, signed(*generation))).unzip();
            flight.add(sql::SHARDS_CANCEL_OPEN, params![run_ids, generations]);
        }
        let names;
        if !self.events.is_empty() {
            let sessions: BTreeSet<SessionId> =
                self.events.iter().filter_map(|(.., event)| events::session_of(event)).collect();
            names = store.session_names(tx, &sessions).await?;
            events::append(&mut flight, &self.new_events(&names));
        }
        tx.commit_with(&flight).await?;
        Ok(())
    }

    fn new_events(&self, names: &HashMap<SessionId, String>) -> Vec<NewEvent> {
        let new = self.events.iter().filter_map(|(run_id, generation, revision, event)| {
            let run = self.runs.get(run_id)?;
            let context = Context {
                names,
                test_count: run.test_count,
                trigger: &run.trigger,
                traceparent: &run.traceparent,
                verdict: run.verdict.as_deref(),
            };
            Some(NewEvent::of(*run_id, *generation, *revision, event, &context))
        });
        new.collect()
    }

    fn write_shards<'a>(&'a self, flight: &mut Flight<'a>) {
        let rows: Vec<(&(RunId, u32), &ShardRow, f64)> = self
            .dirty_shards
            .iter()
            .filter_map(|(key, delay)| Some((key, self.shards.get(key)?, delay.as_secs_f64())))
            .collect();
        if rows.is_empty() {
            return;
        }
        macro_rules! column {
            ($pattern:pat => $value:expr) => {
                rows.iter().map(|$pattern| $value).collect::<Vec<_>>()
            };
        }
        flight.add(
            sql::SHARDS_UPDATE,
            params![
                column!((key, ..) => key.0.0),
                column!((key, ..) => signed(key.1)),
                column!((_, row, _) => row.state.name()),
                column!((_, row, _) => epoch_column(row.epoch)),
                column!((_, row, _) => epoch_column(row.announced)),
                column!((_, row, _) => row.session.map(|session| session.0)),
                column!((_, row, _) => signed(row.infra_attempts)),
                column!((_, row, _) => array_literal(&row.suspects)),
                column!((_, row, _) => array_literal(&row.poisoned)),
                column!((_, row, _) => signed(row.reported_count)),
                column!((_, row, _) => row.failure_class.clone()),
                column!((_, _, delay) => *delay),
            ],
        );
    }

    async fn insert_shards(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let rows = &self.new_shards;
        if rows.is_empty() {
            return Ok(());
        }
        macro_rules! column {
            ($pattern:pat => $value:expr) => {
                rows.iter().map(|$pattern| $value).collect::<Vec<_>>()
            };
        }
        let inserted = tx
            .execute(
                sql::SHARDS_INSERT_AGAIN,
                &[
                    &column!((run, ..) => run.0),
                    &column!((.., new) => signed(new.index)),
                    &column!((_, generation, _) => signed(*generation)),
                    &column!((.., new) => array_literal(&new.ordinals)),
                    &column!((.., new) => new.avoid.map(|session| session.0)),
                    &column!((.., new) => signed(new.deferrals)),
                ],
            )
            .await?;
        // Somebody named tests that the run never had: nothing of this is written.
        let all = usize::try_from(inserted) == Ok(rows.len());
        if all { Ok(()) } else { Err(StoreError::NoSuchTests) }
    }

    fn write_runs<'a>(&'a self, flight: &mut Flight<'a>) {
        let rows: Vec<(Uuid, &LockedRun)> =
            self.dirty_runs.iter().filter_map(|id| Some((id.0, self.runs.get(id)?))).collect();
        if rows.is_empty() {
            return;
        }
        macro_rules! column {
            ($pattern:pat => $value:expr) => {
                rows.iter().map(|$pattern| $value).collect::<Vec<_>>()
            };
        }
        flight.add(
            sql::RUNS_UPDATE,
            params![
                column!((id, _) => *id),
                column!((_, run) => run.row.state.name()),
                column!((_, run) => i64::try_from(run.row.revision).unwrap_or(i64::MAX)),
                column!((_, run) => signed(run.row.generation)),
                column!((_, run) => signed(run.row.shard_count)),
                column!((_, run) => signed(run.row.next_shard_index)),
                column!((_, run) => signed(run.row.open_shard_count)),
                column!((_, run) => run.row.stop_reason.map(StopReason::name)),
                column!((_, run) => signed(run.row.finalizer_epoch)),
                column!((_, run) => run.row.finalizer.map(|replica| replica.0)),
                column!((_, run) => run.row.digest.clone()),
                column!((_, run) => run.row.reason.clone()),
                column!((_, run) => run.verdict.clone()),
                LEASE_TTL.as_secs_f64(),
                column!((_, run) => run.row.started),
            ],
        );
    }
}
