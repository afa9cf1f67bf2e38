//! One supervised driver process and its profile folder. Dropping it kills the whole tree at once.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

use crate::{BrowserConfig, LaunchError, Programs, endpoint::Endpoint, kind::Port, sweep};

/// Starts of the driver before its failure is believed.
const DRIVER_STARTS_MAX: u32 = 3;
/// Pause between two looks whether a driver that says nothing is up.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// Size of a screen of its own, and its depth.
const SCREEN: &str = "1920x1200x24";

/// A running driver below its supervisor.
#[derive(Debug)]
pub(crate) struct DriverProcess {
    supervisor: u32,
    supervisor_ended: Arc<AtomicBool>,
    /// Ends when nothing is left.
    guard: JoinHandle<()>,
    /// The life line: when it closes, the supervisor kills everything.
    life_line: Option<ChildStdin>,
    /// Reads on, so that nobody below ever waits for room in the pipe.
    output: JoinHandle<()>,
    pub(crate) endpoint: Endpoint,
    pub(crate) profile: PathBuf,
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        self.output.abort();
    }
}

impl DriverProcess {
    /// Starts the driver. A free port can be taken by another process before the driver has it, so a driver that ended is
    /// started again.
    ///
    /// # Cancel safety
    /// Dropping the future kills what was started.
    pub(crate) async fn start(
        config: &BrowserConfig,
        programs: &Programs,
    ) -> Result<Self, LaunchError> {
        for _ in 1..DRIVER_STARTS_MAX {
            match Self::start_once(config, programs).await {
                Err(LaunchError::Driver { detail }) => {
                    tracing::debug!(detail, "the driver is started again");
                }
                started => return started,
            }
        }
        Self::start_once(config, programs).await
    }

    async fn start_once(config: &BrowserConfig, programs: &Programs) -> Result<Self, LaunchError> {
        let profile =
            sweep::make_owned_folder(&config.temp_dir, &config.marker).map_err(|source| {
                LaunchError::Profile { folder: config.temp_dir.display().to_string(), source }
            })?;
        let engine = config.kind.engine();
        let given = match engine.port() {
            Port::Announced(_) => 0,
            Port::Given => free_port()?,
        };
        let mut command = command(config, programs, &profile)?;
        command.args(engine.driver_args(given, &profile));
        let (mut supervisor, output) = spawn(command)?;
        let life_line = supervisor.stdin.take();
        let mut output = BufReader::new(output);
        let up = async {
            match engine.port() {
                Port::Announced(words) => Ok(Endpoint::local(announced(&mut output, words).await?)),
                Port::Given => answering(&mut supervisor, given).await,
            }
        };
        let endpoint = tokio::time::timeout(config.launch_timeout, up).await.map_err(|_| {
            LaunchError::TooSlow { what: "starting the driver", after: config.launch_timeout }
        })??;
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is owned here and aborted on drop"
        )]
        let output = tokio::spawn(discard(output));
        let supervisor_ended = Arc::default();
        let pid = supervisor.id().unwrap_or_default();
        let guard = guard(supervisor, profile.clone(), Arc::clone(&supervisor_ended));
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the supervisor, which ends with the life line"
        )]
        let guard = tokio::spawn(guard);
        Ok(Self { supervisor: pid, supervisor_ended, guard, life_line, output, endpoint, profile })
    }

    /// Kills driver and browser without waiting for either.
    pub(crate) fn kill(&mut self) {
        self.life_line = None;
    }

    /// Kills, and waits until nothing is left.
    pub(crate) async fn kill_and_wait(&mut self, limit: Duration) {
        self.kill();
        if !self.guard.is_finished() {
            let _ = tokio::time::timeout(limit, &mut self.guard).await;
        }
        // The supervisor is stuck: what it should have done is done from here.
        clear(self.profile.clone()).await;
    }

    /// Returns the head of the tree, which lives as long as anything of it.
    pub(crate) fn pid(&self) -> Option<u32> {
        (!self.has_ended()).then_some(self.supervisor)
    }

    /// Tells whether the driver itself has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.supervisor_ended.load(Ordering::SeqCst)
    }
}

