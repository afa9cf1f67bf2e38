//! The invariants as pure functions, by id. Called by property tests after every step; the auditor's queries say the same
//! in SQL.

use crate::protocol::{Event, RunRow, RunState, ShardRow, ShardState};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id} does not hold: {what}")]
pub struct Violation {
    /// Id, as in `docs/architecture.md`.
    pub id: &'static str,
    /// What was seen.
    pub what: String,
}

/// Checks one run with all its shards and its whole log.
///
/// # Errors
/// The first invariant found broken.
pub fn check(run: &RunRow, shards: &[ShardRow], log: &[Event]) -> Result<(), Violation> {
    let open = shards.iter().filter(|shard| shard.state.is_open()).count();
    hold("SH-1", open == run.open_shard_count as usize, || {
        format!("{open} shards are open, the run counts {}", run.open_shard_count)
    })?;
    hold("RN-3", run.state != RunState::Finalizing || open == 0, || {
        format!("finalizing with {open} open shards")
    })?;
    hold("RN-4", run.revision == log.len() as u64, || {
        format!("revision {} after {} events", run.revision, log.len())
    })?;
    let terminal = log.iter().filter(|event| matches!(event, Event::Terminal { .. })).count();
    // Every generation before this one ended with one.
    let expected = run.generation as usize - usize::from(!run.state.is_terminal());
    hold("RN-2", terminal == expected, || {
        format!("{terminal} terminal events while {:?} in generation {}", run.state, run.generation)
    })?;
    for shard in shards {
        hold("SH-4", (shard.state == ShardState::Leased) == shard.session.is_some(), || {
            format!("shard {} is {:?} with session {:?}", shard.index, shard.state, shard.session)
        })?;
    }
    Ok(())
}

/// Checks what a step may change: RN-1 and SH-2.
///
/// # Errors
/// The first invariant found broken.
pub fn check_step(
    before: (&RunRow, &[ShardRow]),
    after: (&RunRow, &[ShardRow]),
) -> Result<(), Violation> {
    let next_generation = after.0.generation == before.0.generation + 1;
    hold("RN-1", !before.0.state.is_terminal() || before.0 == after.0 || next_generation, || {
        format!("a terminal run changed from {:?} to {:?}", before.0, after.0)
    })?;
    for (was, is) in before.1.iter().zip(after.1) {
        hold("SH-2", is.epoch >= was.epoch, || {
            format!("epoch of shard {} fell from {} to {}", was.index, was.epoch, is.epoch)
        })?;
    }
    Ok(())
}

fn hold(id: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { id, what: what() }) }
}
