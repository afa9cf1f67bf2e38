//! Rows as the database has them, turned into the protocol's.

use super::StoreError;
use gauntlet_core::protocol::{
    OnInfraFailure, RunRow, RunState, Running, ShardRow, ShardState, StopReason,
};
use gauntlet_core::{LeaseEpoch, ReplicaId, RunId, SessionId};
use gauntlet_pg::Row;
use std::fmt::Write as _;

/// A run under its lock, with what events and writes need besides the protocol's view.
#[derive(Debug, Clone)]
pub(crate) struct LockedRun {
    pub(crate) row: RunRow,
    pub(crate) test_count: i32,
    pub(crate) trigger: Vec<u8>,
    pub(crate) traceparent: String,
    pub(crate) verdict: Option<Vec<u8>>,
}

/// Turns a row of `runs/lock` into a run.
pub(crate) fn locked_run(row: &Row) -> Result<(RunId, LockedRun), StoreError> {
    let bad = |column| StoreError::Inconsistent { table: "runs", column };
    let run = RunRow {
        state: RunState::from_name(row.get("state")).ok_or(bad("state"))?,
        generation: unsigned(row.get("generation")),
        shard_count: unsigned(row.get("shard_count")),
        next_shard_index: unsigned(row.get("next_shard_index")),
        started: row.get("started"),
        revision: u64::try_from(row.get::<_, i64>("revision")).map_err(|_| bad("revision"))?,
        open_shard_count: unsigned(row.get("open_shard_count")),
        on_infra_failure: match row.get("on_infra_failure") {
            "STOP_RUN" => OnInfraFailure::StopRun,
            _ => OnInfraFailure::Continue,
        },
        stop_reason: match row.get::<_, Option<&str>>("stop_reason") {
            None => None,
            Some(name) => Some(StopReason::from_name(name).ok_or(bad("stop_reason"))?),
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
        traceparent: row.get("traceparent"),
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
        deferrals: unsigned(row.get("deferrals")),
        state: ShardState::from_name(row.get("state")).ok_or(bad("state"))?,
        epoch: epoch(row.get("epoch")),
        announced: epoch(row.get("announced")),
        session: row.get::<_, Option<_>>("session_id").map(SessionId),
        infra_attempts: unsigned(row.get("infra_attempts")),
        running: running(row.get("running"), &row.get::<_, Vec<i32>>("progress")),
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

/// Turns the lists of a beat into running tests; `progress` has an attempt and a step for each ordinal, as far as known.
pub(crate) fn running(of: Vec<i32>, progress: &[i32]) -> Vec<Running> {
    let known = progress.chunks_exact(2).map(Some).chain(std::iter::repeat(None));
    let test = |(ordinal, known): (u32, Option<&[i32]>)| Running {
        ordinal,
        attempt: known.map_or(0, |known| unsigned(known[0])),
        step: known.and_then(|known| u32::try_from(known[1]).ok()),
    };
    ordinals(of).into_iter().zip(known).map(test).collect()
}

/// Writes a list as an array literal: arrays of arrays cannot be parameters.
pub(crate) fn array_literal<T: std::fmt::Display>(values: impl IntoIterator<Item = T>) -> String {
    let mut literal = String::from("{");
    for (place, value) in values.into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(literal, "{comma}{value}");
    }
    literal.push('}');
    literal
}

/// An element of an array literal that may hold any character.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_literal_keeps_quotes_and_backslashes() {
        let literal = array_literal([r#"a"b"#, r"c\d", "e,{f}"].map(Quoted));
        assert_eq!(literal, r#"{"a\"b","c\\d","e,{f}"}"#);
        assert_eq!(array_literal::<u32>([]), "{}");
    }

    #[test]
    fn a_running_test_of_an_older_executor_has_no_step() {
        let known = Running { ordinal: 4, attempt: 2, step: Some(7) };
        let unknown = Running { ordinal: 5, attempt: 0, step: None };
        assert_eq!(running(vec![4, 5], &[2, 7]), [known, unknown]);
        assert_eq!(running(vec![5], &[0, -1]), [unknown]);
    }
}
