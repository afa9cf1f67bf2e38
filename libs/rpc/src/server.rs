//! A gRPC server that is built first, run later, and drained.
//!
//! Owns the listener, health, reflection and the order of the stop: not serving, no new calls, calls in flight finish.
//! Handlers of streams and long polls must watch the drain themselves. After a crash callers see UNAVAILABLE.

use crate::{CONNECTION_WINDOW_BYTES, Peer, Standby, call::CallLayer, health::Health, standby};
use clap::Args;
use gauntlet_runtime::Lifecycle;
use http::{HeaderName, HeaderValue, Method};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tonic::{
    service::Routes,
    transport::server::{Server as Transport, TcpIncoming},
};
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowHeaders, CorsLayer};

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a browser may remember that it may call us.
const PREFLIGHT_AGE_MAX: Duration = Duration::from_secs(600);
/// What a browser may read of an answer: the status of a call that failed before its first message is in its headers.
const EXPOSED_HEADERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

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
    health: Health,
    descriptors: &'static [u8],
    web: Option<Vec<HeaderValue>>,
}

impl Server {
    /// Returns a server of `routes`, with health and with reflection of the contract.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        let descriptors = gauntlet_proto::FILE_DESCRIPTOR_SET;
        Self { routes, health: Health::new(), descriptors, web: None }
    }

    /// Names a service in health and reflection, such as `gauntlet.v1.ResultsService`; in health the empty name is there
    /// too and stands for the whole server.
    #[must_use]
    pub fn service(mut self, name: &'static str) -> Self {
        self.health.add(name);
        self
    }

    /// Names a service that `peer` serves and `routes` forward to: in health it is as well as the peer says.
    #[must_use]
    pub fn forwarded(mut self, name: &'static str, peer: Peer) -> Self {
        self.health.add_forwarded(name, peer);
        self
    }

    /// Also answers gRPC-Web, over HTTP/1.1 too; pages of these `origins` may call it.
    #[must_use]
    pub fn web(mut self, origins: Vec<HeaderValue>) -> Self {
        self.web = Some(origins);
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
        self.listen(TcpIncoming::bind(addr).map_err(failed)?, addr)
    }

    /// As [`Server::bind`], on the address of a standby, which ends.
    ///
    /// # Errors
    /// When the address cannot be taken over or the descriptors are malformed.
    pub async fn relieve(self, standby: Standby) -> Result<Bound, ServeError> {
        let failed = |addr| move |source| ServeError::Bind { addr, source };
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let addr = standby.addr().map_err(failed(unknown))?;
        let listener = standby.end().await.map_err(failed(addr))?;
        self.listen(standby::incoming(listener).map_err(failed(addr))?, addr)
    }

    fn listen(self, incoming: TcpIncoming, addr: SocketAddr) -> Result<Bound, ServeError> {
        let failed = |source| ServeError::Bind { addr, source };
        // A stream of small messages is ten times slower with Nagle's algorithm.
        let incoming = incoming.with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE_INTERVAL));
        let addr = incoming.local_addr().map_err(failed)?;
        let routes =
            self.routes_with_reflection().map_err(|source| ServeError::Reflection { source })?;
        let Self { health, web, .. } = self;
        Ok(Bound { incoming, addr, routes, health, web })
    }

    /// Reflection lists what this server serves; it describes everything that the contract names.
    fn routes_with_reflection(&self) -> Result<Routes, tonic_reflection::server::Error> {
        let builder = |reflection: &'static str| {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            let own = ["grpc.health.v1.Health", reflection];
            self.health
                .names()
                .chain(own)
                .fold(builder, |builder, name| builder.with_service_name(name))
        };
        Ok(self
            .routes
            .clone()
            .add_service(self.health.service())
            .add_service(builder("grpc.reflection.v1.ServerReflection").build_v1()?)
            .add_service(builder("grpc.reflection.v1alpha.ServerReflection").build_v1alpha()?))
    }
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    incoming: TcpIncoming,
    addr: SocketAddr,
    routes: Routes,
    health: Health,
    web: Option<Vec<HeaderValue>>,
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
        let Self { incoming, addr, routes, health, web } = self;
        health.start(&lifecycle).await;
        tracing::info!(%addr, "serving grpc");
        let stop = async move {
            lifecycle.draining().await;
            health.stop().await;
        };
        let router = Transport::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .accept_http1(web.is_some());
        let served = if let Some(origins) = web {
            let router = router.layer(cors(origins)).layer(GrpcWebLayer::new());
            let router = router.layer(CallLayer).add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, stop).await
        } else {
            let router = router.layer(CallLayer).add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, stop).await
        };
        served.map_err(|source| ServeError::Serve { addr, source })?;
        tracing::info!(%addr, "stopped serving grpc");
        Ok(())
    }
}

/// A page may call us only when its origin was named: whoever calls the gateway can start browsers.
fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED_HEADERS.map(HeaderName::from_static))
        .max_age(PREFLIGHT_AGE_MAX)
}
