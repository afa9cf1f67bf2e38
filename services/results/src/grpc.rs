//! The gRPC services of results: parse at the edge, call the store, convert the answer.

mod artifacts;
mod error;
mod ingest;
mod results;
pub(crate) mod wire;

use crate::artifacts::Artifacts;
use crate::fail_fast::FailFast;
use crate::ingest::Ingest;
use crate::store::Store;
use gauntlet_audit::AuditHandlers;
use gauntlet_proto::v1::audit_service_server::AuditServiceServer;
use gauntlet_proto::v1::ingest_service_server::IngestServiceServer;
use gauntlet_proto::v1::results_service_server::ResultsServiceServer;
use gauntlet_rpc::{Peer, limited};
use gauntlet_runtime::Lifecycle;
use tonic::service::Routes;

/// Names of the services, for health.
pub(crate) const SERVICES: [&str; 3] =
    ["gauntlet.v1.IngestService", "gauntlet.v1.ResultsService", "gauntlet.v1.AuditService"];

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handlers {
    store: Store,
    ingest: Ingest,
    artifacts: Artifacts,
    run_artifact_bytes_max: u64,
    fail_fast: FailFast,
    lifecycle: Lifecycle,
}

impl Handlers {
    pub(crate) fn new(
        store: Store,
        (artifacts, run_artifact_bytes_max): (Artifacts, u64),
        scheduler: Peer,
        lifecycle: Lifecycle,
    ) -> Self {
        let ingest = Ingest::start(store.clone(), &lifecycle);
        let fail_fast = FailFast::new(store.clone(), scheduler, &lifecycle);
        Self { store, ingest, artifacts, run_artifact_bytes_max, fail_fast, lifecycle }
    }

    /// Mounts every service.
    pub(crate) fn routes(&self) -> Routes {
        let mut routes = Routes::builder();
        routes
            .add_service(limited!(IngestServiceServer::new(self.clone())))
            .add_service(limited!(ResultsServiceServer::new(self.clone())))
            .add_service(limited!(AuditServiceServer::new(AuditHandlers::new(self.store.clone()))));
        routes.routes()
    }
}
