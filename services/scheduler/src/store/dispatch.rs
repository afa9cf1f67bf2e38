//! Admissions and grants in one transaction: what was admitted may start at once.
//!
//! Lock order: idle lanes of the admitted, then lanes → shards of the claim, feed lanes last; never a run that others know.
//! A crash before the commit admits and grants nothing; after it only replies are lost: a trigger is repeated by its request
//! id, a grant turns up as unnamed at the session's next beat and costs no attempt.

use super::admit::{Admitted, NewRun, admit};
use super::claim::{Candidate, Claimer, begin_with_lanes, claim};
use super::{Store, StoreError, sql};
use crate::events::{self, Context, NewEvent};
use crate::grants::{Grant, grant_of};
use gauntlet_core::protocol::Event;
use gauntlet_core::{LeaseEpoch, LeaseId, RunId, SessionId};
use gauntlet_pg::{Flight, Row, Transaction, Tx, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Admits runs and grants shards to sessions that wait.
pub(crate) struct Dispatch<'a> {
    pub(crate) store: &'a Store,
    pub(crate) runs: &'a [Arc<NewRun>],
    pub(crate) claimers: &'a [Claimer],
    pub(crate) fresh_lease_id: fn() -> LeaseId,
}

/// What a dispatch came to.
pub(crate) struct Dispatched {
    /// One for each run, in order.
    pub(crate) admitted: Vec<Admitted>,
    /// Grants, and whether each is in its run's log already.
    pub(crate) grants: Vec<(Grant, bool)>,
    /// Nothing was left that the claimers' browsers could take.
    pub(crate) is_all: bool,
}

impl Transaction for Dispatch<'_> {
    const LABEL: &'static str = "dispatch";
    type Output = Dispatched;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Dispatched, StoreError> {
        let (admitted, lanes) = self.open(tx).await?;
        let new: BTreeMap<RunId, &NewRun> = self
            .runs
            .iter()
            .zip(&admitted)
            .filter(|(_, admitted)| **admitted == Admitted::New)
            .map(|(run, _)| (run.run_id, run.as_ref()))
            .collect();
        let assigned = claim(tx, self.claimers, &lanes).await?;
        let is_new = |run| new.contains_key(&run);
        let mut flight = Flight::default();
        // First, so that its answer is found.
        if !assigned.grants.is_empty() {
            assigned.write(&mut flight, is_new, self.fresh_lease_id);
        }
        self.log(tx, &mut flight, &new, &assigned.grants).await?;
        let answers = tx.commit_with(&flight).await?;
        let granted = if assigned.grants.is_empty() { None } else { answers.get(1) };
        let grant = |row| grant_of(row).map(|grant| (is_new(grant.run_id), grant));
        let grants = granted.into_iter().flatten().map(grant);
        let grants = grants.map(|grant| grant.map(|(announced, grant)| (grant, announced)));
        let grants = grants.collect::<Result<_, _>>()?;
        Ok(Dispatched { admitted, grants, is_all: assigned.is_all })
    }
}

impl Dispatch<'_> {
    /// Admits, and returns the locked lanes to claim from.
    async fn open(&self, tx: &Tx<'_>) -> Result<(Vec<Admitted>, Vec<Row>), StoreError> {
        if self.runs.is_empty() {
            return Ok((Vec::new(), begin_with_lanes(tx, self.claimers).await?));
        }
        admit(tx, self.store, self.runs, self.claimers).await
    }

    /// Writes the first events of the new runs; those with a grant are running.
    async fn log(
        &self,
        tx: &Tx<'_>,
        flight: &mut Flight<'_>,
        new: &BTreeMap<RunId, &NewRun>,
        grants: &[(Candidate, SessionId)],
    ) -> Result<(), StoreError> {
        if new.is_empty() {
            return Ok(());
        }
        let mut granted: BTreeMap<RunId, Vec<&(Candidate, SessionId)>> = BTreeMap::new();
        for grant in grants.iter().filter(|(shard, _)| new.contains_key(&shard.run_id)) {
            granted.entry(grant.0.run_id).or_default().push(grant);
        }
        if !granted.is_empty() {
            let runs: Vec<Uuid> = granted.keys().map(|run| run.0).collect();
            let counts: Vec<i32> =
                granted.values().map(|grants| i32::try_from(grants.len()).unwrap_or(0)).collect();
            flight.add(sql::RUNS_START, params![runs, counts]);
        }
        let sessions: BTreeSet<_> = granted.values().flatten().map(|grant| grant.1).collect();
        let names = self.store.session_names(tx, &sessions).await?;
        let mut log = Vec::new();
        for (run_id, run) in new {
            log.push(NewEvent::admitted(*run_id, run.test_count(), run.shard_count()));
            let grants = granted.get(run_id).map(Vec::as_slice).unwrap_or_default();
            log.extend((2_u64..).zip(grants).map(|(revision, (shard, session))| {
                started(*run_id, revision, shard.shard_index, *session, run, &names)
            }));
        }
        events::append(flight, &log);
        Ok(())
    }
}

fn started(
    run_id: RunId,
    revision: u64,
    shard_index: u32,
    session: SessionId,
    run: &NewRun,
    names: &HashMap<SessionId, String>,
) -> NewEvent {
    // It is the first grant of a new shard.
    let event = Event::ShardGranted { shard_index, epoch: LeaseEpoch(1), session };
    let context = Context {
        names,
        test_count: run.test_count(),
        trigger: &run.trigger,
        traceparent: &run.traceparent,
        verdict: None,
    };
    NewEvent::of(run_id, 1, revision, &event, &context)
}
