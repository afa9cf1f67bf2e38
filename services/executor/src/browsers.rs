//! Real browsers: [`TestRunner`] over `gauntlet-browser`.
//!
//! Owns which programs serve which kind of browser. What a browser cannot do is an error, never silence. After a crash of
//! the executor the supervisors kill the browsers; the next start sweeps what they could not.

use crate::{
    config::{BrowserPaths, EgressConfig},
    run_test::{BrowserSpec, LiveBrowser, TestRunner},
};
use futures_util::future::BoxFuture;
use gauntlet_browser::{
    Browser, BrowserConfig, BrowserKind, Control, LaunchError, Programs, TestOptions, TestOutcome,
};
use gauntlet_core::flow::Flow;
use gauntlet_proto::v1;
use std::{num::NonZero, sync::Arc};
use tokio::sync::{OnceCell, Semaphore};

/// Starts browsers of this machine by their drivers, or takes sessions of a grid.
#[derive(Debug, Clone)]
pub struct RealBrowsers {
    paths: BrowserPaths,
    egress: EgressConfig,
    /// Whether Chromium's sandbox is on; found out once.
    sandbox: OnceCell<bool>,
    sessions_starting: Arc<Semaphore>,
}

impl RealBrowsers {
    /// Returns a runner of the browsers found at `paths`, whose pages reach only whom `egress` lets them.
    #[must_use]
    pub fn new(paths: BrowserPaths, egress: EgressConfig) -> Self {
        // Measured: starting a browser is bound by the processor, so that more at once only makes each of them later.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            paths,
            egress,
            sandbox: OnceCell::new(),
            sessions_starting: Arc::new(Semaphore::new(cores)),
        }
    }

    fn config(&self, kind: BrowserKind, marker: String) -> BrowserConfig {
        let mut config = BrowserConfig::new(self.paths.supervisor.clone(), marker);
        config.kind = kind;
        let (browser, driver) = match kind {
            BrowserKind::HeadlessShell => (&self.paths.headless_shell, &self.paths.chromedriver),
            BrowserKind::Chromium | BrowserKind::ChromiumHeaded => {
                (&self.paths.chromium, &self.paths.chromedriver)
            }
            BrowserKind::Firefox | BrowserKind::FirefoxHeaded => {
                (&self.paths.firefox, &self.paths.geckodriver)
            }
            BrowserKind::WebKit => (&self.paths.webkit, &self.paths.webkitdriver),
        };
        config.browser_program.clone_from(browser);
        config.driver_program.clone_from(driver);
        config.grid.clone_from(&self.paths.grid);
        if let Some(folder) = &self.paths.folder {
            config.temp_dir.clone_from(folder);
        }
        config
    }

    fn has(&self, kind: BrowserKind) -> bool {
        Programs::find(&self.config(kind, String::new())).is_ok()
    }

    /// Full Chromium stands in where there is no headless shell. A grid chooses by itself which Chromium it starts.
    fn kind_of(&self, spec: &BrowserSpec) -> BrowserKind {
        match (spec.browser, spec.headed) {
            (v1::Browser::Firefox, true) => BrowserKind::FirefoxHeaded,
            (v1::Browser::Firefox, false) => BrowserKind::Firefox,
            (v1::Browser::Webkit, _) => BrowserKind::WebKit,
            (_, true) => BrowserKind::ChromiumHeaded,
            (v1::Browser::ChromiumFull, false) => BrowserKind::Chromium,
            (v1::Browser::Chromium | v1::Browser::Unspecified, false) => self.headless_chromium(),
        }
    }

    fn headless_chromium(&self) -> BrowserKind {
        let full = !self.has(BrowserKind::HeadlessShell) && self.has(BrowserKind::Chromium);
        if full { BrowserKind::Chromium } else { BrowserKind::HeadlessShell }
    }
}

