//! One executor against a scripted scheduler, scripted results and scripted browsers.

#![expect(unreachable_pub, clippy::unwrap_used, reason = "a test binary has no public surface")]

mod artifacts;
mod browsers;
mod catalog;
mod faults;
mod leases;
mod mesh;
mod reports;
mod runner;
mod sign_in;

use gauntlet_bus::{Bus, RedisConfig};
use gauntlet_executor::{App, Config, Deps, Fault, TestRunner};
use gauntlet_proto::v1::executor_service_client::ExecutorServiceClient;
use gauntlet_rpc::Peer;
use gauntlet_runtime::{Clock, Exit, Lifecycle};
use mesh::Mesh;
use runner::Scripts;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// One running executor with its surroundings.
struct Stage {
    mesh: Mesh,
    scripts: Scripts,
    lifecycle: Lifecycle,
    running: JoinHandle<Exit>,
    sessions: gauntlet_executor::Sessions,
    grpc: ExecutorServiceClient<Peer>,
    bus: Bus,
    spool: tempfile::TempDir,
}

impl Stage {
    /// Starts an executor of two slots; `prepare` scripts the mesh first.
    async fn start(prepare: impl FnOnce(&Mesh)) -> Self {
        Self::with_grace(Duration::from_secs(20), prepare).await
    }

    async fn with_grace(grace: Duration, prepare: impl FnOnce(&Mesh)) -> Self {
        let scripts = Scripts::new();
        let stage = Self::with(Arc::new(scripts.clone()), grace, Fault::default(), prepare).await;
        Self { scripts, ..stage }
    }

    async fn with_fault(fault: Fault, prepare: impl FnOnce(&Mesh)) -> Self {
        let scripts = Scripts::new();
        let grace = Duration::from_secs(20);
        let stage = Self::with(Arc::new(scripts.clone()), grace, fault, prepare).await;
        Self { scripts, ..stage }
    }

    async fn with(
        runner: Arc<dyn TestRunner>,
        grace: Duration,
        fault: Fault,
        prepare: impl FnOnce(&Mesh),
    ) -> Self {
        let (mesh, scripts, lifecycle) = (Mesh::start(), Scripts::new(), Lifecycle::new());
        let spool = tempfile::tempdir().unwrap();
        prepare(&mesh);
        let config = Config {
            name: "under-test".to_owned(),
            slots: 2,
            scheduler: mesh.endpoint.clone(),
            results: mesh.endpoint.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            grace,
            browsers: gauntlet_executor::BrowserPaths::default(),
            egress: gauntlet_executor::EgressConfig::default(),
            files_dir: Some(env!("CARGO_MANIFEST_DIR").into()),
            recording_cache_bytes_max: 1024 * 1024,
            ffmpeg: None,
            spool_dir: spool.path().to_owned(),
            spool_mib_max: 1,
            redis: RedisConfig::off(),
            fault,
        };
        let bus = Bus::new(&config.redis, &lifecycle);
        let deps = Deps { runner, bus: bus.clone(), clock: Clock::system() };
        let app = App::build(config, deps).await.unwrap();
        let peer = Peer::connect_lazy(&format!("http://{}", app.addr())).unwrap();
        let sessions = app.sessions();
        #[expect(clippy::disallowed_methods, reason = "the test owns and awaits this task")]
        let running = tokio::spawn(app.run(lifecycle.clone()));
        Self {
            mesh,
            scripts,
            lifecycle,
            running,
            sessions,
            grpc: ExecutorServiceClient::new(peer),
            bus,
            spool,
        }
    }

    /// Returns the files that wait on disk.
    fn spooled(&self) -> Vec<String> {
        let mut open = vec![self.spool.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                match entry.path().is_dir() {
                    true => open.push(entry.path()),
                    false if name != "owner" => files.push(name),
                    false => {}
                }
            }
        }
        files
    }

    /// Drains and waits for the end; nothing may be left.
    async fn stop(mut self) -> Exit {
        self.lifecycle.drain();
        let exit = tokio::time::timeout(mesh::WITHIN, &mut self.running).await.unwrap().unwrap();
        assert_eq!(self.scripts.seen.lock().unwrap().alive, 0, "a browser was left");
        assert_eq!(self.spooled(), Vec::<String>::new(), "a file was left");
        self.mesh.lifecycle.kill();
        exit
    }
}
