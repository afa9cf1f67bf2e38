//! One driver with one browser.

use std::time::Duration;

use gauntlet_core::flow::FailureClass;
use serde_json::{Map, Value, json};

use crate::{
    BrowserConfig, BrowserKind, LaunchError, Programs, bidi::Bidi, driver::Driver,
    error::DriverError, process::DriverProcess, sweep,
};

/// A running browser. Dropping it kills it, and everything it started, at once.
#[derive(Debug)]
pub struct Browser {
    pub(crate) process: DriverProcess,
    pub(crate) driver: Driver,
    pub(crate) bidi: Bidi,
    pub(crate) healthy: bool,
    pub(crate) script_timeout: Duration,
    marker: String,
    version: String,
}

/// Starts of the driver before its failure is believed.
const DRIVER_STARTS_MAX: u32 = 3;

/// Starts the driver. It looks for a free port by itself and gives up when another process takes that port in between, so
/// a driver that ended is started again.
async fn start_driver(
    config: &BrowserConfig,
    programs: &Programs,
) -> Result<DriverProcess, LaunchError> {
    for _ in 1..DRIVER_STARTS_MAX {
        match DriverProcess::start(config, programs).await {
            Err(LaunchError::Driver { detail }) => {
                tracing::debug!(detail, "the driver is started again");
            }
            started => return started,
        }
    }
    DriverProcess::start(config, programs).await
}

impl Browser {
    /// Starts a driver and its browser.
    ///
    /// # Errors
    /// [`LaunchError`]: a program is missing, or driver or browser did not start in time.
    ///
    /// # Cancel safety
    /// Dropping the future kills what was started.
    pub async fn launch(config: &BrowserConfig) -> Result<Self, LaunchError> {
        let programs = Programs::find(config)?;
        let process = start_driver(config, &programs).await?;
        let capabilities = capabilities(config, &programs, &process);
        let open = async {
            let driver = Driver::connect(process.port, capabilities).await?;
            let url = driver.capability("webSocketUrl");
            let url = url.as_ref().and_then(Value::as_str).ok_or_else(|| LaunchError::Session {
                detail: "the driver offers no BiDi connection".to_owned(),
            })?;
            let bidi = Bidi::connect(url).await?;
            Ok((driver, bidi))
        };
        let (driver, bidi) =
            tokio::time::timeout(config.launch_timeout, open).await.map_err(|_| {
                LaunchError::TooSlow { what: "starting the browser", after: config.launch_timeout }
            })??;
        let version = driver
            .capability("browserVersion")
            .and_then(|version| version.as_str().map(str::to_owned));
        Ok(Self {
            process,
            driver,
            bidi,
            healthy: true,
            script_timeout: Duration::ZERO,
            marker: config.marker.clone(),
            version: version.unwrap_or_default(),
        })
    }

    /// Returns the marker it was started with.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Returns the browser's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells whether another test can be run in it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Kills driver and browser without waiting for either; nothing of them is asked.
    pub fn kill(&mut self) {
        self.healthy = false;
        self.process.kill();
    }

    /// Kills, and waits (bounded) until no process and no profile folder is left.
    pub async fn kill_and_wait(&mut self) {
        self.healthy = false;
        self.process.kill_and_wait(Duration::from_secs(10)).await;
    }

    /// Says whether a lost connection is the driver's death or the browser's.
    pub(crate) fn class_of(&mut self, error: &DriverError) -> FailureClass {
        match error {
            DriverError::Crashed { .. } | DriverError::Lost { .. } if self.process.has_ended() => {
                FailureClass::DriverLost
            }
            other => other.class(),
        }
    }
}

fn capabilities(
    config: &BrowserConfig,
    programs: &Programs,
    process: &DriverProcess,
) -> Map<String, Value> {
    let name = match config.kind {
        // With "chrome" a classic session on the headless shell fails.
        BrowserKind::HeadlessShell => "chrome-headless-shell",
        BrowserKind::Chromium | BrowserKind::ChromiumHeaded => "chrome",
    };
    let options = json!({ "binary": programs.browser, "args": flags(config, process) });
    let all = json!({
        "browserName": name,
        "webSocketUrl": true,
        // Navigation is watched over BiDi; no classic command may wait for a page that never loads.
        "pageLoadStrategy": "none",
        // Dialogs are answered over BiDi, by policy.
        "unhandledPromptBehavior": "ignore",
        "goog:chromeOptions": options,
    });
    match all {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Flags that start clean without a network. `--vmodule` changes nothing but is handed down to every child process, so that
/// each carries the marker.
fn flags(config: &BrowserConfig, process: &DriverProcess) -> Vec<String> {
    let mut flags: Vec<String> = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--password-store=basic",
        "--use-mock-keychain",
        "--window-size=1280,720",
    ]
    .map(str::to_owned)
    .into();
    if config.kind != BrowserKind::ChromiumHeaded {
        flags.push("--headless".to_owned());
    }
    if !config.sandbox {
        flags.push("--no-sandbox".to_owned());
    }
    flags.push(format!("--vmodule=gauntlet-run-{}=0", sweep::safe(&config.marker)));
    flags.push(format!("--user-data-dir={}", process.profile.join("profile").display()));
    flags.extend(config.extra_args.iter().cloned());
    flags
}
