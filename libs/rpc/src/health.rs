//! What health says of a server's services, and of those that a peer serves for it.
//!
//! Owns the names and their status. A service of a peer follows that peer's own health and is NOT_SERVING while the peer
//! is away. Nothing is durable: after a crash watchers see the stream break.

use crate::Peer;
use gauntlet_runtime::{Backoff, Lifecycle};
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic_health::{
    ServingStatus,
    pb::{
        HealthCheckRequest, health_check_response,
        health_client::HealthClient,
        health_server::{Health as HealthService, HealthServer},
    },
    server::HealthReporter,
};

/// How long watchers of health see NOT_SERVING before the server stops taking calls.
const DRAIN_NOTICE: Duration = Duration::from_millis(100);

/// The health of one server.
#[derive(Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    own: Vec<&'static str>,
    forwarded: Vec<(&'static str, Peer)>,
}

impl Health {
    /// Returns the health of a server with the empty name only, which stands for the whole of it.
    pub(crate) fn new() -> Self {
        Self { reporter: HealthReporter::new(), own: vec![""], forwarded: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &'static str) {
        self.own.push(name);
    }

    pub(crate) fn add_forwarded(&mut self, name: &'static str, peer: Peer) {
        self.forwarded.push((name, peer));
    }

    /// Returns every service by name, without the empty one.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let forwarded = self.forwarded.iter().map(|(name, _)| *name);
        self.own.iter().copied().chain(forwarded).filter(|name| !name.is_empty())
    }

    pub(crate) fn service(&self) -> HealthServer<impl HealthService> {
        HealthServer::new(tonic_health::server::HealthService::from_health_reporter(
            self.reporter.clone(),
        ))
    }

    /// Says SERVING, and from now on for each forwarded service what its peer says.
    pub(crate) async fn start(&self, lifecycle: &Lifecycle) {
        for name in &self.own {
            self.reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        for (name, peer) in &self.forwarded {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
            let follow = follow(self.reporter.clone(), name, peer.clone());
            let drained = lifecycle.clone();
            lifecycle.spawn("peer_health", async move {
                tokio::select! {
                    biased;
                    () = drained.draining() => {}
                    () = follow => {}
                }
            });
        }
    }

    /// Says NOT_SERVING.
    pub(crate) async fn wait(&self) {
        for name in &self.own {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }

    /// Forgets the services without telling anybody: whoever watches sees the stream end and asks again.
    pub(crate) async fn forget(mut self) {
        for name in self.own {
            self.reporter.clear_service_status(name).await;
        }
    }

    /// Tells the watchers, then forgets the services: that ends the streams of the watchers, which would block the stop.
    pub(crate) async fn stop(mut self) {
        let names: Vec<_> = self.names().chain([""]).collect();
        for name in &names {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
        tokio::time::sleep(DRAIN_NOTICE).await;
        for name in names {
            self.reporter.clear_service_status(name).await;
        }
    }
}

/// Says what the peer says; NOT_SERVING whenever its watch breaks, until it is open again.
async fn follow(reporter: HealthReporter, name: &'static str, peer: Peer) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let request = HealthCheckRequest { service: name.to_owned() };
        if let Ok(answer) = HealthClient::new(peer.clone()).watch(request).await {
            let mut updates = answer.into_inner();
            while let Some(Ok(update)) = updates.next().await {
                backoff.reset();
                let status = match update.status() {
                    health_check_response::ServingStatus::Serving => ServingStatus::Serving,
                    _ => ServingStatus::NotServing,
                };
                reporter.set_service_status(name, status).await;
            }
        }
        reporter.set_service_status(name, ServingStatus::NotServing).await;
        backoff.sleep().await;
    }
}
