//! `AuditService` over the rows of one service.

use crate::{AuditError, Audited, Finding};
use gauntlet_pg::{Transaction, Tx};
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, audit_service_server::AuditService};
use gauntlet_rpc::{invalid_fields, status};
use gauntlet_runtime::Clock;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Serves the audits of what `A` owns.
#[derive(Debug, Clone)]
pub struct AuditHandlers<A> {
    audited: A,
}

impl<A: Audited> AuditHandlers<A> {
    /// Returns the handlers.
    pub fn new(audited: A) -> Self {
        Self { audited }
    }
}

/// Checks runs now; writes nothing.
struct AuditRuns<'a, A> {
    audited: &'a A,
    runs: &'a [Uuid],
}

impl<A: Audited> Transaction for AuditRuns<'_, A> {
    const LABEL: &'static str = "audit_run";
    type Output = Vec<Finding>;
    type Error = AuditError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Vec<Finding>, AuditError> {
        self.audited.check(tx, self.runs).await
    }
}

/// Returns what the runs break now; the books are not touched.
///
/// # Errors
/// When Postgres fails.
pub async fn audit<A: Audited>(audited: &A, runs: &[Uuid]) -> Result<Vec<Finding>, AuditError> {
    audited.pool().transact(&AuditRuns { audited, runs }).await
}

#[tonic::async_trait]
impl<A: Audited> AuditService for AuditHandlers<A> {
    async fn audit_run(
        &self,
        request: Request<v1::AuditRunRequest>,
    ) -> Result<Response<v1::AuditRunResponse>, Status> {
        let run_id = edge::uuid("run_id", &request.into_inner().run_id);
        let run_id = run_id.map_err(|violation| invalid_fields(&[violation]))?;
        let audited = &self.audited;
        audited.expect_run(run_id).await.map_err(|error| status(&error))?;
        let found = audit(audited, &[run_id]).await;
        let found = found.map_err(|error| status(&error))?;
        let now = Clock::system().now();
        let invariant = |id: &&'static str| v1::InvariantAudit {
            invariant: (*id).to_owned(),
            service: A::SERVICE.to_owned(),
            check_time: Some(edge::timestamp(now)),
            run_count: 1,
            violation_count: found.iter().filter(|finding| finding.invariant == **id).count()
                as i64,
        };
        Ok(Response::new(v1::AuditRunResponse {
            invariants: A::INVARIANTS.iter().map(invariant).collect(),
            violations: found.iter().map(|finding| finding.wire(A::SERVICE, now)).collect(),
        }))
    }

    async fn audit_ledger(
        &self,
        _: Request<v1::AuditLedgerRequest>,
    ) -> Result<Response<v1::AuditLedgerResponse>, Status> {
        let ledger = A::BOOKS.read(self.audited.pool(), A::SERVICE).await;
        ledger.map(Response::new).map_err(|error| status(&error))
    }
}
