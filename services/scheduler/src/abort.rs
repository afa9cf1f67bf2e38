//! Abort of one generation of a run (C1): the row first; the commit loop hints to executors.
//!
//! An abort says which generation it is about. One that comes late, or again, finds that generation ended and is told how;
//! the generation after it goes on. A crash before the commit changes nothing; a repeat after it finds the abort.

use crate::commit::{CommitError, Committer};
use crate::store::apply::Applied;
use crate::store::{Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_core::protocol::{Command, Outcome, RunState};

/// A request, checked at the edge.
pub(crate) struct AbortRequest {
    pub(crate) run_id: RunId,
    /// None from callers that know of no retry: then the run has only one.
    pub(crate) generation: Option<u32>,
    pub(crate) reason: String,
}

/// Why nothing is aborted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AbortError {
    /// The store failed.
    #[error("the run could not be read")]
    Store(#[source] StoreError),
    /// The command was not committed.
    #[error("the abort was not committed")]
    Commit(#[source] CommitError),
    /// No such run.
    #[error("no such run: {0}")]
    NoSuchRun(RunId),
    /// The run was not retried that often.
    #[error("run {run_id} has no generation {generation}")]
    NoSuchGeneration {
        /// The run.
        run_id: RunId,
        /// The generation asked for.
        generation: u32,
    },
    /// The run was retried, so it must be said which generation is meant.
    #[error("run {0} was retried: name the generation to abort")]
    GenerationUnnamed(RunId),
    /// The generation ended otherwise: first writer wins.
    #[error("generation {generation} of run {run_id} ended as {state} before")]
    Terminal {
        /// The run.
        run_id: RunId,
        /// The generation.
        generation: u32,
        /// How it ended.
        state: &'static str,
    },
}

/// Aborts a generation, or finds it aborted.
pub(crate) async fn abort(
    store: &Store,
    committer: &Committer,
    request: AbortRequest,
) -> Result<(), AbortError> {
    let AbortRequest { run_id, generation: named, reason } = request;
    let generation = named.unwrap_or(1);
    let command = Command::Abort { generation, reason };
    let applied = committer.commit(run_id, None, command).await.map_err(AbortError::Commit)?;
    let Applied::Decided { outcome, .. } = applied else {
        return Err(AbortError::NoSuchRun(run_id));
    };
    let ended = match outcome {
        Outcome::AlreadyRetried if named.is_none() => {
            return Err(AbortError::GenerationUnnamed(run_id));
        }
        Outcome::AlreadyRetried => {
            store.find_end(run_id, generation).await.map_err(AbortError::Store)?
        }
        Outcome::AlreadyTerminal(state) => state,
        Outcome::Unchanged => return Err(AbortError::NoSuchGeneration { run_id, generation }),
        _ => RunState::Aborted,
    };
    if ended == RunState::Aborted {
        Ok(())
    } else {
        Err(AbortError::Terminal { run_id, generation, state: ended.name() })
    }
}
