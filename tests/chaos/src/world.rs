//! The mesh under chaos: a Postgres and a Redis of its own, several processes of each service, a balancer on every way
//! between two of them, executors, and a receiver of webhooks.
//!
//! All processes die with this value. A chaos program that is itself killed leaves services behind, which have lost their
//! database then; its executors and servers end by themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use gauntlet_proto::v1;
use gauntlet_proto::v1::results_service_client::ResultsServiceClient;
use gauntlet_proto::v1::scheduler_service_client::SchedulerServiceClient;
use gauntlet_rpc::{Peer, limited};
use gauntlet_testkit::{EmbeddedConfig, EmbeddedStore, GauntletProcess, free_port};
use serde_json::json;

use crate::balancer::Balancer;
use crate::plan::{BROWSER_TESTS, CATALOG_TESTS, recording_passes};
use crate::processes::{Launch, Processes};
use crate::receiver::Receiver;
use crate::sql::Sql;

const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Connections of clients, so that one stuck gateway does not stop all runs.
const CLIENTS: usize = 8;
/// Slots of a scripted executor.
const SLOTS: u32 = 12;

/// Ways between parts, each with its own weather.
pub(crate) struct Links {
    pub(crate) clients: Balancer,
    pub(crate) gateway_scheduler: Balancer,
    pub(crate) gateway_results: Balancer,
    pub(crate) gateway_notifier: Balancer,
    pub(crate) executor_scheduler: Balancer,
    pub(crate) executor_results: Balancer,
    pub(crate) results_scheduler: Balancer,
    pub(crate) notifier_scheduler: Balancer,
    pub(crate) postgres: Balancer,
    pub(crate) redis: Balancer,
}

impl Links {
    /// Returns the ways that carry gRPC.
    pub(crate) fn grpc(&self) -> [&Balancer; 8] {
        [
            &self.clients,
            &self.gateway_scheduler,
            &self.gateway_results,
            &self.gateway_notifier,
            &self.executor_scheduler,
            &self.executor_results,
            &self.results_scheduler,
            &self.notifier_scheduler,
        ]
    }
}

/// How many of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) executors: u32,
    pub(crate) browsers: bool,
}

/// The running mesh.
pub(crate) struct World {
    pub(crate) processes: Processes,
    pub(crate) links: Links,
    pub(crate) receiver: Receiver,
    pub(crate) sql: Sql,
    clients: Vec<Peer>,
    pub(crate) browsers: bool,
    /// Tests for scripted executors.
    pub(crate) test_ids: Vec<String>,
    /// Tests for browsers.
    pub(crate) recording_ids: Vec<String>,
    pub(crate) dir: PathBuf,
    pub(crate) store: EmbeddedStore,
}

