//! Admission: planned runs become rows, as many as gathered, with one statement per table.
//!
//! Locks: orgs and lanes that are new, by name, then the request ids that others use at the same time, then idle lanes in
//! ascending id. All else is new rows.

use super::claim::{Claimer, lock_lanes};
use super::rows::{Quoted, array_literal, signed};
use super::{Store, StoreError, sql};
use gauntlet_core::{RunId, TestId};
use gauntlet_pg::{Flight, Row, Tx, params};
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
    /// What the run's browser cannot do of it, if there is anything.
    pub(crate) refusal: Option<String>,
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
    pub(crate) browser: String,
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

/// Admits what was not admitted before, one answer for each run in order; and, in the same flight, locks the lanes that the
/// claimers may take from.
pub(super) async fn admit(
    tx: &Tx<'_>,
    store: &Store,
    runs: &[Arc<NewRun>],
    claimers: &[Claimer],
) -> Result<(Vec<Admitted>, Vec<Row>), StoreError> {
    let lanes = store.lanes.ensure(tx, runs).await?;
    let requests = requests_of(runs);
    let mut flight = Flight::default();
    if !requests.is_empty() {
        flight.add(
            sql::REQUESTS_INSERT,
            params![
                requests.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
                requests.iter().map(|(_, hash, _)| *hash).collect::<Vec<_>>(),
                requests.iter().map(|(.., run)| run.0).collect::<Vec<_>>(),
            ],
        );
    }
    insert(&mut flight, runs, &lanes)?;
    let claiming = !claimers.is_empty();
    if claiming {
        lock_lanes(&mut flight, claimers);
    }
    let mut answers = tx.send(&flight).await?;
    let rows = if claiming { answers.pop().unwrap_or_default() } else { Vec::new() };
    let inserted = answers.first().map(Vec::as_slice).unwrap_or_default();
    if requests.is_empty() || inserted.len() == requests.len() {
        return Ok((vec![Admitted::New; runs.len()], rows));
    }
    let inserted: HashSet<Uuid> = inserted.iter().map(|row| row.get("run_id")).collect();
    Ok((take_back(tx, runs, &inserted).await?, rows))
}

/// Id, payload hash and run of each idempotent request.
fn requests_of(runs: &[Arc<NewRun>]) -> Vec<(Uuid, &[u8], RunId)> {
    let asked = runs.iter().filter_map(|run| Some((run.request.as_ref()?, run.run_id)));
    asked.map(|((id, hash), run_id)| (*id, hash.as_slice(), run_id)).collect()
}

/// Removes the runs whose requests admitted others before. That happens only when the same request arrives twice at the same
/// time, so everybody else is spared a round trip.
async fn take_back(
    tx: &Tx<'_>,
    runs: &[Arc<NewRun>],
    inserted: &HashSet<Uuid>,
) -> Result<Vec<Admitted>, StoreError> {
    let is_repeat = |run: &&Arc<NewRun>| run.request.is_some() && !inserted.contains(&run.run_id.0);
    let repeats = || runs.iter().filter(is_repeat);
    let run_ids: Vec<Uuid> = repeats().map(|run| run.run_id.0).collect();
    let ids: Vec<Uuid> = repeats().filter_map(|run| Some(run.request.as_ref()?.0)).collect();
    let [.., earlier] = tx
        .pipeline([
            (sql::SHARDS_TAKE_BACK, &[&run_ids]),
            (sql::RUNS_TAKE_BACK, &[&run_ids]),
            (sql::REQUESTS_FIND, &[&ids]),
        ])
        .await?;
    let earlier = requests(&earlier);
    let settle = |run: &Arc<NewRun>| match &run.request {
        Some((id, hash)) if !inserted.contains(&run.run_id.0) => {
            earlier.get(id).map_or(Admitted::Reused, |earlier| repeated(earlier, hash))
        }
        Some(_) | None => Admitted::New,
    };
    Ok(runs.iter().map(settle).collect())
}

type Earlier = (Vec<u8>, RunId);

fn requests(rows: &[Row]) -> HashMap<Uuid, Earlier> {
    let entry =
        |row: &Row| (row.get("request_id"), (row.get("payload_hash"), RunId(row.get("run_id"))));
    rows.iter().map(entry).collect()
}

fn repeated((hash, run_id): &Earlier, asked: &[u8]) -> Admitted {
    if hash == asked { Admitted::Repeated(*run_id) } else { Admitted::Reused }
}

/// Writes the runs and their shards; the lanes that were idle are locked first.
fn insert<'a>(
    flight: &mut Flight<'a>,
    runs: &'a [Arc<NewRun>],
    lanes: &HashMap<Lane, i64>,
) -> Result<(), StoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    let mut shards = Vec::new();
    for run in runs {
        let lane = lanes.get(&run.lane()).copied();
        let lane = lane.ok_or(StoreError::Inconsistent { table: "lanes", column: "lane_id" })?;
        for (index, range) in (0_i32..).zip(&run.shards) {
            let tests = range.start as usize..range.end as usize;
            shards.push((run, index, lane, range.clone(), &run.tests[tests]));
        }
    }
    macro_rules! column {
        ($rows:ident, $pattern:pat => $value:expr) => {
            $rows.iter().map(|$pattern| $value).collect::<Vec<_>>()
        };
    }
    let lane_ids: BTreeSet<i64> = lanes.values().copied().collect();
    flight.add(sql::LANES_ACTIVATE, params![lane_ids.into_iter().collect::<Vec<_>>()]);
    flight.add(
        sql::RUNS_INSERT,
        params![
            column!(runs, run => run.run_id.0),
            column!(runs, run => run.project.as_str()),
            column!(runs, run => run.environment.as_str()),
            column!(runs, run => run.options.as_slice()),
            column!(runs, run => run.trigger.as_slice()),
            column!(runs, run => run.traceparent.as_str()),
            column!(runs, run => run.test_count()),
            column!(runs, run => run.shard_count()),
            column!(runs, run => run.on_infra_failure),
            column!(runs, run => run.run_timeout_s),
            column!(runs, run => run.secrets.as_slice()),
        ],
    );
    flight.add(
        sql::SHARDS_INSERT,
        params![
            column!(shards, (run, ..) => run.run_id.0),
            column!(shards, (_, index, ..) => *index),
            column!(shards, (_, _, lane, ..) => *lane),
            column!(shards, (run, ..) => run.browser.as_str()),
            column!(shards, (run, ..) => signed(run.workers)),
            column!(shards, (_, _, _, range, _) => array_literal(range.clone())),
            column!(shards, (.., tests) => array_literal(tests.iter().map(|t| t.test_id.0))),
            column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Bytea(&t.revision_hash)))),
            column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Quoted(&t.name)))),
            column!(shards, (.., tests) => array_literal(tests.iter().map(|t| Quoted(&t.file)))),
        ],
    );
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
        runs: &[Arc<NewRun>],
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
        let lane = |row: &Row| ((row.get("org"), row.get("environment")), row.get("lane_id"));
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
