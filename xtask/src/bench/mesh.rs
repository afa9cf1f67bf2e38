//! The mesh under measurement: a Postgres and a Redis of its own, every service and every executor a process.
//!
//! Postgres runs with its default durability: fsync and synchronous commit are on. Everything is killed when this value is
//! dropped; only a benchmark that is itself killed leaves services behind, which then lose their database.

use super::Args;
use super::client::Client;
use super::usage::Meter;
use anyhow::Context as _;
use gauntlet_proto::v1::{self, event_feed_service_client::EventFeedServiceClient};
use gauntlet_rpc::Peer;
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::scripted::{Traced, monotonic_ns};
use gauntlet_testkit::{EmbeddedConfig, EmbeddedStore, GauntletProcess, free_port, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// How long anything that is not measured may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Ends and traces that wait for a part that looks away.
const BUFFERED_MAX: usize = 16_384;

/// A run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) state: v1::RunState,
}

/// What an executor told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) executor: usize,
    pub(crate) traced: Traced,
}

/// A running mesh.
pub(crate) struct Mesh {
    pub(crate) client: Client,
    pub(crate) meter: Meter,
    pub(crate) executors: u32,
    ended: broadcast::Sender<Ended>,
    told: broadcast::Sender<Told>,
    // Order matters on drop: services before their database, the data last.
    processes: Vec<(&'static str, GauntletProcess)>,
    pub(crate) store: EmbeddedStore,
    _folder: Folder,
}

/// A folder that is removed with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the target folder and goes with it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Mesh {
    /// Starts everything and waits until every executor is connected.
    pub(crate) async fn start(args: &Args, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        // Beside the program: a temporary folder may be in memory, and then nothing would be durable.
        let program = std::env::current_exe()?;
        let folder = Folder(program.with_file_name(format!("bench-{}", std::process::id())));
        fs::create_dir_all(&folder.0)?;
        let store = store(&folder.0, &args.postgres).await?;
        let pg_url = store.postgres_url();
        let mut migrate = GauntletProcess::spawn(["migrate", "--pg-url", &pg_url]);
        let migrated = migrate.wait(PATIENCE).await;
        anyhow::ensure!(migrated.success(), "migrations failed: {}", migrate.output());
        let sql = connect(&pg_url, lifecycle).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let trace = listener.local_addr()?;
        let (ended, _) = broadcast::channel(BUFFERED_MAX);
        let (told, _) = broadcast::channel(BUFFERED_MAX);
        lifecycle.spawn("traces", accept(listener, told.clone(), lifecycle.clone()));

        let urls = Urls::new()?;
        let mut processes = services(&urls, &store, &folder.0);
        for number in 0..args.executors {
            let name = format!("executor-{number}");
            processes.push(("executors", urls.executor(&name, args.slots, trace, &store)?));
        }
        let client = Client::new(&urls.gateway)?;
        let connected = async || match client.executors().await {
            Ok(count) if count == args.executors as usize => Ok(()),
            seen => Err(seen),
        };
        wait_until(PATIENCE, "every executor is connected", connected).await;
        let feed = EventFeedServiceClient::new(Peer::connect_lazy(&urls.scheduler)?);
        lifecycle.spawn("feed", follow(feed, ended.clone(), lifecycle.clone()));
        let pids = processes.iter().map(|(name, process)| (*name, process.pid())).collect();
        let meter = Meter::new(sql, pids, &store);
        let executors = args.executors;
        Ok(Self { client, meter, executors, ended, told, processes, store, _folder: folder })
    }

    /// Returns the runs that end from now on.
    pub(crate) fn ends(&self) -> broadcast::Receiver<Ended> {
        self.ended.subscribe()
    }

    /// Returns what executors tell from now on.
    pub(crate) fn tales(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// Ends all processes and removes the data.
    pub(crate) async fn stop(self) {
        drop(self.processes);
        self.store.stop().await;
    }
}

/// Starts both servers with all defaults but `settings`, and with the statistics of statements.
async fn store(folder: &Path, settings: &[String]) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::start(&EmbeddedConfig::persistent(folder.join("store"))).await?;
    let lifecycle = Lifecycle::new();
    let sql = connect(&store.postgres_url(), &lifecycle).await?;
    // Postgres reads it only at its start.
    sql.batch_execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'").await?;
    for setting in settings {
        let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
        sql.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await?;
    }
    drop(sql);
    store.postgres().stop().await;
    store.postgres().start_again().await?;
    let sql = connect(&store.postgres_url(), &lifecycle).await?;
    sql.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    Ok(store)
}

pub(crate) async fn connect(
    url: &str,
    lifecycle: &Lifecycle,
) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    lifecycle.spawn("sql", async move { drop(connection.await) });
    Ok(client)
}

/// Where the services are.
struct Urls {
    scheduler: String,
    results: String,
    notifier: String,
    gateway: String,
}

impl Urls {
    fn new() -> anyhow::Result<Self> {
        let url = || anyhow::Ok(format!("http://127.0.0.1:{}", free_port()?));
        Ok(Self { scheduler: url()?, results: url()?, notifier: url()?, gateway: url()? })
    }

