//! Admission: planned runs become rows, as many as gathered, with one statement per table.
//!
//! Locks: the request ids that others use at the same time, then idle lanes in ascending id. All else is new rows.

use super::rows::{Quoted, array_literal, signed};
use super::{Store, StoreError, sql};
use gauntlet_core::{RunId, TestId};
use gauntlet_pg::{ToSql, Tx};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Lanes remembered at most; beyond that the cache starts over.
const LANES_MAX: usize = 10_000;

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
    /// Of its environment, sealed.
    pub(crate) secrets: Vec<u8>,
    pub(crate) trigger: Vec<u8>,
    pub(crate) traceparent: String,
    pub(crate) on_infra_failure: &'static str,
    pub(crate) run_timeout_s: Option<f64>,
    pub(crate) browser: &'static str,
    pub(crate) workers: u32,
    pub(crate) tests: Vec<SelectedTest>,
    pub(crate) shards: Vec<Range<u32>>,
    /// Id and payload hash of an idempotent request.
    pub(crate) request: Option<(Uuid, Vec<u8>)>,
}

/// What an admission came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// The run is new.
    New,
    /// The same request admitted this run before.
    Repeated(RunId),
    /// The request id was used with another payload.
    Reused,
}

impl NewRun {
    pub(crate) fn test_count(&self) -> i32 {
        i32::try_from(self.tests.len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn shard_count(&self) -> i32 {
        i32::try_from(self.shards.len()).unwrap_or(i32::MAX)
    }

    fn lane(&self) -> Lane {
        (self.org.clone(), format!("{}/{}", self.project, self.environment))
    }
}

/// Admits what was not admitted before; one answer for each, in order.
pub(super) async fn admit(
    tx: &Tx<'_>,
    store: &Store,
    runs: &[Arc<NewRun>],
) -> Result<Vec<Admitted>, StoreError> {
    let admitted = settle_requests(tx, runs).await?;
    let new: Vec<&NewRun> = runs
        .iter()
        .zip(&admitted)
        .filter(|(_, admitted)| **admitted == Admitted::New)
        .map(|(run, _)| run.as_ref())
        .collect();
    if !new.is_empty() {
        let lanes = store.lanes.ensure(tx, &new).await?;
        insert(tx, &new, &lanes).await?;
    }
    Ok(admitted)
}

async fn settle_requests(tx: &Tx<'_>, runs: &[Arc<NewRun>]) -> Result<Vec<Admitted>, StoreError> {
    let asked: Vec<(&Uuid, &[u8], Uuid)> = runs
        .iter()
        .filter_map(|run| {
            run.request.as_ref().map(|(id, hash)| (id, hash.as_slice(), run.run_id.0))
        })
        .collect();
    if asked.is_empty() {
        return Ok(vec![Admitted::New; runs.len()]);
    }
    let ids: Vec<Uuid> = asked.iter().map(|(id, ..)| **id).collect();
    let hashes: Vec<&[u8]> = asked.iter().map(|(_, hash, _)| *hash).collect();
    let run_ids: Vec<Uuid> = asked.iter().map(|(.., run)| *run).collect();
    let inserted = tx.query(sql::REQUESTS_INSERT, &[&ids, &hashes, &run_ids]).await?;
    let inserted: HashSet<Uuid> = inserted.iter().map(|row| row.get("run_id")).collect();
    let earlier = if inserted.len() == asked.len() {
        HashMap::new()
    } else {
        requests(&tx.query(sql::REQUESTS_FIND, &[&ids]).await?)
    };
    let settle = |run: &Arc<NewRun>| match &run.request {
        Some((id, hash)) if !inserted.contains(&run.run_id.0) => {
            earlier.get(id).map_or(Admitted::Reused, |earlier| repeated(earlier, hash))
        }
        Some(_) | None => Admitted::New,
    };
    Ok(runs.iter().map(settle).collect())
}

type Earlier = (Vec<u8>, RunId);

fn requests(rows: &[gauntlet_pg::Row]) -> HashMap<Uuid, Earlier> {
    let entry = |row: &gauntlet_pg::Row| {
        (row.get("request_id"), (row.get("payload_hash"), RunId(row.get("run_id"))))
    };
    rows.iter().map(entry).collect()
}

fn repeated((hash, run_id): &Earlier, asked: &[u8]) -> Admitted {
    if hash == asked { Admitted::Repeated(*run_id) } else { Admitted::Reused }
}

/// Writes the runs and their shards; the lanes that were idle are locked first.
async fn insert(
    tx: &Tx<'_>,
    runs: &[&NewRun],
    lanes: &HashMap<Lane, i64>,
) -> Result<(), StoreError> {
    let mut shards = Vec::new();
    for run in runs {
        let lane = lanes.get(&run.lane()).copied();
        let lane = lane.ok_or(StoreError::Inconsistent { table: "lanes", column: "lane_id" })?;
        for (index, range) in (0_i32..).zip(&run.shards) {
            let tests = range.start as usize..range.end as usize;
            shards.push((*run, index, lane, range.clone(), &run.tests[tests]));
        }
    }
    macro_rules! column {
        ($rows:ident, $pattern:pat => $value:expr) => {
            $rows.iter().map(|$pattern| $value).collect::<Vec<_>>()
        };
    }
    let lane_ids: BTreeSet<i64> = lanes.values().copied().collect();
    let lane_ids: Vec<i64> = lane_ids.into_iter().collect();
    let insert_runs: [&(dyn ToSql + Sync); 11] = [
        &column!(runs, run => run.run_id.0),
        &column!(runs, run => run.project.as_str()),
        &column!(runs, run => run.environment.as_str()),
        &column!(runs, run => run.options.as_slice()),
        &column!(runs, run => run.trigger.as_slice()),
        &column!(runs, run => run.traceparent.as_str()),
        &column!(runs, run => run.test_count()),
        &column!(runs, run => run.shard_count()),
        &column!(runs, run => run.on_infra_failure),
        &column!(runs, run => run.run_timeout_s),
        &column!(runs, run => run.secrets.as_slice()),
    ];
    let insert_shards: [&(dyn ToSql + Sync); 10] = [
        &column!(shards, (run, ..) => run.run_id.0),
        &column!(shards, (_, index, ..) => *index),
        &column!(shards, (_, _, lane, ..) => *lane),
        &column!(shards, (run, ..) => run.browser),
        &column!(shards, (run, ..) => signed(run.workers)),
        &column!(shards, (_, _, _, range, _) => array_literal(range.clone())),
        &column!(shards, (.., tests) => array_literal(tests.iter().map(|t| t.test_id.0))),
        &column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Bytea(&t.revision_hash)))),
        &column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Quoted(&t.name)))),
        &column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Quoted(&t.file)))),
    ];
    tx.pipeline([
        (sql::LANES_ACTIVATE, &[&lane_ids]),
        (sql::RUNS_INSERT, &insert_runs),
        (sql::SHARDS_INSERT, &insert_shards),
    ])
    .await?;
    Ok(())
}

