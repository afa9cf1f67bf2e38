//! Commands about the run itself: abort, stop, finalization lease, close.

use super::{Decision, Event, FinalizerClaim, Outcome, RunRow, RunState, StopReason, VerdictState};
use crate::ids::ReplicaId;
use crate::limits::FINALIZER_EPOCHS_MAX;
use std::cmp::Ordering;

/// Aborts the generation, first writer wins (B5, C1). The loser has no side effects. A generation before this one has ended,
/// and one that is yet to come cannot be aborted in advance.
pub(super) fn abort(run: &RunRow, generation: u32, reason: &str) -> Decision {
    match generation.cmp(&run.generation) {
        Ordering::Less => return Decision::nothing(Outcome::AlreadyRetried),
        Ordering::Greater => return Decision::nothing(Outcome::Unchanged),
        Ordering::Equal => {}
    }
    match run.state {
        RunState::Queued | RunState::Running | RunState::Finalizing => {
            terminate(run, RunState::Aborted, Some(reason.to_owned()))
        }
        RunState::Aborted => Decision::nothing(Outcome::AlreadyAborted),
        RunState::Passed | RunState::Failed | RunState::Errored => {
            Decision::nothing(Outcome::AlreadyTerminal(run.state))
        }
    }
}

/// Ends the execution of a run that has seen enough; its verdict comes from what there is. First writer wins.
pub(super) fn stop(
    run: &RunRow,
    generation: u32,
    reason: StopReason,
    parked: Option<ReplicaId>,
) -> Decision {
    match run.state {
        RunState::Queued | RunState::Running if run.generation == generation => {
            let mut run = RunRow { open_shard_count: 0, stop_reason: Some(reason), ..run.clone() };
            let mut events = Vec::new();
            let elected = super::lease::elect(&mut run, &mut events, parked);
            let stopped = Decision::write(run, events, Outcome::Stopped { elected });
            Decision { cancel_open_shards: true, ..stopped }
        }
        RunState::Queued
        | RunState::Running
        | RunState::Finalizing
        | RunState::Passed
        | RunState::Failed
        | RunState::Errored
        | RunState::Aborted => Decision::nothing(Outcome::Unchanged),
    }
}

/// Gives the finalization to whoever asks first when nobody holds it.
pub(super) fn claim(run: &RunRow, replica: ReplicaId) -> Decision {
    if run.state != RunState::Finalizing || run.finalizer.is_some() {
        return Decision::nothing(Outcome::Unchanged);
    }
    let (generation, epoch) = (run.generation, run.finalizer_epoch);
    let claim = FinalizerClaim { replica: Some(replica), generation, epoch };
    let run = RunRow { finalizer: Some(replica), ..run.clone() };
    Decision::write(run, Vec::new(), Outcome::FinalizerElected(claim))
}

/// Takes an expired finalization away; after too many holders the run is errored rather than stuck.
pub(super) fn lose(run: &RunRow, generation: u32, epoch: u32) -> Decision {
    let held = (run.generation, run.finalizer_epoch) == (generation, epoch);
    if run.state != RunState::Finalizing || !held || run.finalizer.is_none() {
        return Decision::nothing(Outcome::Unchanged);
    }
    if epoch >= FINALIZER_EPOCHS_MAX {
        return terminate(run, RunState::Errored, Some("FINALIZER_FAILED".to_owned()));
    }
    let run = RunRow { finalizer: None, finalizer_epoch: epoch + 1, ..run.clone() };
    Decision::write(run, Vec::new(), Outcome::Requeued)
}

/// Closes the generation with its verdict: the one terminal transition (FN-1).
pub(super) fn close(
    run: &RunRow,
    generation: u32,
    epoch: u32,
    verdict: VerdictState,
    digest: &str,
) -> Decision {
    match run.state {
        RunState::Finalizing
            if run.generation == generation
                && run.finalizer_epoch == epoch
                && run.finalizer.is_some() =>
        {
            let run = RunRow { digest: Some(digest.to_owned()), ..run.clone() };
            terminate(&run, verdict.into(), None)
        }
        RunState::Queued | RunState::Running | RunState::Finalizing => {
            Decision::nothing(Outcome::FinalizationLost)
        }
        RunState::Passed | RunState::Failed | RunState::Errored | RunState::Aborted => {
            let same = run.generation == generation && run.digest.as_deref() == Some(digest);
            Decision::nothing(if same {
                Outcome::AlreadyClosed
            } else {
                Outcome::AlreadyTerminal(run.state)
            })
        }
    }
}

/// The only way into a terminal state: one event, no open shard left (RN-2, SH-1).
pub(super) fn terminate(run: &RunRow, state: RunState, reason: Option<String>) -> Decision {
    let cancel_open_shards = run.open_shard_count > 0;
    let event = Event::Terminal { state, reason: reason.clone() };
    let run = RunRow { state, open_shard_count: 0, finalizer: None, reason, ..run.clone() };
    Decision { cancel_open_shards, ..Decision::write(run, vec![event], Outcome::Closed) }
}