impl World {
    /// Starts everything below `dir` and waits until executors are connected; also returns what ended by itself meanwhile.
    pub(crate) async fn start(dir: &Path, sizes: Sizes) -> anyhow::Result<(Self, Vec<String>)> {
        for folder in ["logs", "ledgers", "browsers"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let store = EmbeddedStore::start(&EmbeddedConfig::ephemeral(dir.join("store"))).await?;
        let mut migrate = GauntletProcess::spawn(["migrate", "--pg-url", &store.postgres_url()]);
        let migrated = migrate.wait(PATIENCE).await;
        anyhow::ensure!(migrated.success(), "migrations failed: {}", migrate.output());
        let addresses = Addresses::new()?;
        let links = addresses.links(&store).await?;
        let processes = Processes::new(&dir.join("logs"));
        let launches = Launches { dir, links: &links, store: &store };
        for (name, launch) in launches.services(&addresses) {
            processes.start(&name, launch).await;
        }
        for number in 0..sizes.executors {
            let name = format!("executor-{number}");
            // Both versions from the start; a rolling restart turns each into the other.
            processes.start(&name, launches.scripted(&name, 1 + number % 2)?).await;
        }
        if sizes.browsers {
            let name = "executor-browsers";
            processes.start(name, launches.browsers(name)).await;
        }
        let clients = (0..CLIENTS).map(|_| Peer::connect_lazy(&links.clients.url()));
        let clients = clients.collect::<Result<_, _>>()?;
        let mut world = Self {
            processes,
            links,
            receiver: Receiver::start().await?,
            sql: Sql::new(store.postgres_url()),
            clients,
            browsers: sizes.browsers,
            test_ids: Vec::new(),
            recording_ids: Vec::new(),
            dir: dir.to_owned(),
            store,
        };
        world.test_ids = world.import((0..CATALOG_TESTS).map(scripted).collect()).await?;
        let site = world.receiver.site();
        let recordings = (0..BROWSER_TESTS).map(|number| recording(&site, number)).collect();
        world.recording_ids = world.import(recordings).await?;
        let dead = world.until_connected(sizes).await?;
        Ok((world, dead))
    }

    /// Returns a client of the scheduler; another turn is another connection, perhaps to another gateway.
    pub(crate) fn scheduler(&self, turn: usize) -> SchedulerServiceClient<Peer> {
        limited!(SchedulerServiceClient::new(self.clients[turn % CLIENTS].clone()))
    }

    /// Returns a client of results.
    pub(crate) fn results(&self, turn: usize) -> ResultsServiceClient<Peer> {
        limited!(ResultsServiceClient::new(self.clients[turn % CLIENTS].clone()))
    }

    async fn import(&self, recordings: Vec<v1::Recording>) -> anyhow::Result<Vec<String>> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let recordings = recordings.clone();
            let request = v1::ImportTestsRequest { recordings, ..Default::default() };
            match self.scheduler(0).import_tests(request).await {
                Ok(reply) => {
                    let tests = reply.into_inner().tests;
                    return Ok(tests.into_iter().map(|test| test.test_id).collect());
                }
                Err(status) if tokio::time::Instant::now() >= deadline => {
                    return Err(status).context("tests cannot be imported");
                }
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Returns what ended by itself on the way.
    async fn until_connected(&self, sizes: Sizes) -> anyhow::Result<Vec<String>> {
        let mut dead = Vec::new();
        let wanted = i64::from(sizes.executors) + i64::from(sizes.browsers);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let alive = "SELECT count(*) FROM scheduler.executor_sessions WHERE NOT reaped";
            let alive: i64 = self.sql.query(alive, &[]).await?[0].get(0);
            if alive >= wanted {
                return Ok(dead);
            }
            dead.extend(self.processes.revive().await?);
            let late = tokio::time::Instant::now() >= deadline;
            anyhow::ensure!(!late, "{alive} of {wanted} executors: {dead:?}");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Returns what executors wrote down.
    pub(crate) fn ledgers(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.dir.join("ledgers"))? {
            text.push_str(&std::fs::read_to_string(entry?.path())?);
        }
        Ok(text)
    }
}

/// A test whose content nobody looks at.
fn scripted(number: u32) -> v1::Recording {
    let url = format!("http://127.0.0.1:9/{number}");
    let step = json!({"type": "navigate", "url": url});
    let content = json!({"title": format!("test {number:03}"), "steps": [step]});
    v1::Recording {
        file: format!("test-{number:03}.json"),
        content: content.to_string().into_bytes(),
        tags: vec!["scripted".to_owned()],
    }
}

/// A test of the site that passes or fails.
fn recording(site: &str, number: u32) -> v1::Recording {
    let expected = recording_passes(number);
    let expression = format!("document.title === 'Chaos' && {expected}");
    let content = json!({"title": format!("page {number}"), "steps": [
        {"type": "navigate", "url": site},
        {"type": "waitForExpression", "timeout": 1500, "expression": expression},
    ]});
    v1::Recording {
        file: format!("page-{number}.json"),
        content: content.to_string().into_bytes(),
        tags: vec!["browser".to_owned()],
    }
}

/// Where each process listens; fixed, so that it can be started again.
struct Addresses {
    schedulers: Vec<SocketAddr>,
    results: Vec<SocketAddr>,
    notifiers: Vec<SocketAddr>,
    gateways: Vec<SocketAddr>,
}

impl Addresses {
    fn new() -> anyhow::Result<Self> {
        let some = || (0..2).map(|_| local(free_port()?)).collect::<anyhow::Result<Vec<_>>>();
        Ok(Self { schedulers: some()?, results: some()?, notifiers: some()?, gateways: some()? })
    }

    async fn links(&self, store: &EmbeddedStore) -> anyhow::Result<Links> {
        let Self { schedulers, results, notifiers, gateways } = self;
        let to = |servers: &Vec<SocketAddr>| Balancer::start(servers.clone());
        Ok(Links {
            clients: to(gateways).await?,
            gateway_scheduler: to(schedulers).await?,
            gateway_results: to(results).await?,
            gateway_notifier: to(notifiers).await?,
            executor_scheduler: to(schedulers).await?,
            executor_results: to(results).await?,
            results_scheduler: to(schedulers).await?,
            notifier_scheduler: to(schedulers).await?,
            postgres: to(&vec![local(store.postgres().port())?]).await?,
            redis: to(&vec![local(store.redis().port())?]).await?,
        })
    }
}

fn local(port: u16) -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

struct Launches<'a> {
    dir: &'a Path,
    links: &'a Links,
    store: &'a EmbeddedStore,
}

impl Launches<'_> {
    fn services(&self, addresses: &Addresses) -> Vec<(String, Launch)> {
        let links = self.links;
        let mut launches = Vec::new();
        let mut each = |service: &str, addrs: &[SocketAddr], args: &[(&str, String)]| {
            for (number, addr) in addrs.iter().enumerate() {
                let mut words = vec!["serve".to_owned(), service.to_owned()];
                words.extend(["--listen".to_owned(), addr.to_string()]);
                let args =
                    args.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
                words.extend(args.filter(|word| !word.is_empty()));
                launches.push((format!("{service}-{number}"), self.launch(words)));
            }
        };
        each("scheduler", &addresses.schedulers, &[]);
        let artifacts = self.dir.join("artifacts").display().to_string();
        let scheduler = links.results_scheduler.url();
        let args = [("--scheduler", scheduler), ("--artifacts-dir", artifacts)];
        each("results", &addresses.results, &args);
        let secret = gauntlet_testkit::key_file(self.dir, "whsec_");
        let scheduler = links.notifier_scheduler.url();
        let args = [
            ("--scheduler", scheduler),
            ("--webhook-secret-file", secret),
            ("--allow-loopback-callbacks", String::new()),
        ];
        each("notifier", &addresses.notifiers, &args);
        let args = [
            ("--scheduler", links.gateway_scheduler.url()),
            ("--results", links.gateway_results.url()),
            ("--notifier", links.gateway_notifier.url()),
        ];
        each("gateway", &addresses.gateways, &args);
        launches
    }

