//! One browser: a driver of this machine with what it started, or a session of a remote endpoint.

use std::{sync::Arc, time::Duration};

use gauntlet_core::flow::FailureClass;
use serde_json::{Map, Value};

use crate::{
    BrowserConfig, BrowserKind, Grid, LaunchError, Programs,
    bidi::Bidi,
    classic::Classic,
    devtools::DevTools,
    driver::Driver,
    egress::EgressProxy,
    endpoint::{Endpoint, Opened},
    error::DriverError,
    kind::{self, Engine},
    memory,
    pages::Pages,
    process::DriverProcess,
    tab::Stage,
};

/// How long a `BiDi` connection may take that a session can do without.
const BIDI_LIMIT: Duration = Duration::from_secs(5);
/// Tests between two looks at the memory: each costs the kernel as much as half a test.
const TESTS_PER_WEIGHING: u32 = 20;
/// How long a killed browser is waited for.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A running browser. Dropping it kills it, and everything it started, at once.
#[derive(Debug)]
pub struct Browser {
    host: Host,
    /// The way out of a browser of this machine.
    pub(crate) proxy: Option<EgressProxy>,
    pub(crate) driver: Driver,
    pub(crate) pages: Arc<Pages>,
    pub(crate) stage: Stage,
    /// Whether the next tab is made beside the test that runs.
    pub(crate) prepares: bool,
    pub(crate) healthy: bool,
    pub(crate) script_timeout: Duration,
    engine: Engine,
    launch_timeout: Duration,
    /// Tests that have begun in it.
    tests: u32,
    tests_max: u32,
    memory_bytes_max: u64,
    marker: String,
}

/// Where the session comes from.
#[derive(Debug)]
enum Host {
    /// A driver below its supervisor, and what it is asked for.
    Process(Box<DriverProcess>, Map<String, Value>),
    /// A grid; the session there must be closed.
    Grid(Arc<Grid>),
}

impl Host {
    fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Process(process, _) => &process.endpoint,
            Self::Grid(grid) => grid.endpoint(),
        }
    }

    async fn open(&self, engine: Engine, limit: Duration) -> Result<Opened, LaunchError> {
        match self {
            Self::Process(process, capabilities) => {
                let opened = process.endpoint.open(capabilities).await;
                opened.map_err(|error| LaunchError::Session { detail: error.to_string() })
            }
            Self::Grid(grid) => grid.open(engine.name_at_grid(), limit).await,
        }
    }
}

impl Browser {
    /// Starts a driver and its browser, or opens a session at the grid.
    ///
    /// # Errors
    /// [`LaunchError`]: a program is missing, or driver, browser or grid did not start in time.
    ///
    /// # Cancel safety
    /// Dropping the future kills what was started.
    pub async fn launch(config: &BrowserConfig) -> Result<Self, LaunchError> {
        let mut proxy = None;
        let host = match &config.grid {
            Some(grid) => Host::Grid(Arc::clone(grid)),
            None => {
                let programs = Programs::find(config)?;
                let process = DriverProcess::start(config, &programs).await?;
                let way_out = EgressProxy::start(&config.egress)
                    .map_err(|source| LaunchError::Egress { source })?;
                let way_out = proxy.insert(way_out);
                let capabilities =
                    kind::capabilities(config, &programs, &process.profile, way_out.port());
                Host::Process(Box::new(process), capabilities)
            }
        };
        let (engine, limit) = (config.kind.engine(), config.launch_timeout);
        let (driver, pages) = connect(&host, engine, limit).await?;
        if let (Some(way_out), Host::Process(process, _)) = (&mut proxy, &host) {
            way_out.shield(driver.ports(&process.endpoint), process.pid()).await;
        }
        Ok(Self {
            host,
            proxy,
            driver,
            pages: Arc::new(pages),
            stage: Stage::default(),
            // Measured: without a window of its own no page of Chromium loses the focus to another context's page.
            prepares: matches!(config.kind, BrowserKind::HeadlessShell | BrowserKind::Chromium)
                && config.grid.is_none(),
            healthy: true,
            script_timeout: Duration::ZERO,
            engine,
            launch_timeout: limit,
            tests: 0,
            tests_max: config.tests_max,
            memory_bytes_max: config.memory_bytes_max,
            marker: config.marker.clone(),
        })
    }

    /// Makes sure that nothing of the test before can be met: at a grid without user contexts, by a new session.
    pub(crate) async fn freshen(&mut self) -> Result<(), LaunchError> {
        self.tests += 1;
        let Host::Grid(grid) = &self.host else { return Ok(()) };
        if self.tests > 1 && !self.pages.has_user_contexts() {
            grid.close(&self.driver.id).await;
            let (driver, pages) = connect(&self.host, self.engine, self.launch_timeout).await?;
            (self.driver, self.pages) = (driver, Arc::new(pages));
            self.script_timeout = Duration::ZERO;
        }
        Ok(())
    }

