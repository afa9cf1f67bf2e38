//! The partial retry: the next generation of a terminal run (A10).

use super::{Decision, Event, NewShard, Outcome, RunRow, RunState};

/// Opens the next generation with the given tests. The generation before it stays as it ended (RN-1): its verdict, its
/// terminal event and its rows at results are never touched. A repeat finds the generation it asked for.
pub(super) fn retry(run: &RunRow, generation: u32, shards: &[Vec<u32>]) -> Decision {
    if run.generation > generation {
        return Decision::nothing(Outcome::AlreadyRetried);
    }
    match run.state {
        RunState::Passed | RunState::Failed | RunState::Errored | RunState::Aborted => {}
        RunState::Queued | RunState::Running | RunState::Finalizing => {
            return Decision::nothing(Outcome::NotTerminal(run.state));
        }
    }
    let shard_count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
    let new_shards = (run.next_shard_index..)
        .zip(shards)
        .map(|(index, ordinals)| NewShard {
            index,
            ordinals: ordinals.clone(),
            avoid: None,
            deferrals: 0,
        })
        .collect();
    let test_count = shards.iter().map(Vec::len).sum::<usize>();
    let event =
        Event::Retried { test_count: u32::try_from(test_count).unwrap_or(u32::MAX), shard_count };
    let run = RunRow {
        state: RunState::Queued,
        generation: run.generation + 1,
        shard_count,
        next_shard_index: run.next_shard_index + shard_count,
        open_shard_count: shard_count,
        started: false,
        stop_reason: None,
        finalizer_epoch: 0,
        finalizer: None,
        digest: None,
        reason: None,
        ..run.clone()
    };
    Decision { new_shards, ..Decision::write(run, vec![event], Outcome::Retried) }
}