impl RealBrowsers {
    /// Tells whether browsers are started with their sandbox (G9).
    async fn has_sandbox(&self) -> bool {
        let probe = || async {
            let config = self.config(self.headless_chromium(), "sandbox".to_owned());
            let sandbox = gauntlet_browser::probe_sandbox(&config).await;
            if let Err(why) = &sandbox {
                tracing::warn!(why, "browsers run without their sandbox, and pages are untrusted");
            }
            sandbox.is_ok()
        };
        *self.sandbox.get_or_init(probe).await
    }
}

impl TestRunner for RealBrowsers {
    fn filters_egress(&self) -> bool {
        self.paths.grid.is_none()
    }

    fn attributes(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            if self.paths.grid.is_some() {
                return vec!["egress-unfiltered".to_owned()];
            }
            if self.has_sandbox().await { Vec::new() } else { vec!["sandbox-off".to_owned()] }
        })
    }

    fn browsers(&self) -> Vec<v1::Browser> {
        if self.paths.grid.is_some() {
            return self.paths.grid_browsers.clone();
        }
        let (shell, full) = (self.has(BrowserKind::HeadlessShell), self.has(BrowserKind::Chromium));
        let found = [
            (v1::Browser::Chromium, shell || full),
            (v1::Browser::ChromiumFull, full),
            (v1::Browser::Firefox, self.has(BrowserKind::Firefox)),
            (v1::Browser::Webkit, self.has(BrowserKind::WebKit)),
        ];
        found.into_iter().filter_map(|(browser, has)| has.then_some(browser)).collect()
    }

    fn launch(
        &self,
        spec: BrowserSpec,
    ) -> BoxFuture<'_, Result<Box<dyn LiveBrowser>, LaunchError>> {
        Box::pin(async move {
            let mut config = self.config(self.kind_of(&spec), spec.run_id.to_string());
            config.egress = self.egress.of_run(&spec.egress);
            config.sandbox = self.has_sandbox().await;
            // A grid's processor is not ours, and it says itself how much it can take.
            let _permit = match &config.grid {
                Some(_) => None,
                None => self.sessions_starting.acquire().await.ok(),
            };
            let browser = Browser::launch(&config).await?;
            tracing::debug!(run.id = %spec.run_id, browser.version = browser.version(), "browser is up");
            Ok(Box::new(browser) as Box<dyn LiveBrowser>)
        })
    }

    fn sweep(&self) -> u32 {
        let folder = self.config(BrowserKind::default(), String::new()).temp_dir;
        let report = gauntlet_browser::sweep_stale(&folder);
        if report != gauntlet_browser::SweepReport::default() {
            tracing::warn!(
                profiles.removed = report.profiles_removed,
                processes.killed = report.processes_killed,
                "cleared what dead executors left"
            );
        }
        report.processes_killed
    }
}

impl LiveBrowser for Browser {
    fn run_test<'b>(
        &'b mut self,
        flow: &'b Flow,
        options: &'b TestOptions,
        control: &'b Control,
    ) -> BoxFuture<'b, TestOutcome> {
        Box::pin(Self::run_test(self, flow, options, control))
    }

    fn is_healthy(&self) -> bool {
        Self::is_healthy(self)
    }

    fn kill(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.kill_and_wait())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_browser::{Grid, sandbox_possible};

    #[tokio::test]
    async fn g9_what_is_not_between_pages_and_the_network_is_told() {
        let grid = Grid::new("http://grid:4444", None, serde_json::Map::new(), 1).unwrap();
        let paths = BrowserPaths { grid: Some(grid), ..BrowserPaths::default() };
        let at_grid = RealBrowsers::new(paths, EgressConfig::default());
        assert!(!at_grid.filters_egress());
        assert_eq!(at_grid.attributes().await, ["egress-unfiltered"]);
        let local = RealBrowsers::new(BrowserPaths::default(), EgressConfig::default());
        assert!(local.filters_egress());
        if !sandbox_possible() {
            assert_eq!(local.attributes().await, ["sandbox-off"]);
        }
    }
}
