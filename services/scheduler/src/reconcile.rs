//! Reconcilers: loops without input that look at the rows and mend what a crash left half done.
//!
//! Each tick: dead sessions are reaped and their leases lost by epoch, expired finalizations freed, grants announced that
//! nobody announced, old rows swept. Everything is decided under locks by epoch, so any number of schedulers may run it.

use crate::commit::Committer;
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_core::protocol::Command;
use gauntlet_runtime::{Lifecycle, error_chain};
use std::sync::Arc;
use std::time::Duration;

/// Time between two ticks.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Leases, finalizations and grants looked at per tick.
const TICK_ITEMS_MAX: usize = 1_000;
/// Ticks between two sweeps of old rows.
const SWEEP_TICKS: u64 = 60;

/// Runs the loop until the drain.
pub(crate) async fn run(store: Store, committer: Committer, wake: Arc<Wake>, lifecycle: Lifecycle) {
    let mut ticks = 0_u64;
    while !lifecycle.is_draining() {
        if let Err(error) = tick(&store, &committer).await {
            tracing::warn!(error = %error_chain(&error), "reconciling failed, next try in a second");
        }
        if ticks.is_multiple_of(SWEEP_TICKS) {
            sweep(&store).await;
        }
        ticks += 1;
        // Back-offs run out silently.
        wake.work();
        tokio::select! {
            () = lifecycle.draining() => {}
            () = tokio::time::sleep(TICK_INTERVAL) => {}
        }
    }
}

async fn tick(store: &Store, committer: &Committer) -> Result<(), StoreError> {
    for name in store.reap_sessions().await? {
        tracing::warn!(executor = name, "executor lost: its session expired");
    }
    // The commands of one tick are sent together, so that they share commits.
    let mut commands = Vec::new();
    for lease in store.list_dead_leases(TICK_ITEMS_MAX).await? {
        commands.push((
            lease.run_id,
            Some(lease.shard_index),
            Command::Lose { epoch: lease.epoch },
        ));
    }
    for (run_id, epoch) in store.list_expired_finalizations(TICK_ITEMS_MAX).await? {
        commands.push((run_id, None, Command::LoseFinalization { epoch }));
    }
    for grant in store.list_unannounced(TICK_ITEMS_MAX).await? {
        let command = Command::MarkGranted { epoch: grant.epoch };
        commands.push((grant.run_id, Some(grant.shard_index), command));
    }
    let sent =
        commands.into_iter().map(|(run, shard, command)| committer.commit(run, shard, command));
    for outcome in futures_util::future::join_all(sent).await {
        if let Err(error) = outcome {
            tracing::warn!(error = %error_chain(&error), "a repair was not committed, next try in a second");
        }
    }
    Ok(())
}

async fn sweep(store: &Store) {
    for swept in [store.sweep_requests().await, store.delete_idle_sessions().await] {
        if let Err(error) = swept {
            tracing::warn!(error = %error_chain(&error), "sweeping failed, next try in a minute");
        }
    }
}
