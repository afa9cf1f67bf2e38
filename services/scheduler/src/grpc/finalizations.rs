//! `FinalizationService`: leases to compute verdicts, and the close.

use super::Handlers;
use super::error::CallError;
use super::runs::run_id;
use gauntlet_core::limits::POLL_TIMEOUT_MAX;
use gauntlet_core::protocol::{StopReason, VerdictState};
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::v1::{self, finalization_service_server::FinalizationService};
use gauntlet_rpc::{draining, invalid_fields, status};
use tonic::{Request, Response, Status};

const CLAIMS_MAX: i32 = 64;
const HELD_MAX: usize = 256;

#[tonic::async_trait]
impl FinalizationService for Handlers {
    async fn claim_finalizations(
        &self,
        request: Request<v1::ClaimFinalizationsRequest>,
    ) -> Result<Response<v1::ClaimFinalizationsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let replica = violations.take(edge::uuid("replica_id", &request.replica_id));
        let rule = format!("must be between 1 and {CLAIMS_MAX}");
        violations.check((1..=CLAIMS_MAX).contains(&request.claims_max), "claims_max", rule);
        let timeout = request.poll_timeout.unwrap_or_default();
        let timeout = violations.take(edge::duration("poll_timeout", &timeout));
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let replica = ReplicaId(replica.unwrap_or_default());
        let claims_max = usize::try_from(request.claims_max).unwrap_or(1);
        let timeout = timeout.unwrap_or_default().min(POLL_TIMEOUT_MAX);
        let claims = tokio::select! {
            claims = self.finalizations.claim(replica, claims_max, timeout) => claims,
            () = self.lifecycle.draining() => return Err(draining()),
        };
        let claims = claims.map_err(|error| status(&error))?;
        Ok(Response::new(v1::ClaimFinalizationsResponse { claims }))
    }

    async fn renew_finalizations(
        &self,
        request: Request<v1::RenewFinalizationsRequest>,
    ) -> Result<Response<v1::RenewFinalizationsResponse>, Status> {
        let request = request.into_inner();
        let replica = edge::uuid("replica_id", &request.replica_id).map(ReplicaId);
        let replica = replica.map_err(|v| invalid_fields(&[v]))?;
        let mut violations = Violations::default();
        violations.check(request.held.len() <= HELD_MAX, "held", "at most 256 leases");
        let held = request.held.iter().filter_map(|held| {
            let run_id = violations.take(edge::uuid("held.run_id", &held.run_id))?;
            Some((RunId(run_id), held.generation, u32::try_from(held.finalizer_epoch).ok()?))
        });
        let held: Vec<_> = held.collect();
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let renewed = self.finalizations.renew(replica, &held).await;
        let renewed = renewed.map_err(|error| status(&error))?.into_iter();
        let renewed = renewed.map(|(run_id, generation, epoch)| v1::HeldFinalization {
            run_id: run_id.to_string(),
            generation,
            finalizer_epoch: i64::from(epoch),
        });
        Ok(Response::new(v1::RenewFinalizationsResponse { renewed: renewed.collect() }))
    }

    async fn stop_run(
        &self,
        request: Request<v1::StopRunRequest>,
    ) -> Result<Response<v1::StopRunResponse>, Status> {
        let request = request.into_inner();
        let run_id = run_id(&request.run_id)?;
        let reason = match request.reason() {
            v1::StopReason::FailFast => Some(StopReason::FailFast),
            v1::StopReason::Deadline => Some(StopReason::Deadline),
            v1::StopReason::Unspecified => None,
        };
        let generation = u32::try_from(request.generation);
        let mut violations = Violations::default();
        violations.check(generation.is_ok(), "generation", "must not be negative");
        violations.check(reason.is_some(), "reason", "must be set to a known value");
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let (Ok(generation), Some(reason)) = (generation, reason) else {
            return Ok(Response::new(v1::StopRunResponse::default()));
        };
        let stopped = self.finalizations.stop(run_id, generation, reason).await;
        let stopped = stopped.map_err(|error| status(&error))?;
        Ok(Response::new(v1::StopRunResponse { stopped }))
    }

    async fn close_run(
        &self,
        request: Request<v1::CloseRunRequest>,
    ) -> Result<Response<v1::CloseRunResponse>, Status> {
        let request = request.into_inner();
        let run_id = run_id(&request.run_id)?;
        let verdict = request.verdict.unwrap_or_default();
        let state = match verdict.state() {
            v1::RunState::Passed => Some(VerdictState::Passed),
            v1::RunState::Failed => Some(VerdictState::Failed),
            v1::RunState::Errored => Some(VerdictState::Errored),
            _ => None,
        };
        let mut violations = Violations::default();
        violations.check(state.is_some(), "verdict.state", "must be PASSED, FAILED or ERRORED");
        violations.check(verdict.digest.len() == 64, "verdict.digest", "must be a SHA-256 in hex");
        let generation = u32::try_from(request.generation);
        violations.check(generation.is_ok(), "generation", "must not be negative");
        let epoch = u32::try_from(request.finalizer_epoch);
        violations.check(epoch.is_ok(), "finalizer_epoch", "must not be negative");
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let (generation, epoch) = (generation.unwrap_or(0), epoch.unwrap_or(0));
        let state = state.unwrap_or(VerdictState::Errored);
        let closed = self.finalizations.close(run_id, generation, epoch, state, &verdict).await;
        let already_closed = closed.map_err(|error| status(&error))?;
        Ok(Response::new(v1::CloseRunResponse { state: verdict.state, already_closed }))
    }

    async fn get_generation(
        &self,
        request: Request<v1::GetGenerationRequest>,
    ) -> Result<Response<v1::GetGenerationResponse>, Status> {
        let v1::GetGenerationRequest { run_id: text, generation } = request.into_inner();
        let run_id = run_id(&text)?;
        let ordinals = self.store.list_ordinals(run_id, generation).await;
        let ordinals = ordinals.map_err(|error| status(&CallError::Store(error)))?;
        if ordinals.is_empty() {
            return Err(status(&CallError::NoSuchRun(run_id)));
        }
        Ok(Response::new(v1::GetGenerationResponse { ordinals }))
    }
}
