//! Reads: runs, plans, events, and what the reconcilers look for. Single statements, no locks.

use super::rows::{epoch, signed, unsigned};
use super::{Store, StoreError, sql};
use crate::events::{wire_state, wire_stop_reason};
use gauntlet_core::limits::LEASE_TTL;
use gauntlet_core::protocol::{RunState, StopReason};
use gauntlet_core::{LeaseEpoch, ReplicaId, RunId};
use gauntlet_pg::Row;
use gauntlet_proto::{edge, v1};
use jiff::Timestamp;
use prost::Message as _;
use std::collections::HashMap;
use uuid::Uuid;

/// A run as people see it.
#[derive(Debug, Clone)]
pub(crate) struct RunView {
    pub(crate) run_id: RunId,
    pub(crate) project: String,
    pub(crate) environment: String,
    pub(crate) options: Vec<u8>,
    pub(crate) trigger: Vec<u8>,
    pub(crate) test_count: i32,
    pub(crate) shard_count: i32,
    pub(crate) generation: i32,
    pub(crate) state: RunState,
    pub(crate) revision: i64,
    pub(crate) open_shard_count: i32,
    pub(crate) verdict: Option<Vec<u8>>,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// Browsers that queued shards wait for.
    pub(crate) queued_browsers: Vec<String>,
    /// When the next queued shard may be granted.
    pub(crate) claimable_at: Option<Timestamp>,
}

/// An event of the feed and where it stands.
pub(crate) struct FeedEntry {
    pub(crate) lane: i32,
    pub(crate) position: i64,
    pub(crate) event: v1::RunEvent,
}

/// A lease that a reconciler found.
pub(crate) struct LeaseKey {
    pub(crate) run_id: RunId,
    pub(crate) shard_index: u32,
    pub(crate) epoch: LeaseEpoch,
}

