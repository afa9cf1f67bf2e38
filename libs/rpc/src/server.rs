//! A gRPC server that is built first, run later, and drained.
//!
//! Owns the listener, health, reflection and the order of the stop: not serving, no new calls, calls in flight finish.
//! Handlers of streams and long polls must watch the drain themselves. After a crash callers see UNAVAILABLE.

use crate::call::CallLayer;
use clap::Args;
use gauntlet_runtime::Lifecycle;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tonic::{
    service::Routes,
    transport::server::{Server as Transport, TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long watchers of health see NOT_SERVING before the server stops taking calls.
const DRAIN_NOTICE: Duration = Duration::from_millis(100);

/// Settings of a server; flatten it into a program's arguments.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Where to serve gRPC; port 0 takes a free one.
    #[arg(long = "listen", env = "GAUNTLET_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

impl Default for ServerArgs {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into() }
    }
}

/// Why a server could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address as given.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The descriptors given for reflection are malformed.
    #[error("descriptors for reflection are malformed")]
    Reflection {
        /// What is wrong with them.
        source: tonic_reflection::server::Error,
    },
    /// Serving failed.
    #[error("serving on {addr} failed")]
    Serve {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// A server to be bound.
#[derive(Debug)]
pub struct Server {
    routes: Routes,
    health: HealthReporter,
    services: Vec<&'static str>,
    descriptors: &'static [u8],
    web: bool,
}

impl Server {
    /// Returns a server of `routes`, with health and with reflection of the contract.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        let health = HealthReporter::new();
        Self {
            routes,
            health,
            services: vec![""],
            descriptors: gauntlet_proto::FILE_DESCRIPTOR_SET,
            web: false,
        }
    }

    /// Names a service in health, such as `gauntlet.v1.ResultsService`; the whole server is there as the empty name.
    #[must_use]
    pub fn service(mut self, name: &'static str) -> Self {
        self.services.push(name);
        self
    }

    /// Also answers gRPC-Web, over HTTP/1.1 too.
    #[must_use]
    pub fn web(mut self) -> Self {
        self.web = true;
        self
    }

    /// Uses other descriptors for reflection.
    #[must_use]
    pub fn reflection(mut self, descriptors: &'static [u8]) -> Self {
        self.descriptors = descriptors;
        self
    }

    /// Listens, without answering yet; needs a tokio runtime. Health says NOT_SERVING until [`Bound::serve`] runs.
    ///
    /// # Errors
    /// When the address cannot be listened on or the descriptors are malformed.
    pub fn bind(self, addr: SocketAddr) -> Result<Bound, ServeError> {
        let failed = |source| ServeError::Bind { addr, source };
        let incoming = TcpIncoming::bind(addr).map_err(failed)?;
        // A stream of small messages is ten times slower with Nagle's algorithm.
        let incoming = incoming.with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE_INTERVAL));
        let addr = incoming.local_addr().map_err(failed)?;
        let routes =
            self.routes_with_reflection().map_err(|source| ServeError::Reflection { source })?;
        let Self { health, services, web, .. } = self;
        Ok(Bound { incoming, addr, routes, health, services, web })
    }

    fn routes_with_reflection(&self) -> Result<Routes, tonic_reflection::server::Error> {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let health = tonic_health::server::HealthService::from_health_reporter(self.health.clone());
        Ok(self
            .routes
            .clone()
            .add_service(tonic_health::pb::health_server::HealthServer::new(health))
            .add_service(builder().build_v1()?)
            .add_service(builder().build_v1alpha()?))
    }
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    incoming: TcpIncoming,
    addr: SocketAddr,
    routes: Routes,
    health: HealthReporter,
    services: Vec<&'static str>,
    web: bool,
}

impl Bound {
    /// Returns the actual address, also when port 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address as an endpoint for [`crate::Peer::connect_lazy`].
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Serves until the lifecycle drains, and then until every call and stream has ended. Spawn it on that lifecycle, so
    /// that its grace bounds the wait.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, lifecycle: Lifecycle) -> Result<(), ServeError> {
        let Self { incoming, addr, routes, health, services, web } = self;
        set_all(&health, &services, ServingStatus::Serving).await;
        tracing::info!(%addr, "serving grpc");
        let stop = async move {
            lifecycle.draining().await;
            stop_health(health, &services).await;
        };
        let transport = Transport::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        let served = if web {
            let transport = transport.accept_http1(true).layer(GrpcWebLayer::new());
            let router = transport.layer(CallLayer).add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, stop).await
        } else {
            let router = transport.layer(CallLayer).add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, stop).await
        };
        served.map_err(|source| ServeError::Serve { addr, source })?;
        tracing::info!(%addr, "stopped serving grpc");
        Ok(())
    }
}

async fn set_all(health: &HealthReporter, services: &[&'static str], status: ServingStatus) {
    for service in services {
        health.set_service_status(service, status).await;
    }
}

/// Tells the watchers, then forgets the services: that ends the streams of the watchers, which would block the stop.
async fn stop_health(mut health: HealthReporter, services: &[&'static str]) {
    set_all(&health, services, ServingStatus::NotServing).await;
    tokio::time::sleep(DRAIN_NOTICE).await;
    for service in services {
        health.clear_service_status(service).await;
    }
}
