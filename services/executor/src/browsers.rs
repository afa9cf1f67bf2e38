//! Real browsers: [`TestRunner`] over `gauntlet-browser`.
//!
//! Owns which programs serve which kind of browser. What a browser cannot do is an error, never silence. After a crash of
//! the executor the supervisors kill the browsers; the next start sweeps what they could not.

use crate::{
    config::BrowserPaths,
    run_test::{BrowserSpec, LiveBrowser, TestRunner},
};
use futures_util::future::BoxFuture;
use gauntlet_browser::{
    Browser, BrowserConfig, BrowserKind, Control, LaunchError, Programs, TestOptions, TestOutcome,
};
use gauntlet_core::flow::Flow;
use gauntlet_proto::v1;

/// Starts Chromium by its driver.
#[derive(Debug, Clone)]
pub struct RealBrowsers {
    paths: BrowserPaths,
}

impl RealBrowsers {
    /// Returns a runner of the browsers found at `paths`.
    #[must_use]
    pub fn new(paths: BrowserPaths) -> Self {
        Self { paths }
    }

    fn config(&self, kind: BrowserKind, marker: String) -> BrowserConfig {
        let mut config = BrowserConfig::new(self.paths.supervisor.clone(), marker);
        config.kind = kind;
        config.driver_program.clone_from(&self.paths.chromedriver);
        config.browser_program = match kind {
            BrowserKind::HeadlessShell => self.paths.headless_shell.clone(),
            BrowserKind::Chromium | BrowserKind::ChromiumHeaded => self.paths.chromium.clone(),
        };
        if let Some(folder) = &self.paths.folder {
            config.temp_dir.clone_from(folder);
        }
        config
    }

    fn has(&self, kind: BrowserKind) -> bool {
        Programs::find(&self.config(kind, String::new())).is_ok()
    }

    /// Full Chromium stands in where there is no headless shell.
    fn kind_of(&self, spec: BrowserSpec) -> Result<BrowserKind, LaunchError> {
        match (spec.browser, spec.headed) {
            (
                v1::Browser::Chromium | v1::Browser::ChromiumFull | v1::Browser::Unspecified,
                true,
            ) => Ok(BrowserKind::ChromiumHeaded),
            (v1::Browser::ChromiumFull, false) => Ok(BrowserKind::Chromium),
            (v1::Browser::Chromium | v1::Browser::Unspecified, false) => {
                let full = !self.has(BrowserKind::HeadlessShell) && self.has(BrowserKind::Chromium);
                Ok(if full { BrowserKind::Chromium } else { BrowserKind::HeadlessShell })
            }
            (v1::Browser::Firefox | v1::Browser::Webkit, _) => Err(LaunchError::Session {
                detail: format!("this executor does not drive {}", spec.browser.as_str_name()),
            }),
        }
    }
}

impl TestRunner for RealBrowsers {
    fn browsers(&self) -> Vec<v1::Browser> {
        let (shell, full) = (self.has(BrowserKind::HeadlessShell), self.has(BrowserKind::Chromium));
        let mut found = Vec::new();
        if shell || full {
            found.push(v1::Browser::Chromium);
        }
        if full {
            found.push(v1::Browser::ChromiumFull);
        }
        found
    }

    fn launch(
        &self,
        spec: BrowserSpec,
    ) -> BoxFuture<'_, Result<Box<dyn LiveBrowser>, LaunchError>> {
        Box::pin(async move {
            let config = self.config(self.kind_of(spec)?, spec.run_id.to_string());
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