fn view_of(row: &Row) -> Result<RunView, StoreError> {
    let state = RunState::from_name(row.get("state"))
        .ok_or(StoreError::Inconsistent { table: "runs", column: "state" })?;
    Ok(RunView {
        run_id: RunId(row.get("run_id")),
        project: row.get("project"),
        environment: row.get("environment"),
        options: row.get("options"),
        trigger: row.get("trigger"),
        test_count: row.get("test_count"),
        shard_count: row.get("shard_count"),
        generation: row.get("generation"),
        state,
        revision: row.get("revision"),
        open_shard_count: row.get("open_shard_count"),
        verdict: row.get("verdict"),
        reason: row.get("reason"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        queued_browsers: row.get::<_, Option<Vec<String>>>("queued_browsers").unwrap_or_default(),
        claimable_at: row.get("claimable_at"),
    })
}

fn event_of(row: &Row) -> Result<v1::RunEvent, StoreError> {
    let bad = StoreError::Inconsistent { table: "run_events", column: "payload" };
    let mut event = v1::RunEvent::decode(row.get::<_, &[u8]>("payload")).map_err(|_| bad)?;
    event.create_time = Some(edge::timestamp(row.get("created_at")));
    Ok(event)
}

fn lease_of(row: &Row) -> LeaseKey {
    LeaseKey {
        run_id: RunId(row.get("run_id")),
        shard_index: unsigned(row.get("shard_index")),
        epoch: epoch(row.get("epoch")),
    }
}

fn summary_of(row: &Row) -> v1::ShardSummary {
    v1::ShardSummary {
        shard_index: row.get("shard_index"),
        ordinals: row.get("ordinals"),
        reported_count: row.get("reported_count"),
        failure_class: row.get::<_, Option<String>>("failure_class").unwrap_or_default(),
        cancelled: row.get("cancelled"),
    }
}

fn claim_of(row: &Row, shards: Vec<v1::ShardSummary>) -> Result<v1::FinalizationClaim, StoreError> {
    let stop_reason = match row.get::<_, Option<&str>>("stop_reason") {
        None => None,
        Some(name) => Some(
            StopReason::from_name(name)
                .ok_or(StoreError::Inconsistent { table: "runs", column: "stop_reason" })?,
        ),
    };
    Ok(v1::FinalizationClaim {
        run_id: RunId(row.get("run_id")).to_string(),
        generation: row.get("generation"),
        finalizer_epoch: i64::from(row.get::<_, i32>("finalizer_epoch")),
        test_count: row.get("test_count"),
        shards,
        lease_ttl: Some(edge::wire_duration(LEASE_TTL)),
        stop_reason: wire_stop_reason(stop_reason).into(),
        traceparent: row.get("traceparent"),
    })
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Store {
    /// Returns a run.
    pub(crate) async fn find_run(&self, run_id: RunId) -> Result<Option<RunView>, StoreError> {
        let row = self.pool.read().query_opt(sql::RUNS_FIND, &[&run_id.0]).await?;
        row.as_ref().map(view_of).transpose()
    }

    /// Returns runs with an id below `before`, newest first.
    pub(crate) async fn list_runs(
        &self,
        project: &str,
        states: &[&str],
        before: RunId,
        limit: usize,
    ) -> Result<Vec<RunView>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&project, &states, &before.0, &count(limit)];
        let rows = self.pool.read().query(sql::RUNS_PAGE, &params).await?;
        rows.iter().map(view_of).collect()
    }

    /// Returns planned tests with an ordinal above `after`.
    pub(crate) async fn list_planned_tests(
        &self,
        run_id: RunId,
        after: i32,
        limit: usize,
    ) -> Result<Vec<v1::PlannedTest>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&run_id.0, &after, &count(limit)];
        let rows = self.pool.read().query(sql::SHARDS_PLANNED_PAGE, &params).await?;
        let planned = rows.iter().map(|row| v1::PlannedTest {
            ordinal: row.get("ordinal"),
            test_id: row.get::<_, Uuid>("test_id").to_string(),
            revision_hash: edge::hex(row.get("revision_hash")),
            name: row.get("name"),
            file: row.get("file"),
            shard_index: row.get("shard_index"),
        });
        Ok(planned.collect())
    }

    /// Returns the tests that a generation runs, ascending; none of them when there is no such generation.
    pub(crate) async fn list_ordinals(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<Vec<i32>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&run_id.0, &generation];
        let rows = self.pool.read().query(sql::SHARDS_LIST_ORDINALS, &params).await?;
        Ok(rows.iter().map(|row| row.get("ordinal")).collect())
    }

    /// Returns a run's events after a revision.
    pub(crate) async fn list_events(
        &self,
        run_id: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<v1::RunEvent>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&run_id.0, &after, &count(limit)];
        let rows = self.pool.read().query(sql::EVENTS_PAGE, &params).await?;
        rows.iter().map(event_of).collect()
    }

    /// Returns how a generation that has ended did.
    pub(crate) async fn find_end(
        &self,
        run_id: RunId,
        generation: u32,
    ) -> Result<RunState, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&run_id.0, &signed(generation)];
        let row = self.pool.read().query_one(sql::EVENTS_FIND_END, &params).await?;
        let state = match event_of(&row)?.event {
            Some(v1::run_event::Event::Terminal(terminal)) => {
                RunState::ALL.into_iter().find(|state| wire_state(*state) == terminal.state())
            }
            _ => None,
        };
        state.ok_or(StoreError::Inconsistent { table: "run_events", column: "payload" })
    }

    /// Returns the feed's identity.
    pub(crate) async fn feed_id(&self) -> Result<Uuid, StoreError> {
        Ok(self.pool.read().query_one(sql::EVENTS_FEED_ID, &[]).await?.get("feed_id"))
    }

    /// Returns the feed after a position in each lane, up to `limit` events a lane.
    pub(crate) async fn list_feed(
        &self,
        positions: &[i64],
        terminal_only: bool,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let lanes: Vec<i32> = (0..positions.len()).map(|l| i32::try_from(l).unwrap_or(0)).collect();
        let limit = count(limit);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&lanes, &positions, &limit];
        let page =
            if terminal_only { sql::EVENTS_FEED_PAGE_OF_ENDS } else { sql::EVENTS_FEED_PAGE };
        let rows = self.pool.read().query(page, &params).await?;
        let entry = |row: &Row| {
            let event = event_of(row)?;
            Ok(FeedEntry { lane: row.get("lane"), position: row.get("position"), event })
        };
        rows.iter().map(entry).collect()
    }

    /// Returns what finalizers need of the runs that they hold.
    pub(crate) async fn describe_claims(
        &self,
        claims: &[(RunId, u32, u32)],
    ) -> Result<Vec<v1::FinalizationClaim>, StoreError> {
        let run_ids: Vec<Uuid> = claims.iter().map(|(run, ..)| run.0).collect();
        // One after the other would be a round trip more between the last shard and the verdict.
        let read = self.pool.read();
        let of_runs: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&run_ids];
        let (runs, shards) = tokio::try_join!(
            read.query(sql::RUNS_FIND_CLAIMED, &of_runs),
            read.query(sql::SHARDS_SUMMARIES, &of_runs),
        )?;
        let held = |row: &&Row| {
            let generation = unsigned(row.get("generation"));
            let epoch = unsigned(row.get("finalizer_epoch"));
            let key = (RunId(row.get("run_id")), generation, epoch);
            claims.contains(&key)
        };
        let runs: Vec<&Row> = runs.iter().filter(held).collect();
        let mut summaries: HashMap<Uuid, Vec<v1::ShardSummary>> = HashMap::new();
        for row in &shards {
            summaries.entry(row.get("run_id")).or_default().push(summary_of(row));
        }
        let claim = |row: &&Row| {
            let run_id: Uuid = row.get("run_id");
            claim_of(row, summaries.remove(&run_id).unwrap_or_default())
        };
        runs.iter().map(claim).collect()
    }

    /// Returns open runs past their deadline, with the generation seen.
    pub(crate) async fn list_overdue_runs(
        &self,
        limit: usize,
    ) -> Result<Vec<(RunId, u32)>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&count(limit)];
        let rows = self.pool.read().query(sql::RUNS_LIST_OVERDUE, &params).await?;
        let key = |row: &Row| (RunId(row.get("run_id")), unsigned(row.get("generation")));
        Ok(rows.iter().map(key).collect())
    }

    /// Returns the options of a run as resolved at admission, and how many tests it planned.
    pub(crate) async fn find_options(
        &self,
        run_id: RunId,
    ) -> Result<Option<(v1::RunOptions, u32)>, StoreError> {
        let row = self.pool.read().query_opt(sql::RUNS_FIND_OPTIONS, &[&run_id.0]).await?;
        let Some(row) = row else { return Ok(None) };
        let bad = StoreError::Inconsistent { table: "runs", column: "options" };
        let options = v1::RunOptions::decode(row.get::<_, &[u8]>("options")).map_err(|_| bad)?;
        Ok(Some((options, unsigned(row.get("test_count")))))
    }

    /// Returns runs that wait for a finalizer.
    pub(crate) async fn list_unclaimed_finalizations(
        &self,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&count(limit)];
        let rows = self.pool.read().query(sql::RUNS_LIST_UNCLAIMED_FINALIZATIONS, &params).await?;
        Ok(rows.iter().map(|row| RunId(row.get("run_id"))).collect())
    }

    /// Returns finalizations past their expiry, with the generation and epoch seen.
    pub(crate) async fn list_expired_finalizations(
        &self,
        limit: usize,
    ) -> Result<Vec<(RunId, u32, u32)>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&count(limit)];
        let rows = self.pool.read().query(sql::RUNS_LIST_EXPIRED_FINALIZATIONS, &params).await?;
        let key = |row: &Row| {
            let generation = unsigned(row.get("generation"));
            (RunId(row.get("run_id")), generation, unsigned(row.get("finalizer_epoch")))
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Renews finalizations; returns those still held.
    pub(crate) async fn renew_finalizations(
        &self,
        replica: ReplicaId,
        held: &[(RunId, i32, u32)],
        ttl_s: f64,
    ) -> Result<Vec<(RunId, i32, i32)>, StoreError> {
        let runs: Vec<Uuid> = held.iter().map(|h| h.0.0).collect();
        let generations: Vec<i32> = held.iter().map(|h| h.1).collect();
        let epochs: Vec<i32> = held.iter().map(|h| signed(h.2)).collect();
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&replica.0, &runs, &generations, &epochs, &ttl_s];
        let rows =
            self.pool.write_idempotent().query(sql::RUNS_RENEW_FINALIZATIONS, &params).await?;
        let key = |row: &Row| {
            (RunId(row.get("run_id")), row.get("generation"), row.get("finalizer_epoch"))
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Returns leases whose session was reaped or is gone.
    pub(crate) async fn list_dead_leases(&self, limit: usize) -> Result<Vec<LeaseKey>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&count(limit)];
        let rows = self.pool.read().query(sql::SHARDS_LIST_OF_DEAD_SESSIONS, &params).await?;
        Ok(rows.iter().map(lease_of).collect())
    }

    /// Returns grants that their run's log does not know yet.
    pub(crate) async fn list_unannounced(&self, limit: usize) -> Result<Vec<LeaseKey>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 1] = [&count(limit)];
        let rows = self.pool.read().query(sql::SHARDS_LIST_UNANNOUNCED, &params).await?;
        Ok(rows.iter().map(lease_of).collect())
    }

    /// Returns the browsers that living executors offer.
    pub(crate) async fn offered_browsers(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.pool.read().query(sql::SESSIONS_BROWSERS, &[]).await?;
        Ok(rows.iter().map(|row| row.get("browser")).collect())
    }
}
