//! Every service in one process, with a store of its own.
//!
//! Start: store → migrate → scheduler → results → notifier → executors → gateway. Stop is the other way round and in
//! steps: executors first, while everything they report to still answers; the store last. A crash here takes everything
//! with it; rows survive in a persistent folder, and the next start goes on from them.

mod services;

use crate::cli::UpArgs;
use crate::cli::run::RunArgs;
use crate::client::Mesh;
use crate::endpoint;
use crate::failure::Failure;
use crate::output;
use crate::up::serve;
use gauntlet_browser::{BrowserConfig, BrowserKind, Programs, ReservedPorts};
use gauntlet_bus::RedisConfig;
use gauntlet_embedded::{EmbeddedConfig, EmbeddedStore};
use gauntlet_pg::PgConfig;
use gauntlet_runtime::{Exit, Lifecycle, ids};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long running tests may take to finish when the mesh stops.
const EXECUTOR_GRACE: Duration = Duration::from_secs(30);
/// How long the other services may take to stop.
const SERVICE_GRACE: Duration = Duration::from_secs(10);
/// How long a hard stop may take.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// How long the services may take to serve once they are built.
const READY_WAIT_MAX: Duration = Duration::from_secs(30);
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Connections of one service; three services share the server's hundred.
const POOL_MAX: usize = 16;
/// What the gateway must reach before the mesh is ready.
const BEHIND_GATEWAY: [&str; 3] = ["scheduler", "results", "notifier"];
const SLOTS_MAX: u32 = 16;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What an embedded mesh is made of.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    data_dir: PathBuf,
    ephemeral: bool,
    executors: u16,
    slots: u32,
    files_dir: Option<PathBuf>,
    listen: SocketAddr,
}

impl Settings {
    /// Returns the settings of `gauntlet up`.
    pub(crate) fn for_up(args: &UpArgs) -> Self {
        let usual = || match args.ephemeral {
            true => ephemeral_dir(),
            false => PathBuf::from(endpoint::DATA_DIR),
        };
        Self {
            data_dir: args.data.data_dir.clone().unwrap_or_else(usual),
            ephemeral: args.ephemeral,
            executors: args.executors,
            slots: args.slots.map_or_else(|| slots_of(args.executors), u32::from),
            files_dir: args.files.files_dir.clone(),
            listen: args.listen(),
        }
    }

    /// Returns the settings of a mesh that lives for one run of shards with so many workers.
    pub(crate) fn for_run(args: &RunArgs) -> Self {
        let executors = args.executors;
        Self {
            data_dir: ephemeral_dir(),
            ephemeral: true,
            executors,
            slots: slots_of(executors).max(args.options.workers.into()),
            files_dir: args.files.files_dir.clone(),
            listen: LOOPBACK,
        }
    }
}

fn ephemeral_dir() -> PathBuf {
    std::env::temp_dir().join(format!("gauntlet-{}", ids::v4().simple()))
}

/// Returns how many tests one executor runs at once: two for each core of the machine, shared by all executors.
fn slots_of(executors: u16) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let slots = 2 * u32::try_from(cores).unwrap_or(1) / u32::from(executors.max(1));
    slots.clamp(2, SLOTS_MAX)
}

/// A mesh that runs in this process.
#[derive(Debug)]
pub(crate) struct EmbeddedMesh {
    parts: Parts,
    store: EmbeddedStore,
}

/// The services that were started.
#[derive(Debug)]
struct Parts {
    lifecycle: Lifecycle,
    executors: Vec<Lifecycle>,
    /// Their sessions, and nobody else's: one that crashed may not have been reaped yet.
    sessions: Vec<gauntlet_executor::Sessions>,
    gateway: Lifecycle,
    services: BTreeMap<String, String>,
    endpoint: String,
    /// Ports of the mesh: pages under test may be on this machine, but have no business there.
    ports: ReservedPorts,
}

