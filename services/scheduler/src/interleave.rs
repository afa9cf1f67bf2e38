//! The transactions of the protocol, each by itself: what `tests/interleave` steps through. Only with the feature
//! `interleave`, which no product has.
//!
//! The transactions are those that the loops run, with one command in the batch. Answers are texts, to be compared.

use crate::store::Store;
use crate::store::admit::{NewRun, SelectedTest};
use crate::store::apply::{ApplyBatch, Item};
use crate::store::claim::Claimer;
use crate::store::dispatch::{Dispatch, Dispatched};
use crate::store::sessions::{Held, NewSession, Renewed};
use gauntlet_core::limits::PROTOCOL_VERSION;
use gauntlet_core::protocol::{Command, Running};
use gauntlet_core::{LeaseEpoch, LeaseId, RunId, SessionId, TestId};
use gauntlet_pg::Pool;
use gauntlet_proto::v1;
use gauntlet_runtime::ids;
use prost::Message as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

const BROWSER: &str = "chromium";

/// Runs single transactions of the scheduler.
#[derive(Clone)]
pub struct Transactions {
    store: Store,
}

impl Transactions {
    /// Returns transactions on a pool, which remember nothing of earlier ones.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { store: Store::new(pool) }
    }

    /// Opens a session of one browser.
    pub async fn open_session(&self, session: SessionId, slots: u32) {
        let new = NewSession {
            session,
            name: session.to_string(),
            browsers: vec![BROWSER.to_owned()],
            slots,
            protocol_version: PROTOCOL_VERSION as i32,
            attributes: Vec::new(),
        };
        let opened = self.store.open_session(&new).await;
        assert!(matches!(opened, Ok(true)), "{opened:?}");
    }

    /// Admits runs, each with its environment, of `shard_count` shards with a test each.
    pub async fn admit(&self, runs: &[(RunId, &str)], shard_count: u32) -> String {
        let test = |n: u32| SelectedTest {
            test_id: TestId(Uuid::from_u128(u128::from(n))),
            file: String::new(),
            name: n.to_string(),
            revision_hash: vec![0; 32],
            approved: true,
            refusal: None,
        };
        let run = |(run_id, environment): &(RunId, &str)| NewRun {
            run_id: *run_id,
            org: "default".to_owned(),
            project: "p".to_owned(),
            environment: (*environment).to_owned(),
            options: v1::RunOptions::default().encode_to_vec(),
            secrets: Vec::new(),
            trigger: v1::Trigger::default().encode_to_vec(),
            traceparent: String::new(),
            on_infra_failure: "CONTINUE",
            run_timeout_s: None,
            browser: BROWSER.to_owned(),
            workers: 1,
            tests: (0..shard_count).map(test).collect(),
            shards: (0..shard_count).map(|n| n..n + 1).collect(),
            request: Some((run_id.0, vec![1])),
        };
        let runs: Vec<_> = runs.iter().map(|new| Arc::new(run(new))).collect();
        self.dispatch(&runs, &[]).await
    }

    /// Claims for one session; returns what it got.
    pub async fn claim(&self, session: SessionId, free_slots: u32) -> String {
        let browsers = vec![BROWSER.to_owned()];
        self.dispatch(&[], &[Claimer { session, free_slots, slots: free_slots, browsers }]).await
    }

    async fn dispatch(&self, runs: &[Arc<NewRun>], claimers: &[Claimer]) -> String {
        let fresh_lease_id = || LeaseId(ids::v4());
        let dispatch = Dispatch { store: &self.store, runs, claimers, fresh_lease_id };
        match self.store.pool.transact(&dispatch).await {
            Ok(Dispatched { admitted, grants, .. }) => {
                let grants = grants.iter();
                let grants = grants.map(|(g, _)| (g.run_id, g.shard_index, g.epoch));
                format!("{admitted:?} {:?}", grants.collect::<Vec<_>>())
            }
            Err(error) => format!("{error:?}"),
        }
    }

    /// Renews a session that runs the first test of each lease it names.
    pub async fn renew(&self, session: SessionId, leases: &[(RunId, u32, LeaseEpoch)]) -> String {
        let held = leases.iter().map(|(run_id, shard_index, epoch)| Held {
            run_id: *run_id,
            shard_index: *shard_index,
            epoch: *epoch,
            running: vec![Running { ordinal: *shard_index, attempt: 1, step: Some(0) }],
        });
        match self.store.renew_session(session, &held.collect::<Vec<_>>(), false).await {
            Ok(None) => "no such session".to_owned(),
            Ok(Some(beat)) => {
                let lease = |l: &Renewed| (l.held.shard_index, l.lost, l.cancelled);
                // In no order: each names its lease.
                let leases: BTreeSet<_> = beat.leases.iter().map(lease).collect();
                let unnamed = beat.unnamed.iter().map(|g| (g.run_id, g.shard_index, g.epoch));
                format!("{leases:?} {:?}", unnamed.collect::<Vec<_>>())
            }
            Err(error) => format!("{error:?}"),
        }
    }

    /// Applies commands of the protocol, each to a run or one of its shards.
    pub async fn apply(&self, commands: Vec<(RunId, Option<u32>, Command)>) -> String {
        let verdict = v1::Verdict { digest: "d".to_owned(), ..Default::default() };
        let item = |(run_id, shard_index, command)| {
            let verdict = matches!(command, Command::Close { .. }).then(|| verdict.encode_to_vec());
            Item { run_id, shard_index, command, verdict }
        };
        let items: Vec<_> = commands.into_iter().map(item).collect();
        let batch = ApplyBatch { store: &self.store, items: &items };
        format!("{:?}", self.store.pool.transact(&batch).await)
    }

    /// Returns which invariants the runs break, and how.
    pub async fn audit(&self, runs: &[RunId]) -> Vec<String> {
        let runs: Vec<_> = runs.iter().map(|run| run.0).collect();
        match gauntlet_audit::audit(&self.store, &runs).await {
            Ok(found) => found.iter().map(|finding| format!("{finding:?}")).collect(),
            Err(error) => vec![format!("{error:?}")],
        }
    }
}
