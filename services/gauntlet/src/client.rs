//! The mesh as a client sees it: typed calls with deadlines, retries where the contract allows them, pages read to the end.
//!
//! Every call goes to the gateway. It decides nothing; it only turns a refused call into a `Failure` that a person can act on.

use crate::failure::Failure;
use gauntlet_core::limits::RECORDING_BYTES_MAX;
use gauntlet_proto::v1::{
    self, audit_service_client::AuditServiceClient, gateway_service_client::GatewayServiceClient,
    results_service_client::ResultsServiceClient, scheduler_service_client::SchedulerServiceClient,
};
use gauntlet_rpc::{Peer, limited, retry_unavailable, with_deadline};
use gauntlet_runtime::Backoff;
use std::time::Duration;
use tonic::{Response, Status};

/// How long one unary call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// How long a call is repeated while the mesh cannot be reached.
const RETRY_DEADLINE: Duration = Duration::from_secs(20);
/// How long we wait for a sign of life.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
const PAGE_SIZE: i32 = 1_000;
/// Largest message of `SchedulerService`: one recording of the largest size, its name and its tags.
const RECORDING_MESSAGE_BYTES_MAX: usize = RECORDING_BYTES_MAX + 64 * 1024;

/// What was checked, and what was found.
type Audit = (Vec<v1::InvariantAudit>, Vec<v1::InvariantViolation>);

/// A mesh behind its gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mesh {
    endpoint: String,
    pub(crate) gateway: GatewayServiceClient<Peer>,
    pub(crate) scheduler: SchedulerServiceClient<Peer>,
    pub(crate) results: ResultsServiceClient<Peer>,
    audit: AuditServiceClient<Peer>,
}

