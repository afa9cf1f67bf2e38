//! The finalizer: claims runs whose shards are all closed, seals, judges, closes.
//!
//! Order: seal (waits for reports in flight) → read in a later statement → judge by `core` → store the verdict unless a
//! newer finalizer did → close at the scheduler → note it. A crash anywhere: the lease expires, and the next finalizer
//! computes the same from the sealed rows, under a higher epoch.

use crate::grpc::wire;
use crate::seal::{Rest, Sealed};
use crate::store::{Store, StoreError};
use gauntlet_core::protocol::VerdictState;
use gauntlet_core::verdict::judge;
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_proto::v1::{self, finalization_service_client::FinalizationServiceClient};
use gauntlet_proto::{FieldViolation, edge};
use gauntlet_rpc::{Peer, Reason, limited, reason_of, retry_unavailable, with_deadline};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Status;

/// How long one poll waits for work.
const POLL_TIMEOUT: Duration = Duration::from_secs(20);
/// What a poll may take beyond its waiting.
const POLL_MARGIN: Duration = Duration::from_secs(5);
/// Claims worked on at once.
const CLAIMS_MAX: i32 = 16;
/// How long the close is repeated while the scheduler is away; then the lease is somebody else's anyway.
const CLOSE_PATIENCE: Duration = Duration::from_secs(60);

/// Why a finalization was given up here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinalizeError {
    #[error("the claim is malformed: {} {}", .0.field, .0.description)]
    Claim(FieldViolation),
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("a newer finalizer stored a verdict")]
    Superseded,
    #[error("the scheduler refused the close")]
    Close(#[source] Box<Status>),
}

/// The finalizer of this process.
#[derive(Clone)]
pub(crate) struct Finalizer {
    store: Store,
    scheduler: FinalizationServiceClient<Peer>,
    replica: ReplicaId,
    lifecycle: Lifecycle,
}

impl Finalizer {
    pub(crate) fn new(
        store: Store,
        scheduler: Peer,
        replica: ReplicaId,
        lifecycle: &Lifecycle,
    ) -> Self {
        let scheduler = limited!(FinalizationServiceClient::new(scheduler));
        Self { store, scheduler, replica, lifecycle: lifecycle.clone() }
    }

    /// Claims and finalizes until the drain.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        while !self.lifecycle.is_draining() {
            let claims = tokio::select! {
                () = self.lifecycle.draining() => return,
                claims = self.poll() => claims,
            };
            match claims {
                Ok(claims) => {
                    backoff.reset();
                    for claim in claims {
                        let this = self.clone();
                        self.lifecycle.spawn("finalize_run", async move { this.work(claim).await });
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

    async fn poll(&self) -> Result<Vec<v1::FinalizationClaim>, Status> {
        let request = v1::ClaimFinalizationsRequest {
            replica_id: self.replica.to_string(),
            claims_max: CLAIMS_MAX,
            poll_timeout: Some(edge::wire_duration(POLL_TIMEOUT)),
        };
        let request = with_deadline(request, POLL_TIMEOUT + POLL_MARGIN);
        let reply = self.scheduler.clone().claim_finalizations(request).await?;
        Ok(reply.into_inner().claims)
    }

    /// Finalizes one run while another task keeps its lease.
    async fn work(&self, claim: v1::FinalizationClaim) {
        let run_id = claim.run_id.clone();
        let worked = tokio::select! {
            worked = self.finalize_through_outages(&claim) => worked,
            () = self.keep_lease(&claim) => {
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
                Err(FinalizeError::Store(error)) => {
                    tracing::warn!(run.id = claim.run_id, error = %error_chain(&error), "finalization waits for the store");
                    backoff.sleep().await;
                }
                done => return done,
            }
        }
    }

    /// Renews the lease; returns when it is lost.
    async fn keep_lease(&self, claim: &v1::FinalizationClaim) {
        let ttl = claim.lease_ttl.as_ref().and_then(|ttl| edge::duration("lease_ttl", ttl).ok());
        let interval = ttl.unwrap_or(Duration::from_secs(15)) / 3;
        let held = v1::HeldFinalization {
            run_id: claim.run_id.clone(),
            generation: claim.generation,
            finalizer_epoch: claim.finalizer_epoch,
        };
        loop {
            tokio::time::sleep(interval).await;
            let request = v1::RenewFinalizationsRequest {
                replica_id: self.replica.to_string(),
                held: vec![held.clone()],
            };
            // A renewal that fails is repeated; the epoch protects the close.
            let renewed = self.scheduler.clone().renew_finalizations(request).await;
            if renewed.is_ok_and(|reply| reply.into_inner().renewed.is_empty()) {
                return;
            }
        }
    }

    async fn finalize(&self, claim: &v1::FinalizationClaim) -> Result<v1::RunState, FinalizeError> {
        let run_id =
            edge::uuid("run_id", &claim.run_id).map(RunId).map_err(FinalizeError::Claim)?;
        let test_count = claim.test_count.unsigned_abs();
        let rest = Rest::Failed(errored_ordinals(claim));
        let sealed = self.store.seal(run_id, claim.generation, test_count, &rest).await;
        let sealed = sealed.map_err(FinalizeError::Store)?;
        let counts = self.store.row_counts(run_id, claim.generation).await;
        let counts = counts.map_err(FinalizeError::Store)?;
        let lost = claim.shards.iter().any(|shard| {
            counts.get(&shard.shard_index).copied().unwrap_or(0) < shard.reported_count
        });
        let verdict = verdict(&sealed, lost);
        let state = verdict.state();
        let bytes = verdict.encode_to_vec();
        let epoch = claim.finalizer_epoch;
        let stored = self.store.store_verdict(run_id, claim.generation, epoch, &bytes).await;
        if !stored.map_err(FinalizeError::Store)? {
            return Err(FinalizeError::Superseded);
        }
        self.close(claim, verdict).await?;
        self.store.close_verdict(run_id, claim.generation).await.map_err(FinalizeError::Store)?;
        Ok(state)
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

/// Tests of shards whose infrastructure failed for good.
fn errored_ordinals(claim: &v1::FinalizationClaim) -> BTreeSet<u32> {
    let failed = claim.shards.iter().filter(|shard| !shard.failure_class.is_empty());
    failed.flat_map(|shard| shard.ordinals.iter().map(|o| o.unsigned_abs())).collect()
}

fn verdict(sealed: &Sealed, rows_lost: bool) -> v1::Verdict {
    let counts = sealed.counts();
    let (state, error) = judge(&counts, rows_lost);
    let state = match state {
        VerdictState::Passed => v1::RunState::Passed,
        VerdictState::Failed => v1::RunState::Failed,
        VerdictState::Errored => v1::RunState::Errored,
    };
    v1::Verdict {
        state: state.into(),
        counts: Some(wire::counts(&counts)),
        error: error.unwrap_or_default().to_owned(),
        retry_count: i32::try_from(sealed.retry_count).unwrap_or(i32::MAX),
        failed_after_retry: i32::try_from(sealed.failed_after_retry).unwrap_or(i32::MAX),
        digest: sealed.digest(),
    }
}
