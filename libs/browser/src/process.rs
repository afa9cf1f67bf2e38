//! One supervised driver process and its profile folder. Dropping it kills the whole tree at once.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{BrowserConfig, LaunchError, Programs, sweep};

/// A running driver below its supervisor.
#[derive(Debug)]
pub(crate) struct DriverProcess {
    supervisor: Child,
    /// The life line: when it closes, the supervisor kills everything.
    life_line: Option<ChildStdin>,
    /// Kept open so that the driver never writes into a closed pipe.
    _output: BufReader<ChildStdout>,
    pub(crate) port: u16,
    pub(crate) profile: PathBuf,
}

impl DriverProcess {
    /// Starts the driver and waits for the port it chose.
    ///
    /// # Cancel safety
    /// Dropping the future kills what was started.
    pub(crate) async fn start(
        config: &BrowserConfig,
        programs: &Programs,
    ) -> Result<Self, LaunchError> {
        let profile = sweep::make_profile(&config.temp_dir, &config.marker).map_err(|source| {
            LaunchError::Profile { folder: config.temp_dir.display().to_string(), source }
        })?;
        let (mut supervisor, output) = spawn(config, programs, &profile)?;
        let life_line = supervisor.stdin.take();
        let mut output = BufReader::new(output);
        let port = tokio::time::timeout(config.launch_timeout, port(&mut output)).await.map_err(
            |_| LaunchError::TooSlow { what: "starting the driver", after: config.launch_timeout },
        )??;
        Ok(Self { supervisor, life_line, _output: output, port, profile })
    }

    /// Kills driver and browser without waiting for either.
    pub(crate) fn kill(&mut self) {
        self.life_line = None;
    }

    /// Kills, and waits until nothing is left.
    pub(crate) async fn kill_and_wait(&mut self, limit: Duration) {
        self.kill();
        let _ = tokio::time::timeout(limit, self.supervisor.wait()).await;
    }

    /// Tells whether the driver itself has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.supervisor.try_wait(), Ok(None))
    }
}

fn spawn(
    config: &BrowserConfig,
    programs: &Programs,
    profile: &Path,
) -> Result<(Child, ChildStdout), LaunchError> {
    let (program, prefix) =
        config.supervisor.split_first().ok_or(LaunchError::SupervisorMissing)?;
    let log = profile.join("driver.log");
    let mut child = Command::new(program)
        .args(prefix)
        .arg("--remove")
        .arg(profile)
        .arg("--")
        .arg(&programs.driver)
        .arg("--port=0")
        .arg("--log-level=WARNING")
        .arg(format!("--log-path={}", log.display()))
        // Whatever driver and browser leave in the temporary folder goes with the profile.
        .env("TMPDIR", profile)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A signal from the terminal is the owner's to handle.
        .process_group(0)
        .spawn()
        .map_err(|source| LaunchError::Supervisor {
            program: program.to_string_lossy().into_owned(),
            source,
        })?;
    match child.stdout.take() {
        Some(output) => Ok((child, output)),
        None => Err(LaunchError::Driver { detail: "it has no output".to_owned() }),
    }
}

/// Reads the driver's "started successfully on port N".
async fn port(output: &mut BufReader<ChildStdout>) -> Result<u16, LaunchError> {
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
        if let Some((_, port)) = line.split_once("started successfully on port ") {
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
