//! The transactions of results, each by itself: what `tests/interleave` steps through. Only with the feature `interleave`,
//! which no product has. Answers are texts, to be compared.

use crate::artifacts::{Artifacts, Folder};
use crate::store::{Charge, Entry, Fence, Judge, NewAttempt, Store};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_pg::{Pool, Statement};
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::Clock;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// What is done to content, to be stopped before as before a statement.
pub(crate) const READ: Statement = Statement { name: "contents/read", sql: "contents" };
pub(crate) const REMOVE: Statement = Statement { name: "contents/remove", sql: "DELETE contents" };
pub(crate) const PUT: Statement = Statement { name: "contents/put", sql: "INSERT contents" };
/// What these touch: no table.
pub const CONTENTS: &str = "contents";

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

    /// Opens a folder of artifacts, of which each run may keep so many bytes.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub async fn artifacts(&self, folder: &Path, budget_bytes: u64) -> io::Result<Shelf> {
        let folder = Folder::open(folder, &Clock::system()).await?;
        let (store, artifacts) = (self.store.clone(), Artifacts::Folder(folder));
        Ok(Shelf { store, artifacts, budget_bytes })
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

/// Runs single transactions of artifacts.
#[derive(Clone)]
pub struct Shelf {
    store: Store,
    artifacts: Artifacts,
    budget_bytes: u64,
}

impl Shelf {
    /// Charges a run for content: the first half of an upload.
    pub async fn charge(&self, run_id: RunId, content: &[u8], worth: i16) -> String {
        let hash = Sha256::digest(content);
        let (size_bytes, budget_bytes) = (content.len() as u64, self.budget_bytes);
        let charge = Charge { run_id, hash: &hash, size_bytes, worth, budget_bytes };
        format!("{:?}", self.store.charge_artifact(charge).await)
    }

    /// Puts content in its place and indexes it: the second half, of content that is wanted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn bring(&self, run_id: RunId, content: &[u8]) -> io::Result<String> {
        let hash = Sha256::digest(content);
        let mut writing = self.artifacts.write(&edge::hex(&hash)).await?;
        writing.append(content.to_vec()).await?;
        writing.finish(&hash).await?;
        let size_bytes = content.len() as i64;
        Ok(format!("{:?}", self.store.insert_artifact(run_id, &hash, 1, size_bytes).await))
    }

    /// Removes content that nobody names.
    pub async fn settle(&self) -> String {
        format!("{:?}", self.store.settle_artifacts(&self.artifacts).await)
    }

    /// Gives up, for their age, artifacts of runs before `before`.
    pub async fn expire(&self, before: RunId) -> String {
        format!("{:?}", self.store.expire_artifacts(before).await)
    }

    /// Makes content suspect that no row knows.
    pub async fn adopt(&self, content: &[u8]) -> String {
        let hash = Sha256::digest(content).to_vec();
        format!("{:?}", self.store.adopt_artifacts(&[hash]).await)
    }
}
