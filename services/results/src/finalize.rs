//! The finalizer: claims runs whose shards are all closed, seals, judges, closes.
//!
//! Order: seal (waits for reports in flight) → read in a later statement → judge by `core` → store the verdict unless a
//! newer finalizer did, all in one transaction → close at the scheduler → note it. A crash anywhere: the lease expires, and
//! the next finalizer computes the same from the sealed rows, under a higher epoch. A note that got lost changes nothing: a
//! closed run is never claimed again.

mod leases;

use crate::grpc::wire;
use crate::store::{Judge, Store, StoreError};
use gauntlet_core::protocol::VerdictState;
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_core::verdict::{SkipReason, judge};
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_pg::Retry;
use gauntlet_proto::v1::{self, finalization_service_client::FinalizationServiceClient};
use gauntlet_proto::{FieldViolation, edge};
use gauntlet_rpc::{Peer, Reason, limited, reason_of, retry_unavailable, with_deadline};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use leases::Leases;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Status;
use tracing::Instrument as _;

/// How long one poll waits for work.
const POLL_TIMEOUT: Duration = Duration::from_secs(20);
/// What a poll may take beyond its waiting.
const POLL_MARGIN: Duration = Duration::from_secs(5);
/// Finalizations in progress; as many as one poll may ask for.
const CLAIMS_MAX: usize = 64;
/// How long the close is repeated while the scheduler is away; then the lease is somebody else's anyway.
const CLOSE_PATIENCE: Duration = Duration::from_secs(60);

/// How long the end of the generation before may be on its way through the feed.
const FORMER_PATIENCE: Duration = Duration::from_secs(60);

/// Why a finalization was given up here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinalizeError {
    #[error("the claim is malformed: {} {}", .0.field, .0.description)]
    Claim(FieldViolation),
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("a newer finalizer stored a verdict")]
    Superseded,
    #[error("generation {generation} of the run ended, but nothing sealed it")]
    FormerOpen { generation: i32 },
    #[error("the scheduler refused the close")]
    Close(#[source] Box<Status>),
}

/// The finalizer of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Finalizer {
    store: Store,
    scheduler: FinalizationServiceClient<Peer>,
    replica: ReplicaId,
    lifecycle: Lifecycle,
    leases: Leases,
    closed: mpsc::Sender<(RunId, i32)>,
}

impl Finalizer {
    /// Claims and finalizes until the drain; what is in progress then is finished by tasks of `lifecycle`.
    pub(crate) async fn run(
        store: Store,
        scheduler: Peer,
        replica: ReplicaId,
        lifecycle: Lifecycle,
    ) {
        let scheduler = limited!(FinalizationServiceClient::new(scheduler));
        let (closed, noted) = mpsc::channel(CLAIMS_MAX);
        let leases = Leases::default();
        let keeper = leases.clone().run(replica, scheduler.clone(), lifecycle.clone());
        lifecycle.spawn("finalization_leases", keeper);
        lifecycle.spawn("note_closed", note_closed(store.clone(), noted));
        Self { store, scheduler, replica, lifecycle, leases, closed }.claim().await;
    }

    /// Asks for as many claims as are free, and for none while none is.
    async fn claim(self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let permits = Arc::new(Semaphore::new(CLAIMS_MAX));
        loop {
            let claims = tokio::select! {
                () = self.lifecycle.draining() => return,
                claims = self.poll(&permits) => claims,
            };
            match claims {
                Ok(claims) => {
                    backoff.reset();
                    for (claim, permit) in claims {
                        let this = self.clone();
                        let work = async move { this.work(claim, permit).await };
                        self.lifecycle.spawn("finalize_run", work);
                    }
                }
                Err(status) => {
                    tracing::debug!(
                        message = status.message(),
                        "scheduler gives no finalizations yet"
                    );
                    backoff.sleep().await;
                }
            }
        }
    }

