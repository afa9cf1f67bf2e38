//! Runs one test: opens its context, performs its steps, says what came of it. Bounded by the test's own time limit.

use std::time::Duration;

use gauntlet_core::flow::{FailureClass, Flow, Scope, StepKind, origin_of};
use serde_json::json;

use self::progress::Progress;
use crate::{
    Browser, Control, Isolation, TestOptions, TestOutcome, TestResult,
    capture::PICTURE_LIMIT,
    driver::GRACE,
    egress::EgressProxy,
    error::DriverError,
    film::Camera,
    session::{Session, Stop},
    tab::Device,
};

/// What stands for a secret.
const REDACTED: &str = "•••";

mod progress;
mod reach;
mod steps;

pub(crate) use reach::Reach;

impl TestOutcome {
    /// The outcome of a test that was cancelled before anything was done.
    pub(crate) fn cancelled() -> Self {
        Self::bare(TestResult::Cancelled, Duration::ZERO)
    }
}

impl Browser {
    /// Runs one test in its own user context. Afterwards the browser may be unhealthy ([`Browser::is_healthy`]): replace it then.
    ///
    /// # Cancel safety
    /// Cancelling the control kills the browser and returns at once. Dropping the future leaves the browser unhealthy.
    pub async fn run_test(
        &mut self,
        flow: &Flow,
        options: &TestOptions,
        control: &Control,
    ) -> TestOutcome {
        let mut progress = Progress::new();
        let denied_before = self.denied_count();
        let failed_before = self.proxy.as_ref().map_or(0, EgressProxy::mark);
        let camera = options.capture.as_ref().filter(|capture| capture.film);
        let camera = camera.map(|capture| Camera::new(&capture.folder, progress.began));
        // Healthy again only if the test comes to its end: a command may be in flight when it does not.
        self.healthy = false;
        let limited = tokio::time::timeout(
            options.timeout,
            self.drive(flow, options, control, &mut progress, camera.as_ref()),
        );
        let ended = tokio::select! {
            biased;
            () = control.cancelled() => None,
            ended = limited => Some(ended),
        };
        let result = match ended {
            None => {
                self.kill();
                TestResult::Cancelled
            }
            Some(Ok(Ok(()))) => match progress.first_failure() {
                Some(failure) => TestResult::Failed(failure.clone()),
                None => TestResult::Passed,
            },
            Some(Ok(Err(stop))) => self.judge(flow, &mut progress, stop).await,
            Some(Err(_)) => {
                if options.screenshot_on_failure {
                    progress.screenshot = self.last_look().await;
                }
                let message =
                    format!("the test took longer than its limit of {:?}", options.timeout);
                let stop = Stop::failure(FailureClass::Timeout, message);
                let failure = progress.fail(flow, stop);
                self.kill();
                TestResult::TimedOut(failure)
            }
        };
        let (dialog_count, mut logs) = {
            let mut events = self.pages.events();
            (events.dialog_count, std::mem::take(&mut events.logs))
        };
        if let Some(proxy) = &self.proxy {
            logs.explain(|host, port| {
                let failed =
                    proxy.failed_since(failed_before, |f| f.host == host && f.port == port);
                failed.map(|failure| failure.to_string())
            });
        }
        let (scope, typed) = (Scope::new(flow), secrets_typed(flow));
        let redact = |text: &str| {
            typed.iter().fold(scope.redact(text), |text, secret| text.replace(secret, REDACTED))
        };
        logs.redact(redact);
        TestOutcome {
            result,
            duration: progress.began.elapsed(),
            steps: progress.steps,
            screenshot: progress.screenshot,
            page_source: progress.page_source.as_deref().map(redact),
            film: camera.map(|camera| camera.film()),
            dialog_count,
            egress_denied_count: self.denied_count() - denied_before,
            logs,
            state: progress.state,
        }
    }

