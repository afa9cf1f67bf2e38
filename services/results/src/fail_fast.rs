//! Fail-fast: asks the scheduler to stop a run that has seen enough failed tests.
//!
//! Works beside the reports, which wait for nothing here. A stop is only as late as the next failing report: a crash or a
//! scheduler that stays away loses the hint, and that report asks again. Stopping is idempotent.

use crate::store::{Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_proto::v1::{self, finalization_service_client::FinalizationServiceClient};
use gauntlet_rpc::{Peer, limited, retry_unavailable, with_deadline};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tonic::Status;

/// How long a stop is repeated while the scheduler is away.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// One try of it.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Why a run was not stopped.
#[derive(Debug, thiserror::Error)]
enum StopError {
    #[error("the failed tests could not be counted")]
    Store(#[source] StoreError),
    #[error("the scheduler did not stop the run")]
    Scheduler(#[source] Box<Status>),
}

/// Watches the failed tests of runs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FailFast {
    store: Store,
    scheduler: FinalizationServiceClient<Peer>,
    lifecycle: Lifecycle,
    /// Generations that are looked at now, and whether more tests of them failed since: as many as report at once.
    looking: Arc<Mutex<HashMap<(RunId, i32), bool>>>,
}

impl FailFast {
    pub(crate) fn new(store: Store, scheduler: Peer, lifecycle: &Lifecycle) -> Self {
        let scheduler = limited!(FinalizationServiceClient::new(scheduler));
        Self { store, scheduler, lifecycle: lifecycle.clone(), looking: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(RunId, i32), bool>> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, in the background, whether enough tests of a generation have failed: some just did, and that is committed.
    pub(crate) fn look(&self, run_id: RunId, generation: i32, failures_max: i32) {
        let key = (run_id, generation);
        match self.lock().entry(key) {
            Entry::Occupied(mut again) => {
                again.insert(true);
                return;
            }
            Entry::Vacant(vacant) => vacant.insert(false),
        };
        let this = self.clone();
        self.lifecycle.spawn("fail_fast", async move {
            loop {
                if let Err(error) = this.stop(run_id, generation, failures_max).await {
                    tracing::warn!(run.id = %run_id, error = %error_chain(&error), "run not stopped");
                }
                let mut looking = this.lock();
                match looking.get_mut(&key) {
                    Some(again) if *again => *again = false,
                    _ => {
                        looking.remove(&key);
                        return;
                    }
                }
            }
        });
    }

    async fn stop(
        &self,
        run_id: RunId,
        generation: i32,
        failures_max: i32,
    ) -> Result<(), StopError> {
        let failures = self.store.count_failures(run_id, generation).await;
        if failures.map_err(StopError::Store)? < failures_max {
            return Ok(());
        }
        let reason = v1::StopReason::FailFast.into();
        let request = v1::StopRunRequest { run_id: run_id.to_string(), generation, reason };
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let stopped = retry_unavailable(backoff, STOP_PATIENCE, || {
            let request = with_deadline(request.clone(), STOP_DEADLINE);
            let mut scheduler = self.scheduler.clone();
            async move { scheduler.stop_run(request).await }
        });
        stopped.await.map_err(|status| StopError::Scheduler(Box::new(status)))?;
        Ok(())
    }
}
