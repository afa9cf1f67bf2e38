//! The scheduler's gRPC services: parse at the edge, call the use case, convert the answer. No SQL, no decisions.

mod catalog;
mod convert;
mod emulation;
mod environments;
mod error;
mod feed;
mod finalizations;
mod kept;
mod leases;
mod requests;
mod runs;
mod watch;

use crate::commit::Committer;
use crate::dispatch::Dispatcher;
use crate::finalize::Finalizations;
use crate::store::Store;
use crate::vault::Vault;
use crate::wake::Wake;
use gauntlet_audit::AuditHandlers;
use gauntlet_proto::v1::audit_service_server::AuditServiceServer;
use gauntlet_proto::v1::event_feed_service_server::EventFeedServiceServer;
use gauntlet_proto::v1::finalization_service_server::FinalizationServiceServer;
use gauntlet_proto::v1::lease_service_server::LeaseServiceServer;
use gauntlet_proto::v1::scheduler_service_server::SchedulerServiceServer;
use gauntlet_rpc::limited;
use gauntlet_runtime::Lifecycle;
use std::sync::Arc;
use tonic::service::Routes;

/// Largest message of `SchedulerService`: one recording of the largest size and its envelope.
const RECORDING_MESSAGE_BYTES_MAX: usize = gauntlet_core::limits::RECORDING_BYTES_MAX + 64 * 1024;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) vault: Vault,
    pub(crate) finalizations: Finalizations,
    pub(crate) wake: Arc<Wake>,
    pub(crate) lifecycle: Lifecycle,
}

/// Names of the services, for health.
pub(crate) const SERVICES: [&str; 5] = [
    "gauntlet.v1.SchedulerService",
    "gauntlet.v1.LeaseService",
    "gauntlet.v1.FinalizationService",
    "gauntlet.v1.EventFeedService",
    "gauntlet.v1.AuditService",
];

impl Handlers {
    /// Mounts every service.
    pub(crate) fn routes(&self) -> Routes {
        let scheduler = SchedulerServiceServer::new(self.clone())
            .max_decoding_message_size(RECORDING_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(RECORDING_MESSAGE_BYTES_MAX);
        let mut routes = Routes::builder();
        routes
            .add_service(scheduler)
            .add_service(limited!(LeaseServiceServer::new(self.clone())))
            .add_service(limited!(FinalizationServiceServer::new(self.clone())))
            .add_service(limited!(EventFeedServiceServer::new(self.clone())))
            .add_service(limited!(AuditServiceServer::new(AuditHandlers::new(self.store.clone()))));
        routes.routes()
    }
}