    async fn drive(
        &mut self,
        flow: &Flow,
        options: &TestOptions,
        control: &Control,
        progress: &mut Progress,
        camera: Option<&Camera>,
    ) -> Result<(), Stop> {
        self.freshen().await.map_err(|error| {
            Stop::Driver(DriverError::Lost { command: "new session", reason: error.to_string() })
        })?;
        let longest = flow.steps.iter().map(|step| flow.timeout_of(step)).max().unwrap_or_default()
            + GRACE / 2;
        if self.script_timeout < longest {
            let timeouts = json!({ "script": longest.as_millis() });
            self.driver.post("timeouts", timeouts, GRACE).await?;
            self.script_timeout = longest;
        }
        let device = Device::of(options);
        let tab = match self.pages.has_user_contexts() {
            true => Some(self.stage.tab((&self.pages, &self.driver), device.clone()).await?),
            false => None,
        };
        let prepares = self.prepares && options.isolation == Isolation::Context;
        let busy = prepares.then(|| self.stage.prepare((&self.pages, &self.driver), device));
        let mut session =
            Session::open(&self.driver, &self.pages, options, tab, &origins_of(flow)).await?;
        session.busy = busy;
        session.proxy = self.proxy.as_ref();
        session.scope = Scope::new(flow);
        session.base_url.clone_from(&flow.base_url);
        // Before any step, so that it is not charged to one. Who only navigates does not need the driver there.
        if !flow.steps.iter().all(|step| matches!(step.kind, StepKind::Navigate { .. })) {
            session.arrive().await?;
        }
        self.pages.events().hold = flow.holds_dialogs();
        if let Some(state) = &options.state {
            session.give_state(state).await?;
        }
        let mut result = match camera {
            None => session.steps(flow, control, progress).await,
            Some(camera) => {
                let result = tokio::select! {
                    biased;
                    result = session.steps(flow, control, progress) => result,
                    never = camera.roll(&self.driver, &self.pages) => match never {},
                };
                camera.last(&self.driver, &self.pages).await;
                result
            }
        };
        if options.keep_state && result.is_ok() && progress.first_failure().is_none() {
            match session.take_state().await {
                Ok(state) => progress.state = Some(state),
                Err(error) => result = Err(error.into()),
            }
        }
        let fatal = matches!(&result, Err(Stop::Driver(error)) if error.is_fatal());
        if result.is_err() && options.screenshot_on_failure && progress.screenshot.is_none() {
            session.clear_view().await;
            progress.screenshot = session.screenshot(PICTURE_LIMIT).await;
            progress.page_source = session.page_source().await;
        }
        if fatal {
            return result;
        }
        let Ok(left) = session.close().await else { return result };
        if self.is_worn().await {
            return result;
        }
        if let Some((tab, traces)) = left {
            let clears = options.isolation == Isolation::Reset;
            let connections = (&self.pages, &self.driver);
            if self.stage.leave(connections, tab, traces, clears).await.is_err() {
                return result;
            }
        }
        self.healthy = true;
        result
    }

    fn denied_count(&self) -> u64 {
        self.proxy.as_ref().map_or(0, EgressProxy::denied_count)
    }

    /// Sorts a stop: what the page did is the test's failure, what driver and browser did is not.
    async fn judge(&mut self, flow: &Flow, progress: &mut Progress, stop: Stop) -> TestResult {
        let class = match &stop {
            Stop::Driver(error) => {
                Some((self.class_of(error).await, matches!(error, DriverError::Hung { .. })))
            }
            Stop::Failure(_) => None,
        };
        let mut failure = progress.fail(flow, stop);
        let Some((class, hung)) = class else {
            return TestResult::Failed(progress.first_failure().cloned().unwrap_or(failure));
        };
        failure.class = class;
        if !self.healthy {
            self.kill();
        }
        if hung { TestResult::TimedOut(failure) } else { TestResult::Errored(failure) }
    }

    async fn last_look(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        let page = self.pages.events().newest_page()?;
        let order = json!({ "context": page });
        let taken = self
            .pages
            .command("browsingContext.captureScreenshot", order, PICTURE_LIMIT)
            .await
            .ok()?;
        base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str()?).ok()
    }
}

/// Returns what sensitive steps type: pages write such things to the console, and into URLs.
fn secrets_typed(flow: &Flow) -> Vec<String> {
    let scope = Scope::new(flow);
    let sensitive = flow.steps.iter().filter(|step| step.sensitive);
    let values = sensitive.filter_map(|step| match &step.kind {
        StepKind::Change { value, .. } => Some(scope.fill(value)),
        StepKind::Type(typing) => Some(scope.fill(&typing.text)),
        _ => None,
    });
    values.filter(|value| !value.is_empty()).collect()
}

/// Returns the origins that a test visits by itself: the sites that its permissions are for.
fn origins_of(flow: &Flow) -> Vec<String> {
    let urls = flow.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Navigate { url } => Some(url),
        _ => None,
    });
    let all = flow.base_url.iter().chain(urls).filter_map(|url| origin_of(url));
    let mut origins: Vec<_> = all.map(|(origin, _)| origin.to_owned()).collect();
    origins.sort();
    origins.dedup();
    origins
}