/// Bytes as an element of an array literal.
struct Bytea<'a>(&'a [u8]);

impl std::fmt::Display for Bytea<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"\\\\x{}\"", gauntlet_proto::edge::hex(self.0))
    }
}

/// Org and "project/environment".
type Lane = (String, String);

/// Ids of lanes, which never change.
#[derive(Default)]
pub(crate) struct LaneCache(Mutex<HashMap<Lane, i64>>);

impl LaneCache {
    /// Returns the lanes of the runs; makes those that are not there. Lanes that this transaction made are remembered only
    /// when they are met again: it may be rolled back.
    async fn ensure(
        &self,
        tx: &Tx<'_>,
        runs: &[&NewRun],
    ) -> Result<HashMap<Lane, i64>, StoreError> {
        let wanted: BTreeSet<Lane> = runs.iter().map(|run| run.lane()).collect();
        let known = self.known(&wanted);
        if known.len() == wanted.len() {
            return Ok(known);
        }
        let (orgs, environments): (Vec<&str>, Vec<&str>) =
            wanted.iter().map(|(org, environment)| (org.as_str(), environment.as_str())).unzip();
        let made = tx.execute(sql::LANES_ENSURE, &[&orgs, &environments]).await?;
        let rows = tx.query(sql::LANES_FIND, &[&orgs, &environments]).await?;
        let lane =
            |row: &gauntlet_pg::Row| ((row.get("org"), row.get("environment")), row.get("lane_id"));
        let found: HashMap<Lane, i64> = rows.iter().map(lane).collect();
        if made == 0 {
            self.remember(&found);
        }
        Ok(found)
    }

    fn known(&self, wanted: &BTreeSet<Lane>) -> HashMap<Lane, i64> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().filter_map(|lane| Some((lane.clone(), *cache.get(lane)?))).collect()
    }

    fn remember(&self, found: &HashMap<Lane, i64>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() + found.len() > LANES_MAX {
            cache.clear();
        }
        cache.extend(found.iter().map(|(lane, id)| (lane.clone(), *id)));
    }
}

impl Store {
    /// Returns what an earlier request with this id admitted, if there was one.
    pub(crate) async fn find_request(
        &self,
        request_id: Uuid,
        hash: &[u8],
    ) -> Result<Option<Admitted>, StoreError> {
        let rows = self.pool.read().query(sql::REQUESTS_FIND, &[&vec![request_id]]).await?;
        Ok(requests(&rows).get(&request_id).map(|earlier| repeated(earlier, hash)))
    }

    /// Forgets requests older than 24 hours.
    pub(crate) async fn sweep_requests(&self) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::REQUESTS_SWEEP, &[]).await?;
        Ok(())
    }
}
