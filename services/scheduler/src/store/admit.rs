//! Admission: a planned run becomes rows, in one transaction.

use super::rows::signed;
use super::{Store, StoreError, sql};
use crate::events::{self, NewEvent};
use gauntlet_core::{RunId, TestId};
use gauntlet_pg::{Transaction, Tx};
use std::ops::Range;
use uuid::Uuid;

/// A test as planned: the snapshot that the run keeps (A4).
#[derive(Debug, Clone)]
pub(crate) struct SelectedTest {
    pub(crate) test_id: TestId,
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) revision_hash: Vec<u8>,
    pub(crate) approved: bool,
}

/// A planned run.
pub(crate) struct NewRun {
    pub(crate) run_id: RunId,
    pub(crate) org: String,
    pub(crate) project: String,
    pub(crate) environment: String,
    pub(crate) options: Vec<u8>,
    pub(crate) trigger: Vec<u8>,
    pub(crate) on_infra_failure: &'static str,
    pub(crate) browser: &'static str,
    pub(crate) workers: u32,
    pub(crate) tests: Vec<SelectedTest>,
    pub(crate) shards: Vec<Range<u32>>,
    /// Id and payload hash of an idempotent request.
    pub(crate) request: Option<(Uuid, Vec<u8>)>,
}

/// What an admission came to.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// The run is new.
    New,
    /// The same request admitted this run before.
    Repeated(RunId),
    /// The request id was used with another payload.
    Reused,
}

impl Transaction for NewRun {
    const LABEL: &'static str = "admit_run";
    type Output = Admitted;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Admitted, StoreError> {
        if let Some((request_id, hash)) = &self.request {
            let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [request_id, hash, &self.run_id.0];
            if tx.query_opt(sql::REQUESTS_INSERT, &params).await?.is_none() {
                return repeated(tx, request_id, hash).await;
            }
        }
        let lane_id = self.lane(tx).await?;
        self.insert(tx, lane_id).await?;
        let (tests, shards) = (self.test_count(), self.shard_count());
        events::append(tx, &[NewEvent::admitted(self.run_id, tests, shards)]).await?;
        Ok(Admitted::New)
    }
}

async fn repeated(tx: &Tx<'_>, request_id: &Uuid, hash: &[u8]) -> Result<Admitted, StoreError> {
    let row = tx.query_one(sql::REQUESTS_FIND, &[request_id]).await?;
    let same = row.get::<_, &[u8]>("payload_hash") == hash;
    Ok(if same { Admitted::Repeated(RunId(row.get("run_id"))) } else { Admitted::Reused })
}

impl NewRun {
    pub(crate) fn test_count(&self) -> i32 {
        i32::try_from(self.tests.len()).unwrap_or(i32::MAX)
    }

    fn shard_count(&self) -> i32 {
        i32::try_from(self.shards.len()).unwrap_or(i32::MAX)
    }

    async fn lane(&self, tx: &Tx<'_>) -> Result<i64, StoreError> {
        let environment = format!("{}/{}", self.project, self.environment);
        tx.execute(sql::LANES_ENSURE_ORG, &[&self.org]).await?;
        let mut lane = tx.query_opt(sql::LANES_ENSURE, &[&self.org, &environment]).await?;
        if lane.is_none() {
            // Another admission made it since this statement's snapshot; the next one sees it.
            lane = tx.query_opt(sql::LANES_ENSURE, &[&self.org, &environment]).await?;
        }
        let lane = lane.ok_or(StoreError::Inconsistent { table: "lanes", column: "lane_id" })?;
        let lane_id: i64 = lane.get("lane_id");
        tx.execute(sql::LANES_ACTIVATE, &[&lane_id]).await?;
        Ok(lane_id)
    }

    async fn insert(&self, tx: &Tx<'_>, lane_id: i64) -> Result<(), StoreError> {
        tx.execute(
            sql::RUNS_INSERT,
            &[
                &self.run_id.0,
                &self.project,
                &self.environment,
                &self.options,
                &self.trigger,
                &self.test_count(),
                &self.shard_count(),
                &self.on_infra_failure,
            ],
        )
        .await?;
        let firsts: Vec<i32> = self.shards.iter().map(|s| signed(s.start)).collect();
        let counts: Vec<i32> = self.shards.iter().map(|s| signed(s.end - s.start)).collect();
        let test_ids: Vec<Uuid> = self.tests.iter().map(|t| t.test_id.0).collect();
        let hashes: Vec<&[u8]> = self.tests.iter().map(|t| t.revision_hash.as_slice()).collect();
        let names: Vec<&str> = self.tests.iter().map(|t| t.name.as_str()).collect();
        let files: Vec<&str> = self.tests.iter().map(|t| t.file.as_str()).collect();
        tx.execute(
            sql::SHARDS_INSERT,
            &[
                &self.run_id.0,
                &lane_id,
                &self.browser,
                &signed(self.workers),
                &firsts,
                &counts,
                &test_ids,
                &hashes,
                &names,
                &files,
            ],
        )
        .await?;
        Ok(())
    }
}

impl Store {
    /// Admits a planned run. Repeatable by its request id.
    pub(crate) async fn admit(&self, run: &NewRun) -> Result<Admitted, StoreError> {
        self.pool.transact(run).await
    }

    /// Returns what an earlier request with this id admitted, if there was one.
    pub(crate) async fn find_request(
        &self,
        request_id: Uuid,
        hash: &[u8],
    ) -> Result<Option<Admitted>, StoreError> {
        let row = self.pool.read().query_opt(sql::REQUESTS_FIND, &[&request_id]).await?;
        Ok(row.map(|row| {
            let same = row.get::<_, &[u8]>("payload_hash") == hash;
            if same { Admitted::Repeated(RunId(row.get("run_id"))) } else { Admitted::Reused }
        }))
    }

    /// Forgets requests older than 24 hours.
    pub(crate) async fn sweep_requests(&self) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::REQUESTS_SWEEP, &[]).await?;
        Ok(())
    }
}
