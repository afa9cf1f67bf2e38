//! Partial retry: tests of a terminal run, again, as its next generation (A10).
//!
//! The plan is pure and the command is decided under the run's lock, so two that ask at once get the same generation. A
//! crash before the commit changes nothing; a repeat after it finds the generation.

use crate::commit::{CommitError, Committer};
use crate::store::apply::Applied;
use crate::store::{Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_core::limits::SHARD_TESTS_MAX;
use gauntlet_core::plan::contiguous_shards;
use gauntlet_core::protocol::{Command, Outcome};

/// A request, checked at the edge.
pub(crate) struct RetryRequest {
    pub(crate) run_id: RunId,
    pub(crate) generation: u32,
    /// Ascending, without repeats.
    pub(crate) ordinals: Vec<u32>,
    /// Shards wanted; none means as many as the run asked for.
    pub(crate) shards: Option<u32>,
}

/// Why nothing is run again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryError {
    /// The store failed.
    #[error("the run could not be read")]
    Store(#[source] StoreError),
    /// The command was not committed.
    #[error("the retry was not committed")]
    Commit(#[source] CommitError),
    /// No such run.
    #[error("no such run: {0}")]
    NoSuchRun(RunId),
    /// A test is named that the run does not have.
    #[error("run {run_id} has no test {ordinal}")]
    NoSuchTest {
        /// The run.
        run_id: RunId,
        /// The first one missing.
        ordinal: u32,
    },
    /// The run goes on.
    #[error("run {run_id} is {state}: only a terminal run is retried")]
    NotTerminal {
        /// The run.
        run_id: RunId,
        /// Where it stands.
        state: &'static str,
    },
}

/// Opens the generation after the one that was looked at.
pub(crate) async fn retry(
    store: &Store,
    committer: &Committer,
    request: RetryRequest,
) -> Result<(), RetryError> {
    let RetryRequest { run_id, generation, ordinals, shards } = request;
    let found = store.find_options(run_id).await.map_err(RetryError::Store)?;
    let (options, test_count) = found.ok_or(RetryError::NoSuchRun(run_id))?;
    if let Some(ordinal) = ordinals.last().copied().filter(|last| *last >= test_count) {
        return Err(RetryError::NoSuchTest { run_id, ordinal });
    }
    let again = u32::try_from(ordinals.len()).unwrap_or(u32::MAX);
    let wanted = shards.unwrap_or(options.shards.unsigned_abs().max(1));
    let shards = contiguous_shards(again, wanted.max(again.div_ceil(SHARD_TESTS_MAX)))
        .into_iter()
        .map(|range| ordinals[range.start as usize..range.end as usize].to_vec())
        .collect();
    let command = Command::Retry { generation, shards };
    let applied = committer.commit(run_id, None, command).await.map_err(RetryError::Commit)?;
    match applied {
        Applied::Decided { outcome: Outcome::NotTerminal(state), .. } => {
            Err(RetryError::NotTerminal { run_id, state: state.name() })
        }
        Applied::Decided { .. } => Ok(()),
        Applied::NotFound => Err(RetryError::NoSuchRun(run_id)),
    }
}
