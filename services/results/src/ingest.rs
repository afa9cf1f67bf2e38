//! Group commit of reports: one loop turns what all streams bring into few transactions.
//!
//! While one commit flushes, the next batch gathers. A caller waits for the commit that holds its entry: an answer means
//! durable. Neighbours do not harm each other: a refusal is an answer of its own, an entry that the store cannot take fails
//! alone, and one whose run is being sealed leaves the batch and waits by itself. A crash here loses entries that were not
//! answered; executors repeat them.

use crate::store::{Entered, Entry, Fence, NewAttempt, Store, StoreError};
use gauntlet_pg::PgError;
use gauntlet_runtime::Lifecycle;
use tokio::sync::{mpsc, oneshot};

/// Entries of one transaction.
const BATCH_ENTRIES_MAX: usize = 256;
/// Bytes of attempts after which a transaction takes no further entry.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries waiting for a batch; their bytes are bounded by the streams, each of which has one entry under way.
const QUEUE_ENTRIES_MAX: usize = 1_024;

type Answer = Result<Entered, StoreError>;
type Asked = (Entry, oneshot::Sender<Answer>);

/// Why an entry was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("results is draining")]
    Draining,
    #[error("the entry was not stored")]
    Store(#[source] StoreError),
}

/// Sends entries to the loop. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ingest {
    queue: mpsc::Sender<Asked>,
}

impl Ingest {
    /// Starts the loop. It ends when every sender is gone.
    pub(crate) fn start(store: Store, lifecycle: &Lifecycle) -> Self {
        let (queue, asked) = mpsc::channel(QUEUE_ENTRIES_MAX);
        let gather = Gather { store, lifecycle: lifecycle.clone() };
        lifecycle.spawn("ingest", gather.run(asked));
        Self { queue }
    }

    /// Raises a shard's fence and tells how far its tests are. Idempotent.
    pub(crate) async fn open(
        &self,
        fence: Fence,
        ordinals: Vec<i32>,
        stop_after_failures: i32,
    ) -> Result<Entered, IngestError> {
        self.enter(Entry { fence, attempts: Vec::new(), ordinals, stop_after_failures }).await
    }

    /// Stores attempts under their shard's fence. Idempotent by (run, generation, ordinal, attempt).
    pub(crate) async fn report(
        &self,
        fence: Fence,
        attempts: Vec<NewAttempt>,
    ) -> Result<Entered, IngestError> {
        let entry = Entry { fence, attempts, ordinals: Vec::new(), stop_after_failures: 0 };
        self.enter(entry).await
    }

    async fn enter(&self, entry: Entry) -> Result<Entered, IngestError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send((entry, reply)).await.map_err(|_| IngestError::Draining)?;
        answer.await.map_err(|_| IngestError::Draining)?.map_err(IngestError::Store)
    }
}

struct Gather {
    store: Store,
    lifecycle: Lifecycle,
}

impl Gather {
    async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        while let Some(first) = asked.recv().await {
            let mut bytes = weight(&first.0);
            let mut batch = vec![first];
            while batch.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
                let Ok(next) = asked.try_recv() else { break };
                bytes += weight(&next.0);
                batch.push(next);
            }
            self.enter(batch).await;
        }
    }

    async fn enter(&self, batch: Vec<Asked>) {
        let (entries, replies): (Vec<Entry>, Vec<_>) = batch.into_iter().unzip();
        // None is for an entry to be tried alone.
        let answers: Vec<Option<Answer>> = match self.store.enter_batch(&entries).await {
            Ok(entered) => entered.into_iter().map(|entered| entered.map(Ok)).collect(),
            Err(error) if is_about_one_entry(&error) => entries.iter().map(|_| None).collect(),
            Err(error) => entries.iter().map(|_| Some(Err(error.clone()))).collect(),
        };
        for ((entry, reply), answer) in entries.into_iter().zip(replies).zip(answers) {
            let Some(answer) = answer else {
                // As many at once as there are streams.
                let store = self.store.clone();
                let alone = async move { drop(reply.send(alone(&store, &entry).await)) };
                self.lifecycle.spawn("ingest_alone", alone);
                continue;
            };
            // A caller that went away repeats its report and is told what happened.
            let _ = reply.send(answer);
        }
    }
}

/// Enters one entry that its batch could not take.
async fn alone(store: &Store, entry: &Entry) -> Answer {
    match store.enter(entry).await {
        // The run is older than the partitions that are kept ready.
        Err(StoreError::Pg(error)) if matches!(*error, PgError::CheckViolation { .. }) => {
            store.ensure_partition_of(entry.fence.run_id).await?;
            store.enter(entry).await
        }
        answer => answer,
    }
}

fn weight(entry: &Entry) -> usize {
    entry.attempts.iter().map(|attempt| attempt.payload.len()).sum()
}

/// Returns whether the failure was caused by some entry of the batch, not by the store being away.
fn is_about_one_entry(error: &StoreError) -> bool {
    match error {
        StoreError::Pg(error) => match **error {
            PgError::UniqueViolation { .. }
            | PgError::CheckViolation { .. }
            | PgError::Other { .. } => true,
            PgError::Unavailable { .. }
            | PgError::Conflict { .. }
            | PgError::OutcomeUnknown { .. } => false,
        },
        StoreError::Inconsistent { .. } => true,
    }
}
