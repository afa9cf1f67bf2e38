//! The claim: shards to sessions, fairest lane first.
//!
//! Lock order: lane → shard, never the run: all that the claim tests is on the shard row.

use super::rows::{signed, unsigned};
use super::{StoreError, sql};
use gauntlet_core::limits::SHARD_TESTS_MAX;
use gauntlet_core::{LeaseId, RunId, SessionId};
use gauntlet_pg::{Flight, Row, Tx, params};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Lanes looked at in one claim.
const CLAIM_LANES_MAX: i64 = 8;
/// Shards locked per lane in one claim.
const CLAIM_SHARDS_MAX: i64 = 64;
/// Tests one reply may carry, so that it fits in a message.
const CLAIM_TESTS_MAX: u32 = SHARD_TESTS_MAX;
/// What a test is taken to last when nothing is known of it, in seconds of lane time.
const TEST_ESTIMATE_S: f64 = 5.0;

/// A session that waits for work.
#[derive(Debug, Clone)]
pub(crate) struct Claimer {
    pub(crate) session: SessionId,
    /// Slots free now.
    pub(crate) free_slots: u32,
    /// Slots in all: a shard that wants more workers costs them all.
    pub(crate) slots: u32,
    pub(crate) browsers: Vec<String>,
}

/// A shard that could be granted.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) run_id: RunId,
    pub(crate) shard_index: u32,
    pub(crate) browser: String,
    pub(crate) workers: u32,
    pub(crate) test_count: u32,
    /// Session that shall not get it.
    pub(crate) avoid: Option<SessionId>,
}

/// What is granted to whom. Its shards are locked.
pub(super) struct Assignment {
    pub(super) grants: Vec<(Candidate, SessionId)>,
    /// Lanes to charge, and with how much.
    charges: Vec<(i64, f64)>,
    /// Nothing was left that these claimers' browsers could take: only new work brings more.
    pub(super) is_all: bool,
}

/// Adds what locks the lanes with work for these claimers, fairest first.
pub(super) fn lock_lanes(flight: &mut Flight<'_>, claimers: &[Claimer]) {
    flight.add(sql::LANES_LOCK_NEXT, params![browsers(claimers), CLAIM_LANES_MAX]);
}

/// Begins the transaction with [`lock_lanes`].
pub(super) async fn begin_with_lanes(
    tx: &Tx<'_>,
    claimers: &[Claimer],
) -> Result<Vec<Row>, StoreError> {
    let lock: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&browsers(claimers), &CLAIM_LANES_MAX];
    let [lanes] = tx.begin_with([(sql::LANES_LOCK_NEXT, &lock)]).await?;
    Ok(lanes)
}

fn browsers(claimers: &[Claimer]) -> Vec<String> {
    let browsers: BTreeSet<&String> = claimers.iter().flat_map(|c| &c.browsers).collect();
    browsers.into_iter().cloned().collect()
}

/// Assigns what the claimers can take from locked lanes.
pub(super) async fn claim(
    tx: &Tx<'_>,
    claimers: &[Claimer],
    lanes: &[Row],
) -> Result<Assignment, StoreError> {
    let mut claimers = claimers.to_vec();
    let browsers = browsers(&claimers);
    let mut carried_tests = BTreeMap::new();
    let (mut grants, mut charges) = (Vec::new(), Vec::new());
    let mut is_all = (lanes.len() as i64) < CLAIM_LANES_MAX;
    for lane in lanes {
        if claimers.iter().all(|c| c.free_slots == 0) {
            is_all = false;
            break;
        }
        let lane_id: i64 = lane.get("lane_id");
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] =
            [&lane_id, &browsers, &CLAIM_SHARDS_MAX];
        let rows = tx.query(sql::SHARDS_LOCK_CLAIMABLE, &params).await?;
        let candidates: Vec<Candidate> = rows.iter().map(candidate_of).collect();
        let taken = assign(&mut claimers, &mut carried_tests, &candidates);
        is_all &= taken.len() == rows.len() && (rows.len() as i64) < CLAIM_SHARDS_MAX;
        let tests: u32 = taken.iter().map(|(c, _)| c.test_count).sum();
        if tests > 0 {
            charges.push((lane_id, f64::from(tests) * TEST_ESTIMATE_S));
        }
        grants.extend(taken);
    }
    Ok(Assignment { grants, charges, is_all })
}

