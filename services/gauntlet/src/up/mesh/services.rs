//! One function per service: its settings within one process, then build, then run.
//!
//! Every service listens on a free port of loopback and gets a lifecycle of its own; a service that fails takes the mesh
//! with it. Nothing here is durable.

use super::{EXECUTOR_GRACE, LOOPBACK, Parts, Settings, no_gateway};
use crate::failure::Failure;
use gauntlet_bus::RedisConfig;
use gauntlet_pg::PgConfig;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

/// In the data folder: what webhooks are signed with.
const SECRET_FILE: &str = "webhook-secret";
/// In the data folder: what secrets of environments are encrypted with.
const KEY_FILE: &str = "secrets-key";
const RECORDING_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Artifacts of an executor that wait for results, in MiB.
const SPOOL_MIB: u32 = 1_024;

impl Parts {
    pub(super) async fn start_scheduler(
        &mut self,
        pg: &PgConfig,
        redis: &RedisConfig,
        data_dir: &Path,
    ) -> Result<String, Failure> {
        let key = gauntlet_scheduler::SecretsKey::load_or_create(&data_dir.join(KEY_FILE));
        let config = gauntlet_scheduler::Config {
            listen: LOOPBACK,
            pg: pg.clone(),
            redis: redis.clone(),
            secrets_key: Some(key.map_err(|error| failed("the scheduler", &error))?),
        };
        let app = gauntlet_scheduler::App::build(&config, &self.lifecycle.child()).await;
        let app = app.map_err(|error| failed("the scheduler", &error))?;
        let endpoint = self.note("scheduler", app.addr());
        self.lifecycle.spawn("scheduler", app.run());
        Ok(endpoint)
    }

    pub(super) async fn start_results(
        &mut self,
        pg: &PgConfig,
        scheduler: &str,
        data_dir: &Path,
    ) -> Result<String, Failure> {
        let config = gauntlet_results::Config {
            listen: LOOPBACK,
            scheduler: scheduler.to_owned(),
            artifacts: gauntlet_results::ArtifactsConfig::folder(data_dir.join("artifacts")),
            pg: pg.clone(),
        };
        let app = gauntlet_results::App::build(&config, &self.lifecycle.child()).await;
        let app = app.map_err(|error| failed("results", &error))?;
        let endpoint = self.note("results", app.addr());
        self.lifecycle.spawn("results", app.run());
        Ok(endpoint)
    }

    /// Callbacks to this machine are allowed: everything else of this mesh is on it too.
    pub(super) async fn start_notifier(
        &mut self,
        pg: &PgConfig,
        scheduler: &str,
        data_dir: &Path,
    ) -> Result<String, Failure> {
        let secret = gauntlet_notifier::Secret::load_or_create(&data_dir.join(SECRET_FILE));
        let config = gauntlet_notifier::Config {
            listen: LOOPBACK,
            scheduler: scheduler.to_owned(),
            secret: secret.map_err(|error| failed("the notifier", &error))?,
            allow_loopback: true,
            retry_schedule: gauntlet_notifier::Config::default_schedule(),
            pg: pg.clone(),
        };
        let app = gauntlet_notifier::App::build(&config, &self.lifecycle.child()).await;
        let app = app.map_err(|error| failed("the notifier", &error))?;
        let endpoint = self.note("notifier", app.addr());
        self.lifecycle.spawn("notifier", app.run());
        Ok(endpoint)
    }

    pub(super) async fn start_executor(
        &mut self,
        index: u16,
        settings: &Settings,
        (scheduler, results): (&str, &str),
        redis: &RedisConfig,
    ) -> Result<(), Failure> {
        let this = std::env::current_exe()
            .map_err(|error| Failure::infrastructure("cannot find this program", &error))?;
        let config = gauntlet_executor::Config {
            name: format!("executor-{index}"),
            slots: settings.slots,
            scheduler: scheduler.to_owned(),
            results: results.to_owned(),
            listen: LOOPBACK,
            grace: EXECUTOR_GRACE,
            browsers: gauntlet_executor::BrowserPaths {
                supervisor: vec![this.into(), "supervise".into()],
                ..gauntlet_executor::BrowserPaths::default()
            },
            egress: gauntlet_executor::EgressConfig {
                loopback: true,
                deny: Vec::new(),
                ports: self.ports.clone(),
            },
            files_dir: settings.files_dir.clone(),
            recording_cache_bytes_max: RECORDING_CACHE_BYTES,
            ffmpeg: None,
            spool_dir: std::env::temp_dir(),
            spool_mib_max: SPOOL_MIB,
            redis: redis.clone(),
            fault: gauntlet_executor::Fault::default(),
        };
        let lifecycle = self.lifecycle.child();
        let deps = gauntlet_executor::Deps::production(&config, &lifecycle);
        let app = gauntlet_executor::App::build(config, deps).await;
        let app = app.map_err(|error| failed("an executor", &error))?;
        self.note(&format!("executor-{index}"), app.addr());
        self.sessions.push(app.sessions());
        let running = lifecycle.clone();
        // It waits for the tasks of its own lifecycle, so it is a task of the mesh and not one of them.
        self.lifecycle.spawn("executor", async move {
            app.run(running).await;
        });
        self.executors.push(lifecycle);
        Ok(())
    }

    pub(super) async fn start_gateway(
        &mut self,
        listen: SocketAddr,
        peers: [String; 3],
    ) -> Result<(), Failure> {
        let config = gauntlet_gateway::Config::new(listen, peers);
        let app = gauntlet_gateway::App::build(&config, &self.gateway).await;
        let app = app.map_err(|error| no_gateway(listen, &error))?;
        self.endpoint = format!("http://{}", app.addr());
        self.ports.add(app.addr().port());
        self.lifecycle.spawn("gateway", app.run());
        Ok(())
    }

    fn note(&mut self, name: &str, addr: SocketAddr) -> String {
        let endpoint = format!("http://{addr}");
        self.ports.add(addr.port());
        self.services.insert(name.to_owned(), endpoint.clone());
        endpoint
    }
}

fn failed(service: &str, error: &(dyn Error + 'static)) -> Failure {
    Failure::infrastructure(&format!("cannot start {service}"), error)
}
