//! The gateway as a process or as a part of one: build, then run.

use crate::config::Config;
use crate::forward::{ToNotifier, ToResults, ToScheduler};
use crate::grpc::{Handlers, Peers};
use gauntlet_proto::v1::audit_service_server::AuditServiceServer;
use gauntlet_proto::v1::gateway_service_server::GatewayServiceServer;
use gauntlet_rpc::{Bound, EndpointError, Peer, ServeError, Server, limited};
use gauntlet_runtime::Lifecycle;
use std::net::SocketAddr;
use tonic::server::NamedService as _;
use tonic::service::Routes;

/// Why the gateway could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An endpoint is malformed.
    #[error("the gateway cannot use an endpoint")]
    Endpoint(#[source] EndpointError),
    /// The address cannot be listened on.
    #[error("the gateway cannot listen")]
    Bind(#[source] ServeError),
}

/// A gateway, built and listening, but not answering yet.
pub struct App {
    bound: Bound,
    lifecycle: Lifecycle,
}

impl App {
    /// Binds. It connects to a peer when it is first called.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: &Config, lifecycle: &Lifecycle) -> Result<Self, BuildError> {
        let peer = |endpoint: &str| Peer::connect_lazy(endpoint).map_err(BuildError::Endpoint);
        let peers = Peers {
            scheduler: peer(&config.scheduler)?,
            results: peer(&config.results)?,
            notifier: peer(&config.notifier)?,
        };
        let handlers = Handlers::new(peers.clone(), lifecycle.clone(), config.peer_silence_max);
        let mut routes = Routes::builder();
        routes
            .add_service(ToScheduler::new(peers.scheduler.clone(), lifecycle))
            .add_service(ToResults::new(peers.results.clone(), lifecycle))
            .add_service(ToNotifier::new(peers.notifier.clone(), lifecycle))
            .add_service(limited!(AuditServiceServer::new(handlers.clone())))
            .add_service(limited!(GatewayServiceServer::new(handlers)));
        let server = Server::new(routes.routes())
            .service("gauntlet.v1.GatewayService")
            .service("gauntlet.v1.AuditService")
            .forwarded(ToScheduler::NAME, peers.scheduler)
            .forwarded(ToResults::NAME, peers.results)
            .forwarded(ToNotifier::NAME, peers.notifier)
            .web(config.web_origins.clone());
        let bound = server.bind(config.listen).map_err(BuildError::Bind)?;
        Ok(Self { bound, lifecycle: lifecycle.clone() })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.bound.addr()
    }

    /// Serves until the lifecycle drains and every call has ended.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn run(self) -> Result<(), ServeError> {
        self.bound.serve(self.lifecycle).await
    }
}
