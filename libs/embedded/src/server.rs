//! One running server: start on a free port, wait for readiness, stop, and be broken on purpose.
//!
//! A server that dies by itself is not started again here: `gauntlet up` ends then, and a chaos test
//! calls [`Server::start_again`].

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::EmbeddedError;
use crate::folder::Log;
use crate::guard::Guard;
use crate::port::free_port;
use crate::postgres::PostgresLaunch;
use crate::process::{POLL_INTERVAL, Pid, children_of, is_alive, signal, within};
use crate::redis::RedisLaunch;

const PORT_TRIES: usize = 5;
/// How long a killed process may take to leave the process table.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Which server, and how to start it.
#[derive(Debug)]
pub(crate) enum Launch {
    Postgres(PostgresLaunch),
    Redis(RedisLaunch),
}

impl Launch {
    fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
        }
    }

    fn log(&self) -> &Log {
        match self {
            Self::Postgres(launch) => &launch.log,
            Self::Redis(launch) => &launch.log,
        }
    }

    fn command(&self, port: u16) -> Command {
        match self {
            Self::Postgres(launch) => launch.command(port),
            Self::Redis(launch) => launch.command(port),
        }
    }

    async fn probe(&self, port: u16) -> Result<(), String> {
        match self {
            Self::Postgres(launch) => launch.probe(port).await,
            Self::Redis(launch) => launch.probe(port).await,
        }
    }

    /// The signal that stops the server in good order without waiting for its clients.
    fn stop_signal(&self) -> Signal {
        match self {
            Self::Postgres(_) => Signal::INT,
            Self::Redis(_) => Signal::TERM,
        }
    }

    /// The signal that stops the server at once, leaving recovery to the next start.
    fn abort_signal(&self) -> Signal {
        match self {
            Self::Postgres(_) => Signal::QUIT,
            Self::Redis(_) => Signal::KILL,
        }
    }
}

/// How one try to start ended, if not well.
enum StartFailure {
    /// Somebody took the port between our asking and the server's binding.
    PortTaken,
    Failed(EmbeddedError),
}

/// One server of an [`EmbeddedStore`](crate::EmbeddedStore): its URL and its controls.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    port: u16,
    child: Mutex<Option<Child>>,
    guard: Arc<Guard>,
    start_timeout: Duration,
    stop_grace: Duration,
}

impl Drop for Server {
    /// Also covers a start that failed or was cancelled after the process was made.
    fn drop(&mut self) {
        self.abort_blocking();
    }
}

impl Server {
    /// Starts a server on a free port and waits until it answers.
    pub(crate) async fn start(
        launch: Launch,
        guard: Arc<Guard>,
        start_timeout: Duration,
        stop_grace: Duration,
    ) -> Result<Self, EmbeddedError> {
        let name = launch.name();
        let mut server =
            Self { launch, port: 0, child: Mutex::new(None), guard, start_timeout, stop_grace };
        for _ in 0..PORT_TRIES {
            server.port =
                free_port().map_err(EmbeddedError::folder("bind a port on", "127.0.0.1"))?;
            match server.run().await {
                Ok(()) => return Ok(server),
                Err(StartFailure::PortTaken) => {
                    tracing::debug!(
                        server = name,
                        port = server.port,
                        "port taken, trying another"
                    );
                }
                Err(StartFailure::Failed(error)) => return Err(error),
            }
        }
        Err(EmbeddedError::NoFreePort { server: name, tries: PORT_TRIES })
    }

    /// Returns the URL, password included: not for logs.
    pub fn url(&self) -> String {
        match &self.launch {
            Launch::Postgres(launch) => launch.url(self.port),
            Launch::Redis(launch) => launch.url(self.port),
        }
    }

    /// Returns the port on 127.0.0.1; it stays the same over [`Self::start_again`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process, if it has not ended.
    pub fn pid(&self) -> Option<Pid> {
        let mut slot = self.slot();
        match slot.as_mut().map(|child| (child.try_wait(), child_pid(child))) {
            Some((Ok(None), pid)) => pid,
            _ => None,
        }
    }

    /// Stops the server in good order, kills it after the grace.
    ///
    /// # Cancel safety
    /// Dropped midway, the signal has been sent and the server ends by itself.
    pub async fn stop(&self) {
        if let Some(pid) = self.pid() {
            signal(pid, self.launch.stop_signal());
        }
        if !within(self.stop_grace, || self.reap().is_some()).await {
            tracing::warn!(server = self.launch.name(), "no stop within the grace, killing");
            self.kill9().await;
        }
    }

    /// Stops the server at once; Postgres recovers from its log at the next start.
    pub async fn stop_immediate(&self) {
        if let Some(pid) = self.pid() {
            signal(pid, self.launch.abort_signal());
        }
        if !within(KILL_LIMIT, || self.reap().is_some()).await {
            self.kill9().await;
        }
    }