    async fn poll(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Result<Vec<(v1::FinalizationClaim, OwnedSemaphorePermit)>, Status> {
        let mut free = Vec::with_capacity(CLAIMS_MAX);
        // Never closed, so there is a permit in the end.
        free.extend(Arc::clone(permits).acquire_owned().await.ok());
        free.extend(std::iter::from_fn(|| Arc::clone(permits).try_acquire_owned().ok()));
        let request = v1::ClaimFinalizationsRequest {
            replica_id: self.replica.to_string(),
            claims_max: i32::try_from(free.len()).unwrap_or(1),
            poll_timeout: Some(edge::wire_duration(POLL_TIMEOUT)),
        };
        let request = with_deadline(request, POLL_TIMEOUT + POLL_MARGIN);
        let reply = self.scheduler.clone().claim_finalizations(request).await?;
        Ok(reply.into_inner().claims.into_iter().zip(free).collect())
    }

    /// Finalizes one run while its lease is kept.
    async fn work(&self, claim: v1::FinalizationClaim, _permit: OwnedSemaphorePermit) {
        let generation = claim.generation;
        let span =
            tracing::info_span!("finalize", run.id = claim.run_id, run.generation = generation);
        gauntlet_rpc::link(&span, &claim.traceparent);
        self.work_in_span(claim).instrument(span).await;
    }

    async fn work_in_span(&self, claim: v1::FinalizationClaim) {
        let mut lease = self.leases.keep(&claim);
        let run_id = claim.run_id.clone();
        let worked = tokio::select! {
            worked = self.finalize_through_outages(&claim) => worked,
            () = lease.lost() => {
                tracing::warn!(run.id = run_id, "finalization lease lost");
                return;
            }
        };
        match worked {
            Ok(state) => {
                tracing::info!(run.id = run_id, state = state.as_str_name(), "run finalized")
            }
            Err(error) => {
                tracing::warn!(run.id = run_id, error = %error_chain(&error), "finalization given up");
            }
        }
    }

    /// Tries again while the store is away: the lease is kept meanwhile, so an outage burns no epochs.
    async fn finalize_through_outages(
        &self,
        claim: &v1::FinalizationClaim,
    ) -> Result<v1::RunState, FinalizeError> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match self.finalize(claim).await {
                Err(FinalizeError::Store(error)) if may_pass(&error) => {
                    tracing::warn!(run.id = claim.run_id, error = %error_chain(&error), "finalization waits for the store");
                    backoff.sleep().await;
                }
                done => return done,
            }
        }
    }

    async fn finalize(&self, claim: &v1::FinalizationClaim) -> Result<v1::RunState, FinalizeError> {
        let run_id =
            edge::uuid("run_id", &claim.run_id).map(RunId).map_err(FinalizeError::Claim)?;
        self.former_sealed(run_id, claim.generation).await?;
        let ending = ending(claim);
        let stopped = stopped(claim);
        let reported: Vec<_> =
            claim.shards.iter().map(|shard| (shard.shard_index, shard.reported_count)).collect();
        let judge = move |sealed: &Sealed| verdict(sealed, sealed.misses_rows(&reported), stopped);
        let encoded = |sealed: &Sealed| judge(sealed).encode_to_vec();
        let with = (claim.finalizer_epoch, &encoded as &Judge<'_>);
        let sealed = self.store.seal_and_judge(run_id, &ending, with).await;
        let sealed = sealed.map_err(FinalizeError::Store)?.ok_or(FinalizeError::Superseded)?;
        let verdict = judge(&sealed);
        let state = verdict.state();
        self.close(claim, verdict).await?;
        // Only fails when the process ends.
        let _ = self.closed.send((run_id, claim.generation)).await;
        Ok(state)
    }

    /// Waits until the generation before is sealed: an abort of it may still be on its way here. Given up with the lease
    /// when it never comes, so that the claims of a generation bound the wait.
    async fn former_sealed(&self, run_id: RunId, generation: i32) -> Result<(), FinalizeError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let sealed = async {
            while generation > 1
                && !self
                    .store
                    .is_sealed(run_id, generation - 1)
                    .await
                    .map_err(FinalizeError::Store)?
            {
                backoff.sleep().await;
            }
            Ok(())
        };
        let sealed = tokio::time::timeout(FORMER_PATIENCE, sealed).await;
        sealed.unwrap_or(Err(FinalizeError::FormerOpen { generation: generation - 1 }))
    }

    async fn close(
        &self,
        claim: &v1::FinalizationClaim,
        verdict: v1::Verdict,
    ) -> Result<(), FinalizeError> {
        let request = v1::CloseRunRequest {
            run_id: claim.run_id.clone(),
            generation: claim.generation,
            finalizer_epoch: claim.finalizer_epoch,
            verdict: Some(verdict),
        };
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let closed = retry_unavailable(backoff, CLOSE_PATIENCE, || {
            let (mut scheduler, request) = (self.scheduler.clone(), request.clone());
            async move { scheduler.close_run(request).await }
        });
        match closed.await {
            Ok(_) => Ok(()),
            // Somebody ended the run otherwise, an abort for example: first writer wins, nothing to do.
            Err(status) if reason_of(&status) == Some(Reason::RunTerminal) => Ok(()),
            Err(status) => Err(FinalizeError::Close(Box::new(status))),
        }
    }
}

