//! Grants: what an executor gets with a lease.

use crate::store::StoreError;
use crate::store::rows::{epoch_column, ordinals, signed, unsigned};
use gauntlet_core::{LeaseEpoch, RunId, SessionId};
use gauntlet_pg::Row;
use gauntlet_proto::edge::hex;
use gauntlet_proto::v1;
use prost::Message as _;
use uuid::Uuid;

/// A shard with its lease and its tests.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) session: SessionId,
    pub(crate) run_id: RunId,
    pub(crate) shard_index: u32,
    pub(crate) epoch: LeaseEpoch,
    /// Without secrets: those are sealed.
    pub(crate) message: v1::ShardGrant,
    pub(crate) secrets: Vec<u8>,
}

/// Turns a row of `shards/grant` or `shards/list_unnamed` into a grant.
pub(crate) fn grant_of(row: &Row) -> Result<Grant, StoreError> {
    let run_id = RunId(row.get("run_id"));
    let shard_index = unsigned(row.get("shard_index"));
    let epoch = crate::store::rows::epoch(row.get("epoch"));
    let lease_id: Option<Uuid> = row.get("lease_id");
    let options = v1::RunOptions::decode(row.get::<_, &[u8]>("options"))
        .map_err(|_| StoreError::Inconsistent { table: "runs", column: "options" })?;
    let message = v1::ShardGrant {
        run_id: run_id.to_string(),
        generation: row.get("generation"),
        shard_index: signed(shard_index),
        epoch: epoch_column(epoch),
        lease_id: lease_id.map(|id| id.to_string()).unwrap_or_default(),
        tests: planned_tests(row, shard_index),
        options: Some(options),
        poisoned_ordinals: row.get("poisoned"),
        infra_attempt: row.get::<_, i32>("infra_attempts") + 1,
        may_defer: row.get("may_defer"),
        traceparent: row.get("traceparent"),
        fresh: row.get("fresh"),
        ..Default::default()
    };
    let (session, secrets) = (SessionId(row.get("session_id")), row.get("secrets"));
    Ok(Grant { session, run_id, shard_index, epoch, message, secrets })
}

fn planned_tests(row: &Row, shard_index: u32) -> Vec<v1::PlannedTest> {
    let test_ids: Vec<Uuid> = row.get("test_ids");
    let hashes: Vec<&[u8]> = row.get("revision_hashes");
    let names: Vec<String> = row.get("names");
    let files: Vec<String> = row.get("files");
    ordinals(row.get("ordinals"))
        .into_iter()
        .zip(test_ids)
        .zip(hashes)
        .zip(names.into_iter().zip(files))
        .map(|(((ordinal, test_id), hash), (name, file))| v1::PlannedTest {
            ordinal: signed(ordinal),
            test_id: test_id.to_string(),
            revision_hash: hex(hash),
            name,
            file,
            shard_index: signed(shard_index),
        })
        .collect()
}