impl EmbeddedMesh {
    /// Starts everything and waits until it is ready.
    ///
    /// # Cancel safety
    /// Dropped midway, the store is stopped the hard way and its data is whole.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failure> {
        warn_about_browsers();
        let config = match settings.ephemeral {
            true => EmbeddedConfig::ephemeral(&settings.data_dir),
            false => EmbeddedConfig::persistent(&settings.data_dir),
        };
        check_port(settings.listen)?;
        let store = EmbeddedStore::start(&config).await;
        let store =
            store.map_err(|error| Failure::infrastructure("cannot start the store", &error))?;
        let mut parts = Parts::new();
        match parts.start(&settings, &store).await {
            Ok(()) => Ok(Self { parts, store }),
            Err(failure) => {
                parts.lifecycle.kill();
                parts.lifecycle.shutdown(KILL_GRACE).await;
                store.stop().await;
                Err(failure)
            }
        }
    }

    /// Returns a client of this mesh.
    pub(crate) fn client(&self) -> Result<Mesh, Failure> {
        Mesh::connect(&self.parts.endpoint)
    }

    /// Returns the URL of the gateway.
    pub(crate) fn endpoint(&self) -> &str {
        &self.parts.endpoint
    }

    /// Returns the other services with their URLs.
    pub(crate) fn services(&self) -> &BTreeMap<String, String> {
        &self.parts.services
    }

    /// Returns the data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        self.store.data_dir()
    }

    /// Waits until a service has failed; for ever if none does.
    pub(crate) async fn failed(&self) {
        self.parts.lifecycle.draining().await;
    }

    /// Stops everything in good order, or at once when `signals` is killed.
    pub(crate) async fn stop(self, signals: &Lifecycle) -> Exit {
        let Self { parts, store } = self;
        let exit = tokio::select! {
            exit = parts.drain() => exit,
            () = signals.killed() => {
                parts.lifecycle.kill();
                parts.lifecycle.shutdown(KILL_GRACE).await;
                Exit::Killed
            }
        };
        tokio::select! {
            () = store.stop() => {}
            () = signals.killed() => {}
        }
        exit
    }
}

impl Parts {
    fn new() -> Self {
        let lifecycle = Lifecycle::new();
        Self {
            gateway: lifecycle.child(),
            lifecycle,
            executors: Vec::new(),
            sessions: Vec::new(),
            services: BTreeMap::new(),
            endpoint: String::new(),
            ports: ReservedPorts::default(),
        }
    }

    async fn start(&mut self, settings: &Settings, store: &EmbeddedStore) -> Result<(), Failure> {
        let pg_url = store.postgres_url();
        serve::migrate_all(&pg_url).await?;
        let wrong = |error: &(dyn std::error::Error + 'static)| {
            Failure::infrastructure("the store's own address is malformed", error)
        };
        let mut pg = PgConfig::from_url(&pg_url).map_err(|error| wrong(&error))?;
        pg.pool_size_max = POOL_MAX;
        let redis = RedisConfig::new(Some(&store.redis_url()), "gauntlet");
        let redis = redis.map_err(|error| wrong(&error))?;
        let of_store = pg.ports().iter().copied().chain(redis.address().map(|(_, port)| port));
        of_store.for_each(|port| self.ports.add(port));
        let scheduler = self.start_scheduler(&pg, &redis, store.data_dir()).await?;
        let results = self.start_results(&pg, &scheduler, store.data_dir()).await?;
        let notifier = self.start_notifier(&pg, &scheduler, store.data_dir()).await?;
        for index in 1..=settings.executors {
            self.start_executor(index, settings, (&scheduler, &results), &redis).await?;
        }
        self.start_gateway(settings.listen, [scheduler, results, notifier]).await?;
        self.wait_until_ready().await
    }

    /// Waits until the gateway reaches every service and every executor has a session.
    async fn wait_until_ready(&self) -> Result<(), Failure> {
        let mesh = Mesh::connect(&self.endpoint)?;
        let deadline = Instant::now() + READY_WAIT_MAX;
        loop {
            if mesh.reaches(BEHIND_GATEWAY).await
                && self.sessions.iter().all(|sessions| sessions.id().is_some())
            {
                return Ok(());
            }
            if self.lifecycle.is_draining() {
                return Err(Failure::Infrastructure("a service failed while starting".to_owned()));
            }
            if Instant::now() >= deadline {
                let text = format!("the mesh was not ready within {} s", READY_WAIT_MAX.as_secs());
                return Err(Failure::Infrastructure(text));
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
    }

    /// Executors first, so that what they finish is still heard; the gateway next, then what is behind it.
    async fn drain(&self) -> Exit {
        for executor in &self.executors {
            executor.drain();
        }
        for executor in &self.executors {
            executor.shutdown(EXECUTOR_GRACE).await;
        }
        self.gateway.shutdown(SERVICE_GRACE).await;
        self.lifecycle.shutdown(SERVICE_GRACE).await
    }
}

/// A port that is taken is told before anything is started.
fn check_port(listen: SocketAddr) -> Result<(), Failure> {
    TcpListener::bind(listen).map(drop).map_err(|error| no_gateway(listen, &error))
}

fn no_gateway(listen: SocketAddr, error: &(dyn std::error::Error + 'static)) -> Failure {
    let what =
        format!("cannot start the gateway on {listen}; choose another address with --listen");
    Failure::infrastructure(&what, error)
}

/// A mesh without browsers is of little use, but it starts: it may be there to look at old runs.
fn warn_about_browsers() {
    let find = |kind| {
        let mut config = BrowserConfig::new(Vec::new(), "");
        config.kind = kind;
        Programs::find(&config)
    };
    if let (Err(error), Err(_)) = (find(BrowserKind::HeadlessShell), find(BrowserKind::Chromium)) {
        let text = gauntlet_runtime::error_chain(&error);
        output::note(&format!("warning: no test can run here: {text}"));
    }
}