/// Freezes verdicts of closed runs, many in one statement. Ends with the last finalization.
async fn note_closed(store: Store, mut noted: mpsc::Receiver<(RunId, i32)>) {
    let mut closed = Vec::with_capacity(CLAIMS_MAX);
    while noted.recv_many(&mut closed, CLAIMS_MAX).await > 0 {
        if let Err(error) = store.close_verdicts(&closed).await {
            tracing::warn!(error = %error_chain(&error), count = closed.len(), "closed verdicts not noted");
        }
        closed.clear();
    }
}

/// Returns whether the store may take it later; a bug is given up, and the scheduler counts the claim.
fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Pg(error) => error.retry() != Retry::Never,
        StoreError::Inconsistent { .. } => false,
    }
}

/// Returns how the claimed generation ended.
fn ending(claim: &v1::FinalizationClaim) -> Ending {
    let ordinals = |shard: &v1::ShardSummary| -> Vec<u32> {
        shard.ordinals.iter().map(|ordinal| ordinal.unsigned_abs()).collect()
    };
    let failed = claim.shards.iter().filter(|shard| !shard.failure_class.is_empty());
    let errored = failed.flat_map(ordinals).collect();
    Ending {
        generation: claim.generation,
        test_count: claim.test_count.unsigned_abs(),
        planned: Some(claim.shards.iter().flat_map(ordinals).collect()),
        rest: Rest::Ended { errored, stopped: stopped(claim) },
    }
}

fn stopped(claim: &v1::FinalizationClaim) -> Option<SkipReason> {
    match claim.stop_reason() {
        v1::StopReason::FailFast => Some(SkipReason::FailFast),
        v1::StopReason::Deadline => Some(SkipReason::Deadline),
        v1::StopReason::Unspecified => None,
    }
}

fn verdict(sealed: &Sealed, rows_lost: bool, stopped: Option<SkipReason>) -> v1::Verdict {
    let counts = sealed.counts();
    let (state, error) = judge(&counts, rows_lost, stopped.or(sealed.skip_reason()));
    let state = match state {
        VerdictState::Passed => v1::RunState::Passed,
        VerdictState::Failed => v1::RunState::Failed,
        VerdictState::Errored => v1::RunState::Errored,
    };
    v1::Verdict {
        state: state.into(),
        counts: Some(wire::counts(&counts)),
        error: error.unwrap_or_default().to_owned(),
        retry_count: i32::try_from(sealed.retry_count()).unwrap_or(i32::MAX),
        failed_after_retry: i32::try_from(sealed.failed_after_retry()).unwrap_or(i32::MAX),
        digest: sealed.digest(),
    }
}
