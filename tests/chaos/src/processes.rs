//! The processes of the mesh by name, to be killed, frozen, drained and started again as they were.
//!
//! What a process printed is kept in the world's folder when it ends, as evidence.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use gauntlet_testkit::GauntletProcess;
use tokio::sync::Mutex;

/// How long a drain may take; the executors and services have shorter graces.
const DRAIN_MAX: Duration = Duration::from_secs(40);

/// How to start a process.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl Launch {
    fn spawn(&self) -> GauntletProcess {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().cloned());
        GauntletProcess::spawn_command(command)
    }
}

struct Running {
    launch: Launch,
    process: GauntletProcess,
    /// False from the moment it is told to end until it is started again.
    expected: bool,
}

/// All processes; killed with this value.
pub(crate) struct Processes {
    logs: PathBuf,
    running: Mutex<BTreeMap<String, Running>>,
}

impl Processes {
    pub(crate) fn new(logs: &Path) -> Self {
        Self { logs: logs.to_owned(), running: Mutex::default() }
    }

    pub(crate) async fn start(&self, name: &str, launch: Launch) {
        let process = launch.spawn();
        self.running
            .lock()
            .await
            .insert(name.to_owned(), Running { launch, process, expected: true });
    }

    pub(crate) async fn kill9(&self, name: &str) -> anyhow::Result<()> {
        let mut all = self.running.lock().await;
        let running = find(&mut all, name)?;
        running.expected = false;
        running.process.kill9();
        self.keep(name, &running.process.output())
    }

    /// Starts a process that was ended; with other arguments if `change` makes some.
    pub(crate) async fn start_again(
        &self,
        name: &str,
        change: impl FnOnce(&mut Launch),
    ) -> anyhow::Result<()> {
        let mut all = self.running.lock().await;
        let running = find(&mut all, name)?;
        change(&mut running.launch);
        running.process = running.launch.spawn();
        running.expected = true;
        Ok(())
    }

    pub(crate) async fn freeze(&self, name: &str) -> anyhow::Result<()> {
        find(&mut *self.running.lock().await, name)?.process.sigstop();
        Ok(())
    }

    pub(crate) async fn thaw(&self, name: &str) -> anyhow::Result<()> {
        find(&mut *self.running.lock().await, name)?.process.sigcont();
        Ok(())
    }

    /// Asks a process to end.
    pub(crate) async fn drain(&self, name: &str) -> anyhow::Result<()> {
        let mut all = self.running.lock().await;
        let running = find(&mut all, name)?;
        running.expected = false;
        running.process.sigcont();
        running.process.sigterm();
        Ok(())
    }

    /// Waits for the end of a process that was asked to; the others can be reached meanwhile.
    pub(crate) async fn ended(&self, name: &str) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + DRAIN_MAX;
        loop {
            {
                let mut all = self.running.lock().await;
                let running = find(&mut all, name)?;
                if !running.process.is_running() {
                    return self.keep(name, &running.process.output());
                }
                if tokio::time::Instant::now() >= deadline {
                    anyhow::bail!("{name} has not drained within {DRAIN_MAX:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns names that begin so.
    pub(crate) async fn names(&self, kind: &str) -> Vec<String> {
        self.running.lock().await.keys().filter(|name| name.starts_with(kind)).cloned().collect()
    }

    /// Starts processes again that have ended though nobody ended them, as an orchestrator does; returns their last words.
    pub(crate) async fn revive(&self) -> anyhow::Result<Vec<String>> {
        let mut all = self.running.lock().await;
        let mut dead = Vec::new();
        for (name, running) in all.iter_mut().filter(|(_, running)| running.expected) {
            if running.process.is_running() {
                continue;
            }
            let output = running.process.output();
            let last = output.lines().last().unwrap_or_default();
            dead.push(format!("{name}: {last}"));
            self.keep(name, &output)?;
            running.process = running.launch.spawn();
        }
        Ok(dead)
    }

    /// Ends all of them, politely, and keeps what they printed.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        let names = self.names("").await;
        for name in &names {
            self.drain(name).await?;
        }
        for name in &names {
            self.ended(name).await?;
        }
        Ok(())
    }

    fn keep(&self, name: &str, output: &str) -> anyhow::Result<()> {
        let file = self.logs.join(format!("{name}.log"));
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        file.write_all(output.as_bytes()).context("a log cannot be kept")
    }
}

fn find<'a>(all: &'a mut BTreeMap<String, Running>, name: &str) -> anyhow::Result<&'a mut Running> {
    all.get_mut(name).with_context(|| format!("there is no process {name}"))
}