impl Mesh {
    /// Returns a mesh that connects at the first call.
    pub(crate) fn connect(endpoint: &str) -> Result<Self, Failure> {
        let peer = Peer::connect_lazy(endpoint)
            .map_err(|error| Failure::Usage(gauntlet_runtime::error_chain(&error)))?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            gateway: limited!(GatewayServiceClient::new(peer.clone())),
            scheduler: SchedulerServiceClient::new(peer.clone())
                .max_decoding_message_size(RECORDING_MESSAGE_BYTES_MAX)
                .max_encoding_message_size(RECORDING_MESSAGE_BYTES_MAX),
            results: limited!(ResultsServiceClient::new(peer.clone())),
            audit: limited!(AuditServiceClient::new(peer)),
        })
    }

    /// Returns whether a gateway answers there.
    pub(crate) async fn answers(&self) -> bool {
        let request = with_deadline(v1::GetMeshRequest {}, ANSWER_DEADLINE);
        self.gateway.clone().get_mesh(request).await.is_ok()
    }

    /// Returns whether the gateway serves and reaches every service of these names.
    pub(crate) async fn reaches(&self, names: [&str; 3]) -> bool {
        let request = with_deadline(v1::GetMeshRequest {}, ANSWER_DEADLINE);
        let Ok(reply) = self.gateway.clone().get_mesh(request).await else { return false };
        let services = &reply.get_ref().services;
        names.into_iter().all(|name| services.iter().any(|one| one.name == name && one.serving))
    }

    /// Makes a call that can be repeated, with a deadline and retries.
    pub(crate) async fn call<M, T, F, Fut>(
        &self,
        what: &str,
        message: M,
        call: F,
    ) -> Result<T, Failure>
    where
        M: Clone,
        F: Fn(Self, tonic::Request<M>) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let attempt = || call(self.clone(), with_deadline(message.clone(), CALL_DEADLINE));
        match retry_unavailable(backoff, RETRY_DEADLINE, attempt).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.refused(what, &status)),
        }
    }

    /// Returns the failure for a refused call; names the server when it cannot be reached.
    pub(crate) fn refused(&self, what: &str, status: &Status) -> Failure {
        if gauntlet_rpc::is_unavailable(status) {
            return Failure::remote(&format!("{what} at {}", self.endpoint), status);
        }
        Failure::remote(what, status)
    }

    /// Returns a run.
    pub(crate) async fn get_run(&self, run_id: &str) -> Result<v1::Run, Failure> {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        let reply = self
            .call("cannot get the run", request, |mut mesh, request| async move {
                mesh.scheduler.get_run(request).await
            })
            .await?;
        present(reply.run)
    }

    /// Admits a run; `request_id` makes the repetition harmless.
    pub(crate) async fn trigger_run(
        &self,
        request: v1::TriggerRunRequest,
    ) -> Result<v1::Run, Failure> {
        let reply = self
            .call("cannot start the run", request, |mut mesh, request| async move {
                mesh.scheduler.trigger_run(request).await
            })
            .await?;
        present(reply.run)
    }

    /// Aborts a generation of a run; returns the run, which may be in a later one.
    pub(crate) async fn abort_run(
        &self,
        run_id: &str,
        generation: i32,
        reason: &str,
    ) -> Result<v1::Run, Failure> {
        let (run_id, reason) = (run_id.to_owned(), reason.to_owned());
        let request = v1::AbortRunRequest { run_id, reason, generation };
        let reply = self
            .call("cannot abort the run", request, |mut mesh, request| async move {
                mesh.scheduler.abort_run(request).await
            })
            .await?;
        present(reply.run)
    }

    /// Runs tests of a run again; the same request can be repeated.
    pub(crate) async fn retry_run(&self, request: v1::RetryRunRequest) -> Result<v1::Run, Failure> {
        let reply = self
            .call("cannot retry the run", request, |mut mesh, request| async move {
                mesh.scheduler.retry_run(request).await
            })
            .await?;
        present(reply.run)
    }

    /// Returns up to `limit` runs, newest first.
    pub(crate) async fn list_runs(
        &self,
        project: &str,
        states: &[v1::RunState],
        limit: usize,
    ) -> Result<Vec<v1::Run>, Failure> {
        let mut request = v1::ListRunsRequest {
            project: project.to_owned(),
            states: states.iter().map(|state| *state as i32).collect(),
            page_size: i32::try_from(limit).unwrap_or(PAGE_SIZE).min(PAGE_SIZE),
            page_token: String::new(),
        };
        let mut runs = Vec::new();
        loop {
            let reply = self
                .call("cannot list runs", request.clone(), |mut mesh, request| async move {
                    mesh.scheduler.list_runs(request).await
                })
                .await?;
            runs.extend(reply.runs);
            request.page_token = reply.next_page_token;
            if runs.len() >= limit || request.page_token.is_empty() {
                runs.truncate(limit);
                return Ok(runs);
            }
        }
    }

    /// Audits one run; returns what was checked and what was found.
    pub(crate) async fn audit_run(&self, run_id: &str) -> Result<Audit, Failure> {
        let request = v1::AuditRunRequest { run_id: run_id.to_owned() };
        let reply = self
            .call("cannot audit the run", request, |mut mesh, request| async move {
                mesh.audit.audit_run(request).await
            })
            .await?;
        Ok((reply.invariants, reply.violations))
    }

    /// Returns what the continuous audit has checked and found.
    pub(crate) async fn audit_ledger(&self) -> Result<Audit, Failure> {
        let reply = self
            .call(
                "cannot read the audit",
                v1::AuditLedgerRequest {},
                |mut mesh, request| async move { mesh.audit.audit_ledger(request).await },
            )
            .await?;
        Ok((reply.invariants, reply.violations))
    }

    /// Returns every planned test of a run, by ordinal.
    pub(crate) async fn list_planned_tests(
        &self,
        run_id: &str,
    ) -> Result<Vec<v1::PlannedTest>, Failure> {
        let mut request = v1::ListPlannedTestsRequest {
            run_id: run_id.to_owned(),
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        let mut tests = Vec::new();
        loop {
            let reply = self
                .call("cannot list the run's tests", request.clone(), |mut mesh, request| async move {
                    mesh.scheduler.list_planned_tests(request).await
                })
                .await?;
            tests.extend(reply.tests);
            request.page_token = reply.next_page_token;
            if request.page_token.is_empty() {
                return Ok(tests);
            }
        }
    }
}

fn present(run: Option<v1::Run>) -> Result<v1::Run, Failure> {
    run.ok_or_else(|| Failure::Infrastructure("the mesh answered without a run".to_owned()))
}
