//! `AuditService` of the mesh: what scheduler and results say of their own rows, as one answer.
//!
//! Half an audit is none: when one of them cannot be reached, the call fails and names it.

use crate::grpc::{Handlers, Peers, peer_status};
use gauntlet_proto::v1::{
    self, audit_service_client::AuditServiceClient, audit_service_server::AuditService,
};
use gauntlet_rpc::limited;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AuditService for Handlers {
    async fn audit_run(
        &self,
        request: Request<v1::AuditRunRequest>,
    ) -> Result<Response<v1::AuditRunResponse>, Status> {
        let request = request.into_inner();
        let Peers { scheduler, results, .. } = self.peers();
        let mut scheduler = limited!(AuditServiceClient::new(scheduler.clone()));
        let mut results = limited!(AuditServiceClient::new(results.clone()));
        let (control, data) =
            tokio::join!(scheduler.audit_run(request.clone()), results.audit_run(request));
        let mut audit = control.map_err(|status| peer_status("scheduler", status))?.into_inner();
        let data = data.map_err(|status| peer_status("results", status))?.into_inner();
        audit.invariants.extend(data.invariants);
        audit.violations.extend(data.violations);
        audit.invariants.sort_by(|a, b| a.invariant.cmp(&b.invariant));
        Ok(Response::new(audit))
    }

    async fn audit_ledger(
        &self,
        request: Request<v1::AuditLedgerRequest>,
    ) -> Result<Response<v1::AuditLedgerResponse>, Status> {
        let request = request.into_inner();
        let Peers { scheduler, results, .. } = self.peers();
        let mut scheduler = limited!(AuditServiceClient::new(scheduler.clone()));
        let mut results = limited!(AuditServiceClient::new(results.clone()));
        let (control, data) =
            tokio::join!(scheduler.audit_ledger(request), results.audit_ledger(request));
        let mut ledger = control.map_err(|status| peer_status("scheduler", status))?.into_inner();
        let data = data.map_err(|status| peer_status("results", status))?.into_inner();
        ledger.invariants.extend(data.invariants);
        ledger.violations.extend(data.violations);
        ledger.invariants.sort_by(|a, b| a.invariant.cmp(&b.invariant));
        Ok(Response::new(ledger))
    }
}