    fn launch(&self, args: Vec<String>) -> Launch {
        Launch { program: GauntletProcess::binary().to_owned(), args, env: self.env() }
    }

    /// The stores behind their balancers.
    fn env(&self) -> Vec<(String, String)> {
        let behind = |url: String, port: u16, link: &Balancer| {
            url.replacen(&format!(":{port}"), &format!(":{}", link.addr().port()), 1)
        };
        let (postgres, redis) = (self.store.postgres(), self.store.redis());
        let postgres = behind(postgres.url(), postgres.port(), &self.links.postgres);
        let redis = behind(redis.url(), redis.port(), &self.links.redis);
        let env = [
            ("GAUNTLET_PG_URL", postgres.as_str()),
            ("GAUNTLET_REDIS_URL", &redis),
            ("GAUNTLET_LOG", "warn"),
        ];
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    fn scripted(&self, name: &str, protocol: u32) -> anyhow::Result<Launch> {
        let ledger = self.dir.join("ledgers").join(name).display().to_string();
        let args = [
            ("--name", name.to_owned()),
            ("--slots", SLOTS.to_string()),
            ("--scheduler", self.links.executor_scheduler.url()),
            ("--results", self.links.executor_results.url()),
            ("--protocol", protocol.to_string()),
            ("--ledger", ledger),
        ];
        let mut words = vec!["scripted-executor".to_owned()];
        words.extend(args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        Ok(Launch { program: std::env::current_exe()?, args: words, env: self.env() })
    }

    fn browsers(&self, name: &str) -> Launch {
        let args = [
            ("--name", name.to_owned()),
            ("--slots", "2".to_owned()),
            ("--grace-seconds", "10".to_owned()),
            ("--browser-dir", self.dir.join("browsers").display().to_string()),
            // Chromium only: what is for the scripted executors is called Firefox.
            ("--geckodriver", self.dir.join("none").display().to_string()),
            ("--scheduler", self.links.executor_scheduler.url()),
            ("--results", self.links.executor_results.url()),
        ];
        // Sites of real browsers are on this machine.
        let mut words = ["serve", "executor", "--egress-loopback"].map(str::to_owned).to_vec();
        words.extend(args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        self.launch(words)
    }
}