    /// Kills the server and all its backends, as a power cut would.
    pub async fn kill9(&self) {
        let Some(pid) = self.pid() else {
            self.reap();
            return;
        };
        let family: Vec<Pid> = std::iter::once(pid).chain(children_of(pid)).collect();
        for one in &family {
            signal(*one, Signal::KILL);
        }
        let gone = || self.reap().is_some() && !family.iter().skip(1).any(|one| is_alive(*one));
        if !within(KILL_LIMIT, gone).await {
            tracing::warn!(server = self.launch.name(), "killed, but still in the process table");
        }
    }

    /// Freezes the server process with SIGSTOP: connections stay open and nothing answers new ones.
    pub fn pause(&self) {
        self.signal_family(Signal::STOP);
    }

    /// Ends a [`Self::pause`].
    pub fn resume(&self) {
        self.signal_family(Signal::CONT);
    }

    /// Starts a stopped or killed server again, on the same port and data.
    ///
    /// # Errors
    /// [`EmbeddedError::StillRunning`] if it runs, else as the first start; the port is not changed,
    /// so one that was taken meanwhile is [`EmbeddedError::NoFreePort`].
    pub async fn start_again(&self) -> Result<(), EmbeddedError> {
        let server = self.launch.name();
        if let Some(pid) = self.pid() {
            let pid = pid.as_raw_pid().unsigned_abs();
            return Err(EmbeddedError::StillRunning { server, pid });
        }
        self.run().await.map_err(|failure| match failure {
            StartFailure::PortTaken => EmbeddedError::NoFreePort { server, tries: 1 },
            StartFailure::Failed(error) => error,
        })
    }

    /// Creates our database on a Postgres that has none yet.
    pub(crate) async fn ensure_database(&self) -> Result<(), EmbeddedError> {
        match &self.launch {
            Launch::Postgres(launch) => launch.ensure_database(self.port).await,
            Launch::Redis(_) => Ok(()),
        }
    }

    /// Kills without waiting for a runtime: for `Drop`.
    pub(crate) fn abort_blocking(&self) {
        let Some(pid) = self.pid() else { return };
        signal(pid, self.launch.abort_signal());
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.reap().is_none() {
            if Instant::now() >= deadline {
                signal(pid, Signal::KILL);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Gives up the child without stopping it.
    pub(crate) fn forget(&self) -> Option<Pid> {
        self.slot().take().and_then(|child| child_pid(&child))
    }

    /// Starts the process until it answers; tries again while a killed predecessor is still leaving.
    async fn run(&self) -> Result<(), StartFailure> {
        let deadline = Instant::now() + self.start_timeout;
        loop {
            let from = self.spawn().map_err(StartFailure::Failed)?;
            let Some((status, log)) = self.until_ready(from, deadline).await? else {
                return Ok(());
            };
            if log.contains("Address already in use") {
                return Err(StartFailure::PortTaken);
            }
            // The backends of a killed postmaster need a moment to see that it is gone.
            let predecessor = log.contains("pre-existing shared memory block")
                || log.contains("lock file \"postmaster.pid\" already exists");
            if !predecessor || Instant::now() >= deadline {
                return Err(StartFailure::Failed(EmbeddedError::ExitedEarly {
                    server: self.launch.name(),
                    status: status.to_string(),
                    log: self.launch.log().path.clone(),
                    tail: self.launch.log().tail(from),
                }));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts the process; returns where its part of the log begins.
    fn spawn(&self) -> Result<u64, EmbeddedError> {
        let log = self.launch.log();
        let (out, from) = log.open()?;
        let err = out.try_clone().map_err(EmbeddedError::folder("open", &log.path))?;
        let mut command = self.launch.command(self.port);
        // A group of its own: Ctrl-C on the terminal is for us, and we stop the servers last.
        command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().map_err(|source| EmbeddedError::Spawn {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        self.guard.watch(self.launch.name(), child_pid(&child));
        *self.slot() = Some(child);
        Ok(from)
    }

    /// Waits for an answer (`None`) or for the end of the process (its status and log).
    async fn until_ready(
        &self,
        from: u64,
        deadline: Instant,
    ) -> Result<Option<(ExitStatus, String)>, StartFailure> {
        loop {
            if let Some(status) = self.reap() {
                return Ok(Some((status, self.launch.log().since(from))));
            }
            let last = match self.launch.probe(self.port).await {
                Ok(()) => return Ok(None),
                Err(seen) => seen,
            };
            if Instant::now() >= deadline {
                self.kill9().await;
                return Err(StartFailure::Failed(EmbeddedError::NotReady {
                    server: self.launch.name(),
                    waited: self.start_timeout,
                    last,
                    log: self.launch.log().path.clone(),
                    tail: self.launch.log().tail(from),
                }));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Collects the process if it has ended. A process that is not there counts as ended well.
    fn reap(&self) -> Option<ExitStatus> {
        let mut slot = self.slot();
        let status = match slot.as_mut() {
            None => return Some(ExitStatus::default()),
            Some(child) => child.try_wait().ok().flatten()?,
        };
        self.guard.watch(self.launch.name(), None);
        *slot = None;
        Some(status)
    }

    fn signal_family(&self, what: Signal) {
        let Some(pid) = self.pid() else { return };
        for one in std::iter::once(pid).chain(children_of(pid)) {
            signal(one, what);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn child_pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}
