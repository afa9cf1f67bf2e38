//! Reconcilers: loops without input that look at the rows and mend what a crash left half done.
//!
//! Each tick: dead sessions are reaped and their leases lost by epoch, expired finalizations freed, grants announced that
//! nobody announced, runs past their deadline stopped, old rows swept. Everything is decided under locks by epoch, so any number of schedulers may run it.

use crate::commit::Committer;
use crate::finalize::Finalizations;
use crate::store::apply::Applied;
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_core::RunId;
use gauntlet_core::protocol::{Command, StopReason};
use gauntlet_runtime::{Lifecycle, error_chain};
use std::sync::Arc;
use std::time::Duration;

/// Time between two ticks.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Leases, finalizations and grants looked at per tick.
const TICK_ITEMS_MAX: usize = 1_000;
/// Ticks between two sweeps of old rows.
const SWEEP_TICKS: u64 = 60;

/// What the reconcilers work with.
pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) finalizations: Finalizations,
    pub(crate) wake: Arc<Wake>,
}

/// A command about a run or one of its shards.
type Repair = (RunId, Option<u32>, Command);

impl Reconciler {
    /// Runs the loop until the drain.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let mut ticks = 0_u64;
        while !lifecycle.is_draining() {
            if let Err(error) = self.tick().await {
                tracing::warn!(error = %error_chain(&error), "reconciling failed, next try in a second");
            }
            if ticks.is_multiple_of(SWEEP_TICKS) {
                sweep(&self.store).await;
            }
            ticks += 1;
            // Back-offs run out silently.
            self.wake.work();
            tokio::select! {
                () = lifecycle.draining() => {}
                () = tokio::time::sleep(TICK_INTERVAL) => {}
            }
        }
    }

    async fn tick(&self) -> Result<(), StoreError> {
        for name in self.store.reap_sessions().await? {
            tracing::warn!(executor = name, "executor lost: its session expired");
        }
        self.finalizations.free_unfetched();
        let repairs = self.repairs().await?;
        // The commands of one tick are sent together, so that they share commits.
        let sent = repairs.into_iter().map(|(run_id, shard, command)| async move {
            (run_id, self.committer.commit(run_id, shard, command).await)
        });
        for (run_id, outcome) in futures_util::future::join_all(sent).await {
            match outcome {
                Ok(Applied::Decided { outcome, .. }) => {
                    self.finalizations.deliver_elected(run_id, &outcome);
                }
                Ok(Applied::NotFound) => {}
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "a repair was not committed, next try in a second");
                }
            }
        }
        Ok(())
    }

    /// Finds what is half done or overdue.
    async fn repairs(&self) -> Result<Vec<Repair>, StoreError> {
        let Self { store, .. } = self;
        let mut repairs: Vec<Repair> = Vec::new();
        for lease in store.list_dead_leases(TICK_ITEMS_MAX).await? {
            let command = Command::Lose { epoch: lease.epoch };
            repairs.push((lease.run_id, Some(lease.shard_index), command));
        }
        for (run_id, generation, epoch) in store.list_expired_finalizations(TICK_ITEMS_MAX).await? {
            let command = Command::LoseFinalization { generation, epoch };
            repairs.push((run_id, None, command));
        }
        for grant in store.list_unannounced(TICK_ITEMS_MAX).await? {
            let command = Command::MarkGranted { epoch: grant.epoch };
            repairs.push((grant.run_id, Some(grant.shard_index), command));
        }
        for (run_id, generation) in store.list_overdue_runs(TICK_ITEMS_MAX).await? {
            let parked = self.finalizations.waiting();
            let reason = StopReason::Deadline;
            repairs.push((run_id, None, Command::Stop { generation, reason, parked }));
        }
        Ok(repairs)
    }
}

async fn sweep(store: &Store) {
    for swept in [store.sweep_requests().await, store.delete_idle_sessions().await] {
        if let Err(error) = swept {
            tracing::warn!(error = %error_chain(&error), "sweeping failed, next try in a minute");
        }
    }
}
