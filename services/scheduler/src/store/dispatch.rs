//! Admissions and grants in one transaction: what was admitted may start at once.
//!
//! Lock order: idle lanes of the admitted, then lanes → shards of the claim, feed lanes last; never a run that others know.
//! A crash before the commit admits and grants nothing; after it only replies are lost: a trigger is repeated by its request
//! id, a grant turns up as unnamed at the session's next beat and costs no attempt.

use super::admit::{Admitted, NewRun, admit};
use super::claim::{Claimer, claim};
use super::{Store, StoreError, sql};
use crate::events::{self, Context, NewEvent};
use crate::grants::Grant;
use gauntlet_core::protocol::Event;
use gauntlet_core::{LeaseId, RunId};
use gauntlet_pg::{Transaction, Tx};
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
}

impl Transaction for Dispatch<'_> {
    const LABEL: &'static str = "dispatch";
    type Output = Dispatched;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Dispatched, StoreError> {
        let admitted = admit(tx, self.store, self.runs).await?;
        let new: BTreeMap<RunId, &NewRun> = self
            .runs
            .iter()
            .zip(&admitted)
            .filter(|(_, admitted)| **admitted == Admitted::New)
            .map(|(run, _)| (run.run_id, run.as_ref()))
            .collect();
        let grants = if self.claimers.is_empty() {
            Vec::new()
        } else {
            claim(tx, self.claimers, |run| new.contains_key(&run), self.fresh_lease_id).await?
        };
        let announced = |grant: Grant| {
            let announced = new.contains_key(&grant.run_id);
            (grant, announced)
        };
        let grants: Vec<(Grant, bool)> = grants.into_iter().map(announced).collect();
        self.log(tx, &new, &grants).await?;
        Ok(Dispatched { admitted, grants })
    }
}

impl Dispatch<'_> {
    /// Writes the first events of the new runs; those with a grant are running.
    async fn log(
        &self,
        tx: &Tx<'_>,
        new: &BTreeMap<RunId, &NewRun>,
        grants: &[(Grant, bool)],
    ) -> Result<(), StoreError> {
        if new.is_empty() {
            return Ok(());
        }
        let mut granted: BTreeMap<RunId, Vec<&Grant>> = BTreeMap::new();
        for (grant, _) in grants.iter().filter(|(_, announced)| *announced) {
            granted.entry(grant.run_id).or_default().push(grant);
        }
        if !granted.is_empty() {
            let runs: Vec<Uuid> = granted.keys().map(|run| run.0).collect();
            let counts: Vec<i32> =
                granted.values().map(|grants| i32::try_from(grants.len()).unwrap_or(0)).collect();
            tx.execute(sql::RUNS_START, &[&runs, &counts]).await?;
        }
        let sessions: BTreeSet<_> = granted.values().flatten().map(|grant| grant.session).collect();
        let names = self.store.session_names(tx, &sessions).await?;
        let mut log = Vec::new();
        for (run_id, run) in new {
            log.push(NewEvent::admitted(*run_id, run.test_count(), run.shard_count()));
            let grants = granted.get(run_id).map(Vec::as_slice).unwrap_or_default();
            log.extend(
                (2_u64..)
                    .zip(grants)
                    .map(|(revision, grant)| started(*run_id, revision, grant, run, &names)),
            );
        }
        events::append(tx, &log).await
    }
}

fn started(
    run_id: RunId,
    revision: u64,
    grant: &Grant,
    run: &NewRun,
    names: &HashMap<gauntlet_core::SessionId, String>,
) -> NewEvent {
    let Grant { shard_index, epoch, session, .. } = *grant;
    let event = Event::ShardGranted { shard_index, epoch, session };
    let context = Context {
        names,
        test_count: run.test_count(),
        trigger: &run.trigger,
        traceparent: &run.traceparent,
        verdict: None,
    };
    NewEvent::of(run_id, 1, revision, &event, &context)
}
