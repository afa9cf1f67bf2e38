//! The run protocol: what one command does to the run and the shard it has locked.
//!
//! [`decide`] is a total function from locked rows and a command to the rows as they shall be, the events to append and the
//! outcome to tell the caller. It performs nothing. The caller holds the run's row lock (and the shard's, in that order),
//! writes the rows, appends the events, and commits: a crash before the commit changes nothing, a crash after it loses only
//! the reply, and every command answers a repeat with what happened (`Duplicate`, `AlreadyClosed`, `AlreadyAborted`).
//!
//! Invariants held here: RN-1, RN-2, RN-3, RN-4, SH-1, SH-2, SH-4, FN-1.

mod close;
mod lease;
mod retry;
mod rows;
#[cfg(test)]
mod tests;
mod transitions;

pub use rows::{
    Completion, Event, FinalizerClaim, NewShard, OnInfraFailure, RunRow, RunState, Running,
    ShardRow, ShardState, StopReason, VerdictState,
};
pub use transitions::{mermaid, run_transitions, shard_transitions};

use crate::ids::{LeaseEpoch, ReplicaId, SessionId};
use std::time::Duration;

/// What somebody wants to happen to a run. Time is inside the command, or relative in the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A shard of the run was granted under its lane's lock; the run catches up. Needs the shard.
    MarkGranted {
        /// Epoch of the grant.
        epoch: LeaseEpoch,
    },
    /// An executor ends a lease. Needs the shard.
    Complete {
        /// Who says so.
        session: SessionId,
        /// Epoch of the grant.
        epoch: LeaseEpoch,
        /// How it ended.
        completion: Completion,
        /// A results process that is waiting for a run to finalize, if any.
        parked: Option<ReplicaId>,
    },
    /// The reaper saw the session's expiry pass. Needs the shard.
    Lose {
        /// Epoch the reaper saw.
        epoch: LeaseEpoch,
    },
    /// Somebody aborts a generation of the run.
    Abort {
        /// Which one: a later one is left alone, so that a late repeat ends nothing that nobody looked at.
        generation: u32,
        /// Why, for people.
        reason: String,
    },
    /// The run has seen enough: its open shards are cancelled and it is finalized with what there is.
    Stop {
        /// Generation that has; a later one is left alone.
        generation: u32,
        /// Why.
        reason: StopReason,
        /// A results process that is waiting for a run to finalize, if any.
        parked: Option<ReplicaId>,
    },
    /// Somebody runs tests of a terminal run again (A10).
    Retry {
        /// The terminal generation that was looked at.
        generation: u32,
        /// The tests, cut into shards.
        shards: Vec<Vec<u32>>,
    },
    /// A results process asks for the finalization.
    ClaimFinalization {
        /// Who asks.
        replica: ReplicaId,
    },
    /// The reaper saw the finalization lease expire.
    LoseFinalization {
        /// Generation that it finalizes: epochs begin again with each.
        generation: u32,
        /// Epoch the reaper saw.
        epoch: u32,
    },
    /// The finalizer closes the generation.
    Close {
        /// Generation the verdict is about.
        generation: u32,
        /// Epoch of the finalizer.
        epoch: u32,
        /// What the verdict says.
        verdict: VerdictState,
        /// Digest of the sealed outcomes (FN-2).
        digest: String,
    },
}

/// What a command does: the rows as they shall be, the events to append, and what to tell the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The run as it shall be; none when unchanged.
    pub run: Option<RunRow>,
    /// The shard as it shall be; none when unchanged.
    pub shard: Option<ShardRow>,
    /// True when every open shard of the run is cancelled and its epoch bumped.
    pub cancel_open_shards: bool,
    /// Shards to plan.
    pub new_shards: Vec<NewShard>,
    /// How long the shard waits before it may be granted again.
    pub requeue_delay: Duration,
    /// Events to append, in order; the run's new revision already counts them.
    pub events: Vec<Event>,
    /// What to tell the caller.
    pub outcome: Outcome,
}

