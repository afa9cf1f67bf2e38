//! The transactions of results, each by itself: what `tests/interleave` steps through. Only with the feature `interleave`,
//! which no product has. Answers are texts, to be compared.

use crate::store::{Entry, Fence, Judge, NewAttempt, Store};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_pg::Pool;
use gauntlet_proto::v1;
use prost::Message as _;
use std::collections::BTreeSet;

/// Runs single transactions of results.
#[derive(Clone)]
pub struct Transactions {
    store: Store,
}

impl Transactions {
    /// Returns transactions on a pool.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { store: Store::new(pool) }
    }

    /// Makes the partitions of today.
    pub async fn ensure_partitions(&self) {
        let ensured = self.store.ensure_partitions().await;
        assert!(ensured.is_ok(), "{ensured:?}");
    }

    /// Reports a passed test under the fence of each shard; what belongs to a run that is being sealed waits by itself, as in
    /// the group commit.
    pub async fn ingest(&self, run_id: RunId, shards: &[i32], epoch: i64) -> String {
        let passed = v1::AttemptOutcome::Passed as i16;
        let entry = |shard_index: &i32| Entry {
            fence: Fence { run_id, generation: 1, shard_index: *shard_index, epoch },
            attempts: vec![NewAttempt {
                ordinal: *shard_index,
                attempt: 1,
                outcome: passed,
                is_final: true,
                payload: Vec::new(),
            }],
            ordinals: vec![*shard_index],
            stop_after_failures: 0,
        };
        let entries: Vec<_> = shards.iter().map(entry).collect();
        let entered = match self.store.enter_batch(&entries).await {
            Ok(entered) => entered,
            Err(error) => return format!("{error:?}"),
        };
        let mut answers = Vec::new();
        for (entry, entered) in entries.iter().zip(entered) {
            answers.push(match entered {
                Some(entered) => Ok(entered),
                None => self.store.enter(entry).await,
            });
        }
        format!("{answers:?}")
    }

    /// Seals a generation and stores the verdict, as a finalizer of an epoch.
    pub async fn seal(&self, run_id: RunId, test_count: u32, finalizer_epoch: i64) -> String {
        let judge = |sealed: &Sealed| {
            v1::Verdict { digest: sealed.digest(), ..Default::default() }.encode_to_vec()
        };
        let judge = (finalizer_epoch, &judge as &Judge<'_>);
        let ending = Ending {
            generation: 1,
            test_count,
            planned: None,
            rest: Rest::Ended { errored: BTreeSet::new(), stopped: None },
        };
        let sealed = self.store.seal_and_judge(run_id, &ending, judge).await;
        format!("{:?}", sealed.map(|sealed| sealed.map(|sealed| sealed.tests)))
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
