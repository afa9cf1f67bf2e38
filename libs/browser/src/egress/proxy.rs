//! The proxy of one browser: a listener on loopback and its connections, all of which end with it.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::egress::Denial;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use url::Url;

use super::{
    Egress, HeldPort, ReservedPorts,
    connect::connect,
    failures::{Failure, Failures, Why},
    guard::Guard,
    listening::ports_below,
    socks::{self, Reply},
};

/// Connections of one browser at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take to say whom it wants.
const WISH_LIMIT: Duration = Duration::from_secs(10);
/// Bytes on their way in each direction of a connection.
const BUFFER_BYTES: usize = 16 * 1024;

/// A running proxy. Dropping it closes its listener and every connection through it.
#[derive(Debug)]
pub(crate) struct EgressProxy {
    port: u16,
    ports: ReservedPorts,
    held: Vec<HeldPort>,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    guard: Guard,
    failures: Failures,
}

impl Drop for EgressProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl EgressProxy {
    /// Starts a proxy on a free port.
    pub(crate) fn start(egress: &Egress) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let listener = TcpListener::from_std(listener)?;
        let shared =
            Arc::new(Shared { guard: Guard::new(egress.clone()), failures: Failures::default() });
        #[expect(clippy::disallowed_methods, reason = "the task is owned here and aborted on drop")]
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        let (ports, held) = (egress.ports.clone(), vec![egress.ports.hold(port)]);
        Ok(Self { port, ports, held, shared, accepting })
    }

    /// Keeps pages away from the ports at which driver and browser take orders, for as long as the browser lives: those that
    /// they told, and those that processes below `root` have.
    pub(crate) async fn shield(&mut self, told: Vec<u16>, root: Option<u32>) {
        let look = move || root.map(ports_below).unwrap_or_default();
        let seen = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let ports: BTreeSet<u16> = told.into_iter().chain(seen).collect();
        self.held.extend(ports.into_iter().map(|port| self.ports.hold(port)));
    }

    /// Returns where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Vets where a step goes, as far as no connection is made for it: files are part of this machine. Pages are kept from
    /// them by their browser.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn vet_url(&self, url: &str) -> Result<(), String> {
        let shown = url.strip_prefix("view-source:").unwrap_or(url);
        let is_file = Url::parse(shown).is_ok_and(|url| url.scheme() == "file");
        match is_file && !self.shared.guard.policy().loopback {
            true => Err(format!("the egress policy denies files: {}", Denial::Loopback)),
            false => Ok(()),
        }
    }

    /// Returns a mark to ask later for what failed since.
    pub(crate) fn mark(&self) -> u64 {
        self.shared.failures.count()
    }

    /// Returns how many connections were denied so far.
    pub(crate) fn denied_count(&self) -> u64 {
        self.shared.failures.denied_count()
    }

    /// Returns the newest connection since `mark` that failed, if there is one that `fits`.
    pub(crate) fn failed_since(
        &self,
        mark: u64,
        fits: impl Fn(&Failure) -> bool,
    ) -> Option<Failure> {
        self.shared.failures.since(mark, fits)
    }
}

/// Takes connections for ever. Its connections are its own, so that they end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&shared), place));
            }
            // No file is free, or the peer is gone again; either passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(mut browser: TcpStream, shared: Arc<Shared>, _place: OwnedSemaphorePermit) {
    let _ = browser.set_nodelay(true);
    let Ok(Ok(wish)) = timeout(WISH_LIMIT, socks::accept(&mut browser)).await else { return };
    let connected = async {
        let ips = shared.guard.vet(&wish).await?;
        connect(&ips, wish.port).await
    };
    match connected.await {
        Ok(mut site) => {
            if socks::answer(&mut browser, Reply::Connected).await.is_ok() {
                let sizes = (BUFFER_BYTES, BUFFER_BYTES);
                let _ =
                    copy_bidirectional_with_sizes(&mut browser, &mut site, sizes.0, sizes.1).await;
            }
        }
        Err(why) => {
            let reply = reply_of(&why);
            let failure = Failure { host: wish.host, port: wish.port, why };
            tracing::debug!(%failure, "a page was not connected");
            // Before the browser hears of it, since whoever it tells asks here.
            shared.failures.add(failure);
            let _ = socks::answer(&mut browser, reply).await;
        }
    }
}

fn reply_of(why: &Why) -> Reply {
    match why {
        Why::Denied(_) => Reply::Denied,
        Why::Unresolved => Reply::HostUnreachable,
        Why::Unreachable(_) => Reply::Refused,
        Why::TooSlow => Reply::TooSlow,
    }
}