    fn executor(
        &self,
        name: &str,
        slots: u32,
        trace: SocketAddr,
        store: &EmbeddedStore,
    ) -> anyhow::Result<GauntletProcess> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["scripted-executor", "--name", name, "--slots", &slots.to_string()])
            .args(["--scheduler", &self.scheduler, "--results", &self.results])
            .args(["--trace", &trace.to_string()])
            .env("GAUNTLET_REDIS_URL", store.redis_url());
        Ok(GauntletProcess::spawn_command(command))
    }
}

fn services(
    urls: &Urls,
    store: &EmbeddedStore,
    folder: &Path,
) -> Vec<(&'static str, GauntletProcess)> {
    let address = |url: &str| url.trim_start_matches("http://").to_owned();
    let file = |name: &str| folder.join(name).display().to_string();
    let (pg_url, redis_url) = (store.postgres_url(), store.redis_url());
    let start = |service: &'static str, env: &[(&str, String)]| {
        let shared = [("GAUNTLET_PG_URL", &pg_url), ("GAUNTLET_REDIS_URL", &redis_url)];
        let shared = shared.into_iter().map(|(name, value)| (name, value.as_str()));
        let env = shared.chain(env.iter().map(|(name, value)| (*name, value.as_str())));
        (service, GauntletProcess::spawn_with(["serve", service], env))
    };
    vec![
        start("scheduler", &[("GAUNTLET_SCHEDULER_LISTEN", address(&urls.scheduler))]),
        start(
            "results",
            &[
                ("GAUNTLET_RESULTS_LISTEN", address(&urls.results)),
                ("GAUNTLET_RESULTS_SCHEDULER", urls.scheduler.clone()),
                ("GAUNTLET_RESULTS_ARTIFACTS_DIR", file("artifacts")),
            ],
        ),
        start(
            "notifier",
            &[
                ("GAUNTLET_NOTIFIER_LISTEN", address(&urls.notifier)),
                ("GAUNTLET_NOTIFIER_SCHEDULER", urls.scheduler.clone()),
                (
                    "GAUNTLET_NOTIFIER_WEBHOOK_SECRET_FILE",
                    gauntlet_testkit::key_file(folder, "whsec_"),
                ),
            ],
        ),
        start(
            "gateway",
            &[
                ("GAUNTLET_GATEWAY_LISTEN", address(&urls.gateway)),
                ("GAUNTLET_GATEWAY_SCHEDULER", urls.scheduler.clone()),
                ("GAUNTLET_GATEWAY_RESULTS", urls.results.clone()),
                ("GAUNTLET_GATEWAY_NOTIFIER", urls.notifier.clone()),
            ],
        ),
    ]
}

/// Follows the feed of terminal events: nothing has to ask for the state of a run.
async fn follow(
    mut feed: EventFeedServiceClient<Peer>,
    ended: broadcast::Sender<Ended>,
    lifecycle: Lifecycle,
) -> anyhow::Result<()> {
    let request = v1::WatchEventsRequest { terminal_only: true, ..Default::default() };
    let mut events = feed.watch_events(request).await?.into_inner();
    loop {
        let message = tokio::select! {
            () = lifecycle.draining() => return Ok(()),
            message = events.message() => message?.context("the event feed ended")?,
        };
        let event = message.event.and_then(|event| event.event);
        if let Some(v1::run_event::Event::Terminal(terminal)) = event {
            // Without a part that listens there is nobody to tell.
            let _ = ended.send(Ended { state: terminal.state() });
        }
    }
}

async fn accept(
    listener: TcpListener,
    told: broadcast::Sender<Told>,
    lifecycle: Lifecycle,
) -> anyhow::Result<()> {
    for executor in 0.. {
        let stream = tokio::select! {
            () = lifecycle.draining() => break,
            accepted = listener.accept() => accepted?.0,
        };
        lifecycle.spawn("trace", listen(stream, executor, told.clone()));
    }
    Ok(())
}

/// Passes on what one executor tells, until it ends.
async fn listen(stream: TcpStream, executor: usize, told: broadcast::Sender<Told>) {
    let mut lines = BufReader::new(stream).lines();
    // The first line is its name.
    let _ = lines.next_line().await;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(traced) = line.parse() {
            let _ = told.send(Told { executor, traced });
        }
    }
}

/// Returns the time since `begun_ns` in milliseconds.
pub(crate) fn ms_since(begun_ns: u64) -> f64 {
    ms_between(begun_ns, monotonic_ns())
}

/// Returns the time between two moments in milliseconds.
pub(crate) fn ms_between(begun_ns: u64, ended_ns: u64) -> f64 {
    Duration::from_nanos(ended_ns.saturating_sub(begun_ns)).as_secs_f64() * 1_000.0
}

/// Returns the tale of one run, waiting for it at most until `deadline`.
pub(crate) async fn next_tale(
    tales: &mut broadcast::Receiver<Told>,
    run_id: Uuid,
    deadline: tokio::time::Instant,
) -> anyhow::Result<Option<Told>> {
    loop {
        match tokio::time::timeout_at(deadline, tales.recv()).await {
            Ok(Ok(told)) if told.traced.run_id == run_id => return Ok(Some(told)),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error).context("tales were missed"),
            Err(_) => return Ok(None),
        }
    }
}
