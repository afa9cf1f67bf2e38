//! An address that answers before its server can be built: health says NOT_SERVING, every call is UNAVAILABLE.
//!
//! A service that waits for its database is not ready, which is something else than not there. The server takes the address
//! over with the connections that wait for it; those of the standby end and are made again by their owners.

use crate::{Details, Reason, ServeError, ToStatus, health::Health, status};
use gauntlet_runtime::Lifecycle;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tonic::{
    body::Body,
    service::Routes,
    transport::server::{Server as Transport, TcpIncoming},
};

/// How long calls of the standby may take to end.
const END_WAIT: Duration = Duration::from_secs(1);
/// When callers try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("the service waits for its database")]
struct NotReady;

impl ToStatus for NotReady {
    fn reason(&self) -> Reason {
        Reason::StoreUnavailable
    }

    fn details(&self, d: &mut Details) {
        d.retry_after(RETRY_AFTER);
    }
}

/// Holds an address until its server is there.
#[derive(Debug)]
pub struct Standby {
    listener: TcpListener,
    lifecycle: Lifecycle,
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

impl Standby {
    /// Listens and answers; the task belongs to `lifecycle`. `services` are the names that health knows.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        addr: SocketAddr,
        services: &[&'static str],
        lifecycle: &Lifecycle,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { addr, source };
        let listener = TcpListener::bind(addr).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let incoming = incoming(listener.try_clone().map_err(failed)?).map_err(failed)?;
        let mut health = Health::new();
        services.iter().for_each(|name| health.add(name));
        let lifecycle = lifecycle.child();
        lifecycle.spawn("standby", answer(incoming, health, lifecycle.clone()));
        Ok(Self { listener, lifecycle })
    }

    /// Returns the actual address, also when port 0 was asked for.
    ///
    /// # Errors
    /// When the system does not say it.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Ends the standby; returns what its server listens on.
    pub(crate) async fn end(self) -> std::io::Result<TcpListener> {
        self.lifecycle.shutdown(END_WAIT).await;
        self.listener.try_clone()
    }
}

/// Returns what a server takes connections from.
pub(crate) fn incoming(listener: TcpListener) -> std::io::Result<TcpIncoming> {
    tokio::net::TcpListener::from_std(listener).map(TcpIncoming::from)
}

async fn answer(
    incoming: TcpIncoming,
    health: Health,
    lifecycle: Lifecycle,
) -> Result<(), tonic::transport::Error> {
    health.wait().await;
    let routes = Routes::new(health.service()).into_axum_router();
    let routes = routes.fallback(async || status(&NotReady).into_http::<Body>());
    let stop = async move {
        lifecycle.draining().await;
        health.forget().await;
    };
    let server = Transport::builder().add_routes(Routes::from(routes));
    server.serve_with_incoming_shutdown(incoming, stop).await
}
