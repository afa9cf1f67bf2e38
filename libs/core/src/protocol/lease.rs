//! Commands about one shard's lease: granted, completed, failed, handed back, lost.

use super::{
    Completion, Decision, Event, FinalizerClaim, NewShard, OnInfraFailure, Outcome, RunRow,
    RunState, ShardRow, ShardState,
};
use crate::ids::{LeaseEpoch, ReplicaId, SessionId};
use crate::limits::{SHARD_DEFERRALS_MAX, SHARD_INFRA_ATTEMPTS_MAX};
use std::time::Duration;

/// The run catches up with a grant made under its lane's lock. A repeat, or a lease that is gone, changes nothing.
pub(super) fn mark_granted(run: &RunRow, shard: &ShardRow, epoch: LeaseEpoch) -> Decision {
    if !holds(shard, epoch) || !matches!(run.state, RunState::Queued | RunState::Running) {
        return Decision::nothing(Outcome::Unchanged);
    }
    let (run, shard, granted) = announce(run, shard);
    match granted {
        None => Decision::nothing(Outcome::Unchanged),
        Some(event) => {
            Decision { shard: Some(shard), ..Decision::write(run, vec![event], Outcome::Granted) }
        }
    }
}

/// Returns the rows as they are once the grant in force is in the run's log, and the event that puts it there. Whatever
/// comes first, the claim's second step or the end of the lease, writes it; so no lease ends that the log does not know.
fn announce(run: &RunRow, shard: &ShardRow) -> (RunRow, ShardRow, Option<Event>) {
    let (mut run, mut shard) = (run.clone(), shard.clone());
    let Some(session) = shard.session.filter(|_| shard.announced < shard.epoch) else {
        return (run, shard, None);
    };
    run.started = true;
    if run.state == RunState::Queued {
        run.state = RunState::Running;
    }
    shard.announced = shard.epoch;
    let event = Event::ShardGranted { shard_index: shard.index, epoch: shard.epoch, session };
    (run, shard, Some(event))
}

/// An executor ends its lease. Counting is by the shard's own row under lock, so a repeat counts once (B3).
pub(super) fn complete(
    run: &RunRow,
    shard: &ShardRow,
    session: SessionId,
    epoch: LeaseEpoch,
    completion: &Completion,
    parked: Option<ReplicaId>,
) -> Decision {
    if shard.state == ShardState::Done && shard.epoch == epoch {
        return Decision::nothing(Outcome::Duplicate);
    }
    match run.state {
        RunState::Queued | RunState::Running => {}
        RunState::Finalizing
        | RunState::Passed
        | RunState::Failed
        | RunState::Errored
        | RunState::Aborted => return Decision::nothing(Outcome::RunClosed),
    }
    if !holds(shard, epoch) || shard.session != Some(session) {
        return Decision::nothing(Outcome::LeaseLost);
    }
    let (run, shard, granted) = announce(run, shard);
    let decision = match completion {
        Completion::Done { reported_count, deferred } => {
            let shard = ShardRow { reported_count: *reported_count, ..shard };
            // One deferral too many is ignored: its tests read as not run, which no verdict passes over.
            let deferred =
                if shard.deferrals < SHARD_DEFERRALS_MAX { deferred } else { &Vec::new() };
            finish(run, shard, None, deferred, parked)
        }
        Completion::Failed { class, reported_count } => {
            let shard = ShardRow {
                infra_attempts: shard.infra_attempts + 1,
                reported_count: *reported_count,
                ..shard
            };
            retry_or_finish(run, shard, class, backoff, parked)
        }
        Completion::HandedBack => requeue(run, shard, "HANDED_BACK", Duration::ZERO),
    };
    decision.after(granted)
}

/// The reaper ends a lease whose session expired. Only the epoch it saw counts: a renewed grant is another epoch (B1).
pub(super) fn lose(run: &RunRow, shard: &ShardRow, epoch: LeaseEpoch) -> Decision {
    if !holds(shard, epoch) || run.state.is_terminal() {
        return Decision::nothing(Outcome::Unchanged);
    }
    let running = shard.running.iter().map(|test| test.ordinal);
    let (again, first): (Vec<u32>, Vec<u32>) =
        running.partition(|ordinal| shard.suspects.contains(ordinal));
    let (run, mut shard, granted) = announce(run, shard);
    shard.suspects.extend(first);
    // A test found poisonous is progress: without it the shard deserves its attempts again.
    shard.infra_attempts = if again.is_empty() { shard.infra_attempts + 1 } else { 0 };
    shard.poisoned.extend(again);
    // Another executor may take it at once: the wait was the lease itself.
    let mut lost = retry_or_finish(run, shard, "EXECUTOR_LOST", |_| Duration::ZERO, None);
    // Also when the shard is closed for good: its late holder completes nothing.
    if let Some(shard) = &mut lost.shard {
        shard.epoch = epoch.next();
    }
    lost.after(granted)
}