/// Waits for the supervisor's end. One that ends by itself leaves nothing; what one that was killed has left ends here.
async fn guard(mut supervisor: Child, profile: PathBuf, ended: Arc<AtomicBool>) {
    let _ = supervisor.wait().await;
    ended.store(true, Ordering::SeqCst);
    clear(profile).await;
}

/// Kills who uses a profile, and removes it, if it is there.
async fn clear(profile: PathBuf) {
    if profile.exists() {
        let _ = tokio::task::spawn_blocking(move || sweep::clear(&profile)).await;
    }
}

/// Returns the supervisor's command line up to the driver's arguments, and what all processes below find around them.
fn command(
    config: &BrowserConfig,
    programs: &Programs,
    profile: &Path,
) -> Result<Command, LaunchError> {
    let (program, prefix) =
        config.supervisor.split_first().ok_or(LaunchError::SupervisorMissing)?;
    let mut command = Command::new(program);
    command.args(prefix).arg("--remove").arg(profile);
    if let Some(screen) = &programs.screen {
        command.args([OsString::from("--screen"), screen.into(), SCREEN.into()]);
    }
    command.arg("--").arg(&programs.driver);
    // Whatever driver and browser leave in a folder goes with the profile; each process can be told by it and by the tag.
    for place in ["TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"]
    {
        command.env(place, profile);
    }
    command
        .env("BROWSER_MARKER", sweep::tag(&config.marker))
        // A desktop's services would be started, and would stay.
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
        .env("GSETTINGS_BACKEND", "memory")
        .env("NO_AT_BRIDGE", "1")
        .env("MOZ_CRASHREPORTER_DISABLE", "1");
    if !config.sandbox {
        command.env("MOZ_DISABLE_CONTENT_SANDBOX", "1");
    }
    Ok(command)
}

fn spawn(mut command: Command) -> Result<(Child, ChildStdout), LaunchError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A signal from the terminal is the owner's to handle.
        .process_group(0)
        .spawn()
        .map_err(|source| LaunchError::Supervisor {
            program: command.as_std().get_program().to_string_lossy().into_owned(),
            source,
        })?;
    match child.stdout.take() {
        Some(output) => Ok((child, output)),
        None => Err(LaunchError::Driver { detail: "it has no output".to_owned() }),
    }
}

fn free_port() -> Result<u16, LaunchError> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port());
    port.map_err(|error| LaunchError::Driver { detail: format!("no free port: {error}") })
}

/// Waits until a driver that says nothing answers on its port.
async fn answering(supervisor: &mut Child, port: u16) -> Result<Endpoint, LaunchError> {
    let endpoint = Endpoint::local(port);
    loop {
        let answers = endpoint.status().await.is_ok();
        if !matches!(supervisor.try_wait(), Ok(None)) {
            return Err(LaunchError::Driver { detail: "it ended".to_owned() });
        }
        if answers {
            return Ok(endpoint);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Reads the port that the driver chose, which it says after `words`.
async fn announced(
    output: &mut BufReader<ChildStdout>,
    words: &'static str,
) -> Result<u16, LaunchError> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        match output.read_line(&mut line).await {
            Ok(0) | Err(_) => {
                return Err(LaunchError::Driver {
                    detail: format!("it ended after saying {said:?}"),
                });
            }
            Ok(_) => {}
        }
        if let Some((_, port)) = line.split_once(words) {
            let digits = port.trim().trim_end_matches('.');
            return digits
                .parse()
                .map_err(|_| LaunchError::Driver { detail: format!("no port in {line:?}") });
        }
        if said.len() < 2_000 {
            said.push_str(&line);
        }
    }
}

async fn discard(mut output: impl AsyncRead + Unpin) {
    let mut sink = [0; 4_096];
    while matches!(output.read(&mut sink).await, Ok(read) if read > 0) {}
}
