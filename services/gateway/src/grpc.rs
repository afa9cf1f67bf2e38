//! `GatewayService`: the mesh as one.

use crate::follow;
use gauntlet_proto::v1::{self, gateway_service_server::GatewayService};
use gauntlet_rpc::{Details, Peer, Reason, ToStatus, with_deadline};
use gauntlet_runtime::Lifecycle;
use std::pin::Pin;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use v1::scheduler_service_client::SchedulerServiceClient;

/// How long a peer may take to say that it serves.
const HEALTH_DEADLINE: Duration = Duration::from_secs(1);

/// The services behind the gateway. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) scheduler: Peer,
    pub(crate) results: Peer,
    pub(crate) notifier: Peer,
}

/// A peer cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{peer} cannot be reached")]
pub(crate) struct PeerUnavailable {
    pub(crate) peer: &'static str,
}

impl ToStatus for PeerUnavailable {
    fn reason(&self) -> Reason {
        Reason::PeerUnavailable
    }

    fn details(&self, d: &mut Details) {
        d.metadata("peer", self.peer);
    }
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handlers {
    peers: Peers,
    lifecycle: Lifecycle,
    silence_max: Duration,
}

impl Handlers {
    pub(crate) fn new(peers: Peers, lifecycle: Lifecycle, silence_max: Duration) -> Self {
        Self { peers, lifecycle, silence_max }
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }
}

#[tonic::async_trait]
impl GatewayService for Handlers {
    type FollowRunStream =
        Pin<Box<dyn Stream<Item = Result<v1::FollowRunResponse, Status>> + Send + 'static>>;

    async fn follow_run(
        &self,
        request: Request<v1::FollowRunRequest>,
    ) -> Result<Response<Self::FollowRunStream>, Status> {
        let Self { peers, lifecycle, silence_max } = self;
        let stream = follow::follow(peers, lifecycle, *silence_max, request.into_inner()).await?;
        Ok(Response::new(stream))
    }

    async fn get_mesh(
        &self,
        _request: Request<v1::GetMeshRequest>,
    ) -> Result<Response<v1::GetMeshResponse>, Status> {
        let Peers { scheduler, results, notifier } = &self.peers;
        let (scheduler, results, notifier) = tokio::join!(
            service("scheduler", scheduler),
            service("results", results),
            service("notifier", notifier),
        );
        Ok(Response::new(v1::GetMeshResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            services: vec![scheduler, results, notifier],
        }))
    }
}

async fn service(name: &str, peer: &Peer) -> v1::MeshService {
    let mut health = tonic_health::pb::health_client::HealthClient::new(peer.clone());
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let request = with_deadline(request, HEALTH_DEADLINE);
    let answer = tokio::time::timeout(HEALTH_DEADLINE, health.check(request)).await;
    let serving = answer.is_ok_and(|answer| {
        let wanted = tonic_health::pb::health_check_response::ServingStatus::Serving;
        answer.is_ok_and(|reply| reply.into_inner().status() == wanted)
    });
    v1::MeshService { name: name.to_owned(), serving }
}

/// Opens the scheduler's watch of a run.
pub(crate) async fn watch(
    peers: &Peers,
    run_id: &str,
    after_revision: i64,
) -> Result<tonic::Streaming<v1::WatchRunResponse>, Status> {
    let request = v1::WatchRunRequest { run_id: run_id.to_owned(), after_revision };
    let opened = SchedulerServiceClient::new(peers.scheduler.clone()).watch_run(request).await;
    opened.map(Response::into_inner).map_err(|status| peer_status("scheduler", status))
}

/// Says which peer is away; what a peer said itself passes unchanged.
pub(crate) fn peer_status(peer: &'static str, status: Status) -> Status {
    if gauntlet_rpc::is_unavailable(&status) && gauntlet_rpc::reason_of(&status).is_none() {
        return gauntlet_rpc::status(&PeerUnavailable { peer });
    }
    status
}
