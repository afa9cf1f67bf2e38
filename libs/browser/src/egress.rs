//! The way out of a browser of this machine: every connection of its pages goes through a proxy of ours, which keeps the
//! egress policy (G9).
//!
//! Browsers speak SOCKS5 to it, so that HTTP, TLS and WebSocket pass as they are. Each browser has a proxy of its own on
//! loopback ([`EgressProxy`]), for one run and so with one policy; it ends with the browser, and with it every connection. A
//! name is resolved once, every address it has is vetted, and what was vetted is what is connected to.
//!
//! What it does not do: sessions of a grid have their own way out. Nothing here is durable; a crash takes the browsers too.

mod connect;
mod failures;
mod guard;
mod listening;
mod proxy;
mod socks;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use gauntlet_core::egress::EgressPolicy;

pub(crate) use proxy::EgressProxy;

/// Whom the pages of a browser may reach, and what deciding that needs.
#[derive(Clone)]
pub struct Egress {
    /// The policy.
    pub policy: Arc<EgressPolicy>,
    /// Ports of this machine that are no page's business even where others are.
    pub ports: ReservedPorts,
    /// Finds the addresses of names.
    pub resolver: Arc<dyn Resolve>,
}

impl Egress {
    /// Returns the way out under a policy, with the resolver of the system.
    #[must_use]
    pub fn new(policy: EgressPolicy, ports: ReservedPorts) -> Self {
        Self { policy: Arc::new(policy), ports, resolver: Arc::new(SystemResolver) }
    }

    /// Returns the way out for pages that may be on this machine.
    #[must_use]
    pub fn embedded() -> Self {
        let policy = EgressPolicy { loopback: true, ..EgressPolicy::default() };
        Self::new(policy, ReservedPorts::default())
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Finds the addresses of names.
pub trait Resolve: Send + Sync + 'static {
    /// Returns the addresses of a name, in the order in which they are to be tried.
    fn resolve<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>>;
}

/// Asks the system.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Ports of this machine that belong to the mesh, to drivers and to proxies. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ReservedPorts(Arc<Mutex<BTreeMap<u16, u32>>>);

impl ReservedPorts {
    /// Reserves a port for good.
    pub fn add(&self, port: u16) {
        *self.lock().entry(port).or_default() += 1;
    }

    /// Reserves a port until the answer is dropped.
    pub(crate) fn hold(&self, port: u16) -> HeldPort {
        self.add(port);
        HeldPort { ports: self.clone(), port }
    }

    /// Tells whether a port is reserved.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.lock().contains_key(&port)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A port that is reserved as long as this lives.
#[derive(Debug)]
pub(crate) struct HeldPort {
    ports: ReservedPorts,
    port: u16,
}

impl Drop for HeldPort {
    fn drop(&mut self) {
        let mut ports = self.ports.lock();
        if let Some(count) = ports.get_mut(&self.port) {
            *count -= 1;
            if *count == 0 {
                ports.remove(&self.port);
            }
        }
    }
}