impl Assignment {
    /// Charges the lanes and leases the shards; the last statement returns what [`grant_of`](crate::grants::grant_of) reads.
    /// `announce` says whether this transaction puts a run's grants into its log.
    pub(super) fn write(
        &self,
        flight: &mut Flight<'_>,
        announce: impl Fn(RunId) -> bool,
        fresh_lease_id: fn() -> LeaseId,
    ) {
        let (lanes, costs): (Vec<i64>, Vec<f64>) = self.charges.iter().copied().unzip();
        flight.add(sql::LANES_ADVANCE, params![lanes, costs]);
        macro_rules! column {
            ($pattern:pat => $value:expr) => {
                self.grants.iter().map(|$pattern| $value).collect::<Vec<_>>()
            };
        }
        flight.add(
            sql::SHARDS_GRANT,
            params![
                column!((c, _) => c.run_id.0),
                column!((c, _) => signed(c.shard_index)),
                column!((_, session) => session.0),
                column!(_ => fresh_lease_id().0),
                column!((c, _) => announce(c.run_id)),
            ],
        );
    }
}

fn candidate_of(row: &Row) -> Candidate {
    Candidate {
        run_id: RunId(row.get("run_id")),
        shard_index: unsigned(row.get("shard_index")),
        browser: row.get("browser"),
        workers: unsigned(row.get("workers")),
        test_count: unsigned(row.get("test_count")),
        avoid: row.get::<_, Option<Uuid>>("avoid_session").map(SessionId),
    }
}

/// Gives each candidate, in order, to the claimer with the most free slots that can take it, so that work spreads.
fn assign(
    claimers: &mut [Claimer],
    carried_tests: &mut BTreeMap<SessionId, u32>,
    candidates: &[Candidate],
) -> Vec<(Candidate, SessionId)> {
    let mut assigned = Vec::new();
    for candidate in candidates {
        let fits = |c: &&mut Claimer| {
            let carried = carried_tests.get(&c.session).copied().unwrap_or(0);
            c.browsers.contains(&candidate.browser)
                && candidate.avoid != Some(c.session)
                && c.free_slots >= candidate.workers.min(c.slots)
                && c.free_slots > 0
                && carried + candidate.test_count <= CLAIM_TESTS_MAX
        };
        if let Some(claimer) = claimers.iter_mut().filter(fits).max_by_key(|c| c.free_slots) {
            claimer.free_slots -= candidate.workers.min(claimer.slots);
            *carried_tests.entry(claimer.session).or_default() += candidate.test_count;
            assigned.push((candidate.clone(), claimer.session));
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimer(n: u128, free_slots: u32) -> Claimer {
        let browsers = vec!["chromium".to_owned()];
        Claimer { session: SessionId(Uuid::from_u128(n)), free_slots, slots: 4, browsers }
    }

    fn candidate(shard_index: u32, browser: &str, workers: u32) -> Candidate {
        let run_id = RunId(Uuid::from_u128(9));
        let browser = browser.into();
        Candidate { run_id, shard_index, browser, workers, test_count: 1, avoid: None }
    }

    #[test]
    fn work_spreads_over_executors_and_never_exceeds_their_slots() {
        let mut claimers = [claimer(1, 2), claimer(2, 2)];
        let candidates: Vec<_> = (0..6).map(|i| candidate(i, "chromium", 1)).collect();
        let assigned = assign(&mut claimers, &mut BTreeMap::new(), &candidates);
        let first = assigned.iter().filter(|(_, s)| s.0.as_u128() == 1).count();
        assert_eq!((assigned.len(), first), (4, 2));
    }

    #[test]
    fn a_shard_goes_only_where_its_browser_is() {
        let mut claimers = [claimer(1, 4)];
        let assigned = assign(&mut claimers, &mut BTreeMap::new(), &[candidate(0, "webkit", 1)]);
        assert!(assigned.is_empty());
    }

    #[test]
    fn a_deferred_shard_goes_to_another_session() {
        let mut claimers = [claimer(1, 4), claimer(2, 1)];
        let avoid = Some(claimers[0].session);
        let deferred = [Candidate { avoid, ..candidate(0, "chromium", 1) }];
        let assigned = assign(&mut claimers, &mut BTreeMap::new(), &deferred);
        assert_eq!(assigned[0].1, claimers[1].session);
    }

    #[test]
    fn a_shard_with_more_workers_than_slots_takes_the_whole_executor() {
        let mut claimers = [claimer(1, 4)];
        let candidates = [candidate(0, "chromium", 10), candidate(1, "chromium", 1)];
        let assigned = assign(&mut claimers, &mut BTreeMap::new(), &candidates);
        assert_eq!(assigned.len(), 1);
    }
}
