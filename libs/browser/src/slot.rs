//! One place where tests run one after another: keeps a browser, and replaces it when it misbehaves or the run changes (G5).

use gauntlet_core::flow::Flow;

use crate::{Browser, BrowserConfig, Control, LaunchError, TestOptions, TestOutcome};

/// A slot of an executor.
#[derive(Debug)]
pub struct BrowserSlot {
    config: BrowserConfig,
    browser: Option<Browser>,
}

impl BrowserSlot {
    /// Makes a slot; the browser starts with the first test.
    #[must_use]
    pub fn new(config: BrowserConfig) -> Self {
        Self { config, browser: None }
    }

    /// Says which run the next tests belong to; a browser marked with another run is killed.
    pub fn set_marker(&mut self, marker: &str) {
        if self.config.marker != marker {
            marker.clone_into(&mut self.config.marker);
            self.browser = None;
        }
    }

    /// Returns a healthy browser, starting one if need be.
    ///
    /// # Errors
    /// [`LaunchError`] if it does not start.
    pub async fn browser(&mut self) -> Result<&mut Browser, LaunchError> {
        let browser = match self.browser.take() {
            Some(browser) if browser.is_healthy() => browser,
            // The sick one dies before the new one starts.
            _ => Browser::launch(&self.config).await?,
        };
        Ok(self.browser.insert(browser))
    }

    /// Runs one test, in a new browser if there is none or the last one is not healthy.
    ///
    /// # Errors
    /// [`LaunchError`] if no browser starts; nothing of the test was done then.
    pub async fn run_test(
        &mut self,
        flow: &Flow,
        options: &TestOptions,
        control: &Control,
    ) -> Result<TestOutcome, LaunchError> {
        let browser = tokio::select! {
            biased;
            () = control.cancelled() => return Ok(TestOutcome::cancelled()),
            browser = self.browser() => browser?,
        };
        Ok(browser.run_test(flow, options, control).await)
    }

    /// Kills the browser, if there is one, and waits (bounded) until nothing is left of it.
    pub async fn stop(&mut self) {
        if let Some(mut browser) = self.browser.take() {
            browser.kill_and_wait().await;
        }
    }
}
