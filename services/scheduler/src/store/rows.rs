//! Rows as the database has them, turned into the protocol's.

use super::StoreError;
use gauntlet_core::protocol::{OnInfraFailure, RunRow, RunState, ShardRow, ShardState};
use gauntlet_core::{LeaseEpoch, ReplicaId, RunId, SessionId};
use gauntlet_pg::Row;

/// A run under its lock, with what events and writes need besides the protocol's view.
#[derive(Debug, Clone)]
pub(crate) struct LockedRun {
    pub(crate) row: RunRow,
    pub(crate) test_count: i32,
    pub(crate) trigger: Vec<u8>,
    pub(crate) verdict: Option<Vec<u8>>,
}

/// Turns a row of `runs/lock` into a run.
pub(crate) fn locked_run(row: &Row) -> Result<(RunId, LockedRun), StoreError> {
    let bad = |column| StoreError::Inconsistent { table: "runs", column };
    let run = RunRow {
        state: RunState::from_name(row.get("state")).ok_or(bad("state"))?,
        generation: unsigned(row.get("generation")),
        revision: u64::try_from(row.get::<_, i64>("revision")).map_err(|_| bad("revision"))?,
        open_shard_count: unsigned(row.get("open_shard_count")),
        on_infra_failure: match row.get("on_infra_failure") {
            "STOP_RUN" => OnInfraFailure::StopRun,
            _ => OnInfraFailure::Continue,
        },
        finalizer_epoch: unsigned(row.get("finalizer_epoch")),
        finalizer: row.get::<_, Option<_>>("finalizer_id").map(ReplicaId),
        digest: row.get("digest"),
        reason: row.get("reason"),
    };
    let locked = LockedRun {
        row: run,
        test_count: row.get("test_count"),
        trigger: row.get("trigger"),
        verdict: row.get("verdict"),
    };
    Ok((RunId(row.get("run_id")), locked))
}

/// Turns a row of `shards/lock` into a shard.
pub(crate) fn locked_shard(row: &Row) -> Result<((RunId, u32), ShardRow), StoreError> {
    let bad = |column| StoreError::Inconsistent { table: "shards", column };
    let index = unsigned(row.get("shard_index"));
    let shard = ShardRow {
        index,
        state: ShardState::from_name(row.get("state")).ok_or(bad("state"))?,
        epoch: epoch(row.get("epoch")),
        announced: epoch(row.get("announced")),
        session: row.get::<_, Option<_>>("session_id").map(SessionId),
        infra_attempts: unsigned(row.get("infra_attempts")),
        running: ordinals(row.get("running")),
        suspects: ordinals(row.get("suspects")),
        poisoned: ordinals(row.get("poisoned")),
        reported_count: unsigned(row.get("reported_count")),
        failure_class: row.get("failure_class"),
    };
    Ok(((RunId(row.get("run_id")), index), shard))
}

/// The schema keeps counts as signed integers that its checks hold at zero or more.
pub(crate) fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Limits of the contract keep every count far below the signed range.
pub(crate) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(crate) fn epoch(value: i64) -> LeaseEpoch {
    LeaseEpoch(u64::try_from(value).unwrap_or(0))
}

pub(crate) fn epoch_column(epoch: LeaseEpoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

pub(crate) fn ordinals(values: Vec<i32>) -> Vec<u32> {
    values.into_iter().map(unsigned).collect()
}

/// Writes a list as an array literal: arrays of arrays cannot be parameters.
pub(crate) fn array_literal(values: &[u32]) -> String {
    let numbers: Vec<String> = values.iter().map(u32::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}
