//! A TCP load balancer between any two parts of the mesh, and what a network may do to them.
//!
//! Owns its connections; knows nothing of what they carry, except while it duplicates calls (see `duplicate.rs`). A
//! connection whose server dies is closed, and the next one goes to another replica.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::duplicate;

/// Bytes passed on at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How the network behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weather {
    /// Every chunk comes so much later.
    pub(crate) delay: Duration,
    /// Nothing passes from client to server.
    pub(crate) hold_requests: bool,
    /// Nothing passes from server to client.
    pub(crate) hold_answers: bool,
    /// Nobody reaches anybody.
    pub(crate) partition: bool,
    /// Unary calls of new connections arrive twice.
    pub(crate) duplicate: bool,
}

struct Shared {
    servers: Vec<SocketAddr>,
    next: AtomicUsize,
    weather: watch::Sender<Weather>,
    /// Counts the times that all connections were cut.
    cuts: watch::Sender<u64>,
}

/// A balancer that ends with this value.
pub(crate) struct Balancer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

impl Balancer {
    pub(crate) async fn start(servers: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for a balancer")?;
        let addr = listener.local_addr()?;
        let (weather, cuts) = (watch::Sender::default(), watch::Sender::default());
        let shared = Arc::new(Shared { servers, next: AtomicUsize::new(0), weather, cuts });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, _task: task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Changes the weather for all connections, those that are open too.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.shared.weather.send_modify(change);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(serve(client, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let weather = *shared.weather.borrow();
    if weather.partition {
        return;
    }
    let Some((server, addr)) = connect(&shared).await else { return };
    let passed = async {
        if weather.duplicate {
            drop(server);
            duplicate::serve(client, addr).await;
        } else {
            pass_both(client, server, &shared).await;
        }
    };
    tokio::select! {
        () = passed => {}
        _ = cuts.changed() => {}
    }
}

/// Connects to the next server in turn that takes the connection.
async fn connect(shared: &Shared) -> Option<(TcpStream, SocketAddr)> {
    let first = shared.next.fetch_add(1, Ordering::Relaxed);
    for turn in 0..shared.servers.len() {
        let addr = shared.servers[(first + turn) % shared.servers.len()];
        if let Ok(server) = TcpStream::connect(addr).await {
            return Some((server, addr));
        }
    }
    None
}

async fn pass_both(client: TcpStream, server: TcpStream, shared: &Shared) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = pass(from_client, to_server, shared, |weather| weather.hold_requests);
    let answers = pass(from_server, to_client, shared, |weather| weather.hold_answers);
    tokio::select! {
        _ = requests => {}
        _ = answers => {}
    }
}

/// Passes bytes on until one side closes.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    held: fn(&Weather) -> bool,
) -> std::io::Result<()> {
    let mut weather = shared.weather.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // Fails only when the balancer is gone.
        let _ = weather.wait_for(|weather| !held(weather)).await;
        to.write_all(&chunk[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_testkit::wait_until;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Echoes and adds its mark.
    async fn echo(mark: u8) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                open.spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        let _ = stream.write_all(&[byte, mark]).await;
                    }
                });
            }
        });
        (addr, task)
    }

    #[tokio::test]
    async fn what_is_held_passes_later_and_what_is_cut_is_closed() {
        let (addr, _server) = echo(7).await;
        let balancer = Balancer::start(vec![addr]).await.unwrap();
        let mut client = TcpStream::connect(balancer.addr()).await.unwrap();
        balancer.change(|weather| weather.hold_answers = true);
        client.write_all(&[1]).await.unwrap();
        let mut answer = [0; 2];
        let early =
            tokio::time::timeout(Duration::from_millis(100), client.read_exact(&mut answer)).await;
        assert!(early.is_err(), "nothing passes while it is held");
        balancer.change(|weather| weather.hold_answers = false);
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [1, 7]);
        balancer.cut();
        assert!(client.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_passed_over_and_a_partition_reaches_nobody() {
        let (here, _server) = echo(2).await;
        let (gone, closing) = echo(3).await;
        drop(closing);
        let balancer = Balancer::start(vec![gone, here]).await.unwrap();
        wait_until(PATIENCE, "an answer of the server that is there", async || {
            let mut client = TcpStream::connect(balancer.addr()).await.unwrap();
            client.write_all(&[1]).await.unwrap();
            let _ = client.read_u8().await;
            match client.read_u8().await {
                Ok(2) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        balancer.change(|weather| weather.partition = true);
        let mut client = TcpStream::connect(balancer.addr()).await.unwrap();
        assert!(client.read_u8().await.is_err());
    }
}
