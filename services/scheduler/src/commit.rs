//! Group commit: one loop turns the commands of all callers into few transactions.
//!
//! While one commit flushes, the next batch gathers. A caller waits for the commit that holds its command: an answer means
//! durable. A crash here loses commands that were not answered; every caller repeats. The queue is bounded: a full one makes
//! callers wait, which is the back-pressure.

use crate::store::apply::{Applied, ApplyBatch, Item};
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_bus::Bus;
use gauntlet_core::RunId;
use gauntlet_core::protocol::{Command, Outcome};
use gauntlet_pg::PgError;
use gauntlet_runtime::Lifecycle;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Commands of one transaction.
const BATCH_ITEMS_MAX: usize = 256;
/// Commands waiting for a batch.
const QUEUE_ITEMS_MAX: usize = 4_096;

type Reply = Result<Applied, StoreError>;

/// Sends commands to the loop. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<(Item, oneshot::Sender<Reply>)>,
}

/// The scheduler is draining and takes no more commands.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CommitError {
    /// The loop has ended.
    #[error("the scheduler is draining")]
    Draining,
    /// The transaction failed.
    #[error("the command was not committed")]
    Store(#[source] StoreError),
}

impl Committer {
    /// Starts the loop. It ends when every sender is gone.
    pub(crate) fn start(store: Store, wake: Arc<Wake>, bus: Bus, lifecycle: &Lifecycle) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE_ITEMS_MAX);
        let told = Told { wake, bus, lifecycle: lifecycle.clone() };
        lifecycle.spawn("commit", run(store, told, commands));
        Self { queue }
    }

    /// Commits a command about a run, or about one of its shards.
    pub(crate) async fn commit(
        &self,
        run_id: RunId,
        shard_index: Option<u32>,
        command: Command,
    ) -> Result<Applied, CommitError> {
        self.send(Item { run_id, shard_index, command, verdict: None }).await
    }

    /// Commits an item.
    pub(crate) async fn send(&self, item: Item) -> Result<Applied, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send((item, reply)).await.map_err(|_| CommitError::Draining)?;
        answer.await.map_err(|_| CommitError::Draining)?.map_err(CommitError::Store)
    }
}

/// Who is told of what was committed.
struct Told {
    wake: Arc<Wake>,
    bus: Bus,
    lifecycle: Lifecycle,
}

impl Told {
    fn tell(&self, item: &Item, answer: &Reply) {
        let Ok(Applied::Decided { outcome, revision, cancelled }) = answer else { return };
        wake_for(&self.wake, item, outcome);
        if *cancelled {
            // After the row, and only a hint: one that is lost costs a beat, never the abort (C3).
            let hint = self.bus.hint(item.run_id.0, i64::try_from(*revision).unwrap_or(i64::MAX));
            let bus = self.bus.clone();
            self.lifecycle.spawn("abort_hint", async move { bus.publish(hint).await });
        }
    }
}

async fn run(
    store: Store,
    told: Told,
    mut commands: mpsc::Receiver<(Item, oneshot::Sender<Reply>)>,
) {
    let mut batch = Vec::with_capacity(BATCH_ITEMS_MAX);
    while commands.recv_many(&mut batch, BATCH_ITEMS_MAX).await > 0 {
        let (items, replies): (Vec<Item>, Vec<_>) = batch.drain(..).unzip();
        let answers = apply(&store, &items).await;
        for answer in items.iter().zip(&answers) {
            told.tell(answer.0, answer.1);
        }
        for (reply, answer) in replies.into_iter().zip(answers) {
            // A caller that went away repeats its command and is told what happened.
            let _ = reply.send(answer);
        }
    }
}

/// Applies a batch; one bad command does not fail its neighbours.
async fn apply(store: &Store, items: &[Item]) -> Vec<Reply> {
    let failed = match store.pool.transact(&ApplyBatch { store, items }).await {
        Ok(answers) => return answers,
        Err(failed) => failed,
    };
    if items.len() == 1 || !is_about_one_command(&failed) {
        return items.iter().map(|_| Err(failed.clone())).collect();
    }
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        let alone = ApplyBatch { store, items: std::slice::from_ref(item) };
        let answer = store.pool.transact(&alone).await;
        answers.push(answer.and_then(|mut one| one.pop().unwrap_or(Ok(Applied::NotFound))));
    }
    answers
}

/// Returns whether the failure was caused by some command of the batch, not by the store being away.
pub(crate) fn is_about_one_command(error: &StoreError) -> bool {
    match error {
        StoreError::Pg(error) => match **error {
            PgError::UniqueViolation { .. }
            | PgError::CheckViolation { .. }
            | PgError::Other { .. } => true,
            PgError::Unavailable { .. }
            | PgError::Conflict { .. }
            | PgError::OutcomeUnknown { .. } => false,
        },
        StoreError::Inconsistent { .. } | StoreError::NoSuchTests | StoreError::Illegal(_) => true,
    }
}

fn wake_for(wake: &Wake, item: &Item, outcome: &Outcome) {
    match outcome {
        Outcome::Requeued => {
            wake.run_changed(item.run_id, false);
            wake.work();
            wake.finalization();
        }
        Outcome::Counted { elected: Some(claim), .. } | Outcome::Stopped { elected: claim } => {
            wake.run_changed(item.run_id, false);
            if claim.replica.is_none() {
                wake.finalization();
            }
        }
        // Deferred tests may be among them.
        Outcome::Counted { elected: None, .. } | Outcome::Retried => {
            wake.run_changed(item.run_id, false);
            wake.work();
        }
        Outcome::Granted | Outcome::FinalizerElected(_) => wake.run_changed(item.run_id, false),
        Outcome::Closed => wake.run_changed(item.run_id, true),
        Outcome::Unchanged
        | Outcome::Duplicate
        | Outcome::LeaseLost
        | Outcome::RunClosed
        | Outcome::AlreadyClosed
        | Outcome::AlreadyAborted
        | Outcome::AlreadyRetried
        | Outcome::NotTerminal(_)
        | Outcome::AlreadyTerminal(_)
        | Outcome::FinalizationLost => {}
    }
}