/// Returns whether the grant of that epoch is the one in force.
fn holds(shard: &ShardRow, epoch: LeaseEpoch) -> bool {
    shard.state == ShardState::Leased && shard.epoch == epoch
}

/// Wait before the next grant after the n-th failure: 1 s, 2 s, 4 s … at most 30 s.
fn backoff(infra_attempts: u32) -> Duration {
    Duration::from_secs(1 << infra_attempts.saturating_sub(1).min(5)).min(Duration::from_secs(30))
}

fn retry_or_finish(
    run: RunRow,
    shard: ShardRow,
    class: &str,
    delay: impl Fn(u32) -> Duration,
    parked: Option<ReplicaId>,
) -> Decision {
    if shard.infra_attempts < SHARD_INFRA_ATTEMPTS_MAX {
        let delay = delay(shard.infra_attempts);
        return requeue(run, shard, class, delay);
    }
    match run.on_infra_failure {
        OnInfraFailure::Continue => finish(run, shard, Some(class), &[], parked),
        OnInfraFailure::StopRun => {
            let reason = format!("{class}: shard {} failed for good", shard.index);
            super::close::terminate(&run, RunState::Errored, Some(reason))
        }
    }
}

/// Back in the queue under a new epoch, so that nothing of the old holder counts.
fn requeue(run: RunRow, shard: ShardRow, reason: &str, delay: Duration) -> Decision {
    let epoch = shard.epoch.next();
    let event = Event::ShardLost {
        shard_index: shard.index,
        epoch,
        session: shard.session,
        reason: reason.to_owned(),
        running: shard.running.clone(),
    };
    let shard =
        ShardRow { state: ShardState::Queued, epoch, session: None, running: Vec::new(), ..shard };
    Decision {
        shard: Some(shard),
        requeue_delay: delay,
        ..Decision::write(run, vec![event], Outcome::Requeued)
    }
}

/// Closes the shard and, when it was the last, the run's execution: the same transaction elects the finalizer (B4).
/// Deferred tests are a new shard of the same generation, so the run stays open for them.
fn finish(
    mut run: RunRow,
    shard: ShardRow,
    failure_class: Option<&str>,
    deferred: &[u32],
    parked: Option<ReplicaId>,
) -> Decision {
    let new_shards = defer(&mut run, &shard, deferred);
    run.open_shard_count -= 1;
    let open_shard_count = run.open_shard_count;
    let mut events = vec![Event::ShardDone {
        shard_index: shard.index,
        epoch: shard.epoch,
        open_shard_count,
        failure_class: failure_class.map(str::to_owned),
        deferred_count: u32::try_from(deferred.len()).unwrap_or(u32::MAX),
    }];
    let elected = (open_shard_count == 0).then(|| elect(&mut run, &mut events, parked));
    let shard = ShardRow {
        state: ShardState::Done,
        session: None,
        running: Vec::new(),
        failure_class: failure_class.map(str::to_owned),
        ..shard
    };
    Decision {
        shard: Some(shard),
        new_shards,
        ..Decision::write(run, events, Outcome::Counted { open_shard_count, elected })
    }
}

fn defer(run: &mut RunRow, from: &ShardRow, deferred: &[u32]) -> Vec<NewShard> {
    if deferred.is_empty() {
        return Vec::new();
    }
    let shard = NewShard {
        index: run.next_shard_index,
        ordinals: deferred.to_vec(),
        avoid: from.session,
        deferrals: from.deferrals + 1,
    };
    run.next_shard_index += 1;
    run.shard_count += 1;
    run.open_shard_count += 1;
    vec![shard]
}

/// Moves a run without open shards to its finalization and gives the lease to whoever waits for one.
pub(super) fn elect(
    run: &mut RunRow,
    events: &mut Vec<Event>,
    parked: Option<ReplicaId>,
) -> FinalizerClaim {
    run.state = RunState::Finalizing;
    run.finalizer_epoch += 1;
    run.finalizer = parked;
    events.push(Event::Finalizing {
        finalizer_epoch: run.finalizer_epoch,
        stop_reason: run.stop_reason,
    });
    FinalizerClaim { replica: parked, generation: run.generation, epoch: run.finalizer_epoch }
}
