//! Runs one test: opens its context, performs its steps, says what came of it. Bounded by the test's own time limit.

use std::time::Duration;

use gauntlet_core::flow::{FailureClass, Flow};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Browser, Control, StepFailure, StepRecord, TestOptions, TestOutcome, TestResult,
    driver::GRACE,
    error::DriverError,
    session::{Session, Stop},
};

/// How long a screenshot of a failed page may take.
const SCREENSHOT_LIMIT: Duration = Duration::from_secs(3);

/// What is known while a test runs; it outlives the test's future, so that a time limit still can say where it was.
struct Progress {
    began: Instant,
    steps: Vec<StepRecord>,
    screenshot: Option<Vec<u8>>,
}

impl TestOutcome {
    /// The outcome of a test that was cancelled before anything was done.
    pub(crate) fn cancelled() -> Self {
        Self {
            result: TestResult::Cancelled,
            steps: Vec::new(),
            screenshot: None,
            duration: Duration::ZERO,
            dialog_count: 0,
        }
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
        let mut progress = Progress { began: Instant::now(), steps: Vec::new(), screenshot: None };
        // Healthy again only if the test comes to its end: a command may be in flight when it does not.
        self.healthy = false;
        let limited = tokio::time::timeout(
            options.timeout,
            self.drive(flow, options, control, &mut progress),
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
            Some(Ok(Ok(()))) => TestResult::Passed,
            Some(Ok(Err(stop))) => self.judge(flow, &progress, stop),
            Some(Err(_)) => {
                if options.screenshot_on_failure {
                    progress.screenshot = self.last_look().await;
                }
                let message =
                    format!("the test took longer than its limit of {:?}", options.timeout);
                let failure =
                    failure(flow, &progress, Stop::failure(FailureClass::Timeout, message));
                self.kill();
                TestResult::TimedOut(failure)
            }
        };
        let dialog_count = self.pages.events().dialog_count;
        TestOutcome {
            result,
            duration: progress.began.elapsed(),
            steps: progress.steps,
            screenshot: progress.screenshot,
            dialog_count,
        }
    }

    async fn drive(
        &mut self,
        flow: &Flow,
        options: &TestOptions,
        control: &Control,
        progress: &mut Progress,
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
        let mut session = Session::open(&self.driver, &self.pages, options).await?;
        let result = steps(&mut session, flow, control, progress).await;
        let fatal = matches!(&result, Err(Stop::Driver(error)) if error.is_fatal());
        if result.is_err() && options.screenshot_on_failure {
            progress.screenshot = session.screenshot(SCREENSHOT_LIMIT).await;
        }
        self.healthy = !fatal && session.close().await.is_ok() && !self.is_worn().await;
        result
    }

    /// Sorts a stop: what the page did is the test's failure, what driver and browser did is not.
    fn judge(&mut self, flow: &Flow, progress: &Progress, stop: Stop) -> TestResult {
        let class = match &stop {
            Stop::Driver(error) => {
                Some((self.class_of(error), matches!(error, DriverError::Hung { .. })))
            }
            Stop::Failure(_) => None,
        };
        let mut failure = failure(flow, progress, stop);
        let Some((class, hung)) = class else { return TestResult::Failed(failure) };
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
            .command("browsingContext.captureScreenshot", order, SCREENSHOT_LIMIT)
            .await
            .ok()?;
        base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str()?).ok()
    }
}

async fn steps(
    session: &mut Session<'_>,
    flow: &Flow,
    control: &Control,
    progress: &mut Progress,
) -> Result<(), Stop> {
    for (index, step) in flow.steps.iter().enumerate() {
        control.begin_step(index);
        let started = Instant::now();
        progress.steps.push(StepRecord {
            index,
            step_type: step.type_name(),
            started_offset: started - progress.began,
            duration: Duration::ZERO,
            selector_index: None,
            selector_used: None,
            passed: false,
        });
        let result = session.perform(flow, step).await;
        if let Some(record) = progress.steps.last_mut() {
            record.duration = started.elapsed();
            if let Ok(done) = &result {
                record.passed = true;
                record.selector_index = done.alternative;
                let chain = done.alternative.and_then(|won| step.selectors()?.0.get(won));
                record.selector_used = chain.map(ToString::to_string);
            }
        }
        result?;
    }
    Ok(())
}

/// Describes a stop at the step that was started last.
fn failure(flow: &Flow, progress: &Progress, stop: Stop) -> StepFailure {
    let step_index = progress.steps.last().map_or(0, |record| record.index);
    let step = flow.steps.get(step_index);
    let (class, message, expected, found) = match stop {
        Stop::Failure(problem) => (problem.class, problem.message, problem.expected, problem.found),
        Stop::Driver(error) => (error.class(), error.to_string(), None, None),
    };
    StepFailure {
        step_index,
        step_type: step.map_or("", |step| step.type_name()),
        selector: step
            .and_then(|step| step.selectors())
            .map(|all| crate::error::cut(&all.to_string())),
        expected,
        found,
        class,
        message,
    }
}