    /// Tells whether it has served its time, or takes too much room: better replaced than used until it fails.
    pub(crate) async fn is_worn(&self) -> bool {
        let Host::Process(process, _) = &self.host else { return self.tests >= self.tests_max };
        // Measured: one `WebKitWebDriver` in fifty never opened a session after it had closed one.
        if !self.pages.has_user_contexts() || self.tests >= self.tests_max {
            return true;
        }
        if !self.tests.is_multiple_of(TESTS_PER_WEIGHING) {
            return false;
        }
        let Some(pid) = process.pid() else { return false };
        let weighed = tokio::task::spawn_blocking(move || memory::bytes_below(pid)).await;
        let bytes = weighed.unwrap_or_default();
        if bytes > self.memory_bytes_max {
            tracing::info!(bytes, tests = self.tests, "the browser takes too much memory");
        }
        bytes > self.memory_bytes_max
    }

    /// Returns the marker it was started with.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Returns the browser's version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.driver.capability("browserVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns how many user contexts were made in it so far.
    #[must_use]
    pub fn contexts_made(&self) -> u32 {
        self.stage.made()
    }

    /// Tells whether another test can be run in it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy && !self.has_ended()
    }

    /// Tells whether its driver has ended, or whoever sees to it that nothing outlives us.
    fn has_ended(&self) -> bool {
        match &self.host {
            Host::Process(process, _) => process.has_ended(),
            Host::Grid(_) => false,
        }
    }

    /// Kills driver and browser without waiting for either; nothing of them is asked. A remote session is closed, beside
    /// whatever command is in flight.
    pub fn kill(&mut self) {
        self.healthy = false;
        match &mut self.host {
            Host::Process(process, _) => process.kill(),
            Host::Grid(grid) => close_behind(grid, &self.driver.id),
        }
    }

    /// Kills, and waits (bounded) until no process, no profile folder and no remote session is left.
    pub async fn kill_and_wait(&mut self) {
        self.healthy = false;
        match &mut self.host {
            Host::Process(process, _) => process.kill_and_wait(KILL_LIMIT).await,
            Host::Grid(grid) => grid.close(&self.driver.id).await,
        }
    }

    /// Says whether a lost connection is the driver's death or the browser's.
    pub(crate) async fn class_of(&self, error: &DriverError) -> FailureClass {
        if self.pages.devtools().is_some() && matches!(error, DriverError::Crashed { .. }) {
            // A driver takes its browser with it when it dies; one that lives says that it has none any more.
            if self.driver.is_lost().await {
                return FailureClass::DriverLost;
            }
        }
        let ended = self.has_ended();
        match error {
            DriverError::Crashed { .. } | DriverError::Lost { .. } if ended => {
                FailureClass::DriverLost
            }
            other => other.class(),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Host::Grid(grid) = &self.host {
            close_behind(grid, &self.driver.id);
        }
    }
}

/// Closes a remote session from a task of its own, once.
fn close_behind(grid: &Arc<Grid>, id: &str) {
    let (grid, id) = (Arc::clone(grid), id.to_owned());
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if grid.is_open(&id) {
        runtime.spawn(async move { grid.close(&id).await });
    }
}

/// Opens a session, and what tells of its pages.
async fn connect(
    host: &Host,
    engine: Engine,
    limit: Duration,
) -> Result<(Driver, Pages), LaunchError> {
    let open = async {
        let opened = host.open(engine, limit).await?;
        let id = opened.id.clone();
        let attached = attach(host, engine, opened).await;
        if let (Err(_), Host::Grid(grid)) = (&attached, host) {
            grid.close(&id).await;
        }
        attached
    };
    tokio::time::timeout(limit, open)
        .await
        .map_err(|_| LaunchError::TooSlow { what: "starting the browser", after: limit })?
}

async fn attach(
    host: &Host,
    engine: Engine,
    opened: Opened,
) -> Result<(Driver, Pages), LaunchError> {
    let endpoint = host.endpoint();
    let driver = Driver::attach(endpoint, opened).await?;
    if let (Host::Process(process, _), Engine::Chromium) = (host, engine) {
        let devtools = DevTools::connect(&process.profile).await;
        let devtools =
            devtools.map_err(|error| LaunchError::Session { detail: error.to_string() })?;
        return Ok((driver, Pages::DevTools(Box::new(devtools))));
    }
    let url = driver.capability("webSocketUrl").and_then(Value::as_str).map(str::to_owned);
    let bidi = match (url, host) {
        (Some(url), Host::Process(..)) => Some(Bidi::connect(&url, None).await?),
        (Some(url), Host::Grid(_)) => {
            let authorization = endpoint.authorization();
            let connect = Bidi::connect(&url, authorization.as_deref());
            match tokio::time::timeout(BIDI_LIMIT, connect).await {
                Ok(Ok(bidi)) => Some(bidi),
                // Its address may be one inside the grid. Tests run all the same, each in a session of its own.
                _ => {
                    tracing::warn!(grid = ?endpoint, "its BiDi connection cannot be used");
                    None
                }
            }
        }
        (None, Host::Process(..)) if engine != Engine::WebKit => {
            let detail = "the driver offers no BiDi connection".to_owned();
            return Err(LaunchError::Session { detail });
        }
        (None, _) => None,
    };
    let pages = match bidi {
        Some(bidi) => Pages::Bidi(bidi),
        None => Pages::Classic(Box::new(Classic::new(driver.clone()))),
    };
    Ok((driver, pages))
}