/// What a command came to. None of these is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The command changed nothing because what it asks for is so, or no longer matters.
    Unchanged,
    /// The run was marked as running.
    Granted,
    /// The completion was counted.
    Counted {
        /// Shards still open.
        open_shard_count: u32,
        /// Set when this completion was the last: who finalizes.
        elected: Option<FinalizerClaim>,
    },
    /// The same completion was counted before.
    Duplicate,
    /// The shard is back in the queue.
    Requeued,
    /// The epoch is old; nothing of that holder counts.
    LeaseLost,
    /// The run takes no completions any more.
    RunClosed,
    /// The run was stopped.
    Stopped {
        /// Who finalizes.
        elected: FinalizerClaim,
    },
    /// The next generation began.
    Retried,
    /// The generation after the one looked at had begun before.
    AlreadyRetried,
    /// The run is not terminal.
    NotTerminal(RunState),
    /// The finalization is the caller's.
    FinalizerElected(FinalizerClaim),
    /// The run became terminal by this command.
    Closed,
    /// The generation was closed by an identical command before.
    AlreadyClosed,
    /// The run had been aborted before.
    AlreadyAborted,
    /// The run had ended otherwise before: first writer wins.
    AlreadyTerminal(RunState),
    /// The finalization lease is no longer the caller's.
    FinalizationLost,
}

/// A command that no caller may send in this state: a bug, never a race.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("illegal transition: {command} while the run is {run:?} and the shard is {shard:?}")]
pub struct IllegalTransition {
    /// State of the run.
    pub run: RunState,
    /// State of the shard, when one was locked.
    pub shard: Option<ShardState>,
    /// Name of the command.
    pub command: &'static str,
}

/// Decides what `command` does to the locked rows. Pure.
///
/// # Errors
/// [`IllegalTransition`] when the caller passed rows that the command cannot be about.
pub fn decide(
    run: &RunRow,
    shard: Option<&ShardRow>,
    command: &Command,
) -> Result<Decision, IllegalTransition> {
    match (command, shard) {
        (Command::MarkGranted { epoch }, Some(shard)) => {
            Ok(lease::mark_granted(run, shard, *epoch))
        }
        (Command::Complete { session, epoch, completion, parked }, Some(shard)) => {
            Ok(lease::complete(run, shard, *session, *epoch, completion, *parked))
        }
        (Command::Lose { epoch }, Some(shard)) => Ok(lease::lose(run, shard, *epoch)),
        (Command::Abort { generation, reason }, None) => Ok(close::abort(run, *generation, reason)),
        (Command::Stop { generation, reason, parked }, None) => {
            Ok(close::stop(run, *generation, *reason, *parked))
        }
        (Command::Retry { generation, shards }, None) => Ok(retry::retry(run, *generation, shards)),
        (Command::ClaimFinalization { replica }, None) => Ok(close::claim(run, *replica)),
        (Command::LoseFinalization { generation, epoch }, None) => {
            Ok(close::lose(run, *generation, *epoch))
        }
        (Command::Close { generation, epoch, verdict, digest }, None) => {
            Ok(close::close(run, *generation, *epoch, *verdict, digest))
        }
        (command, shard) => Err(IllegalTransition {
            run: run.state,
            shard: shard.map(|s| s.state),
            command: command.name(),
        }),
    }
}

impl Command {
    /// Returns the command's name, for logs and the picture of the protocol.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MarkGranted { .. } => "mark_granted",
            Self::Complete { .. } => "complete",
            Self::Lose { .. } => "lose",
            Self::Abort { .. } => "abort",
            Self::Stop { .. } => "stop",
            Self::Retry { .. } => "retry",
            Self::ClaimFinalization { .. } => "claim_finalization",
            Self::LoseFinalization { .. } => "lose_finalization",
            Self::Close { .. } => "close",
        }
    }
}

impl Decision {
    /// Returns a decision that changes nothing.
    fn nothing(outcome: Outcome) -> Self {
        Self {
            run: None,
            shard: None,
            cancel_open_shards: false,
            new_shards: Vec::new(),
            requeue_delay: Duration::ZERO,
            events: Vec::new(),
            outcome,
        }
    }

    /// Puts an event before those of this decision.
    fn after(mut self, event: Option<Event>) -> Self {
        if let (Some(event), Some(run)) = (event, &mut self.run) {
            run.revision += 1;
            self.events.insert(0, event);
        }
        self
    }

    /// Returns a decision that writes `run` and `events`; the revision counts the events (RN-4).
    fn write(mut run: RunRow, events: Vec<Event>, outcome: Outcome) -> Self {
        run.revision += events.len() as u64;
        Self { run: Some(run), events, ..Self::nothing(outcome) }
    }
}
