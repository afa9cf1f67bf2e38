//! The tests of one shard: which are left, and running them with the shard's workers.
//!
//! Owns test retries (flakes, counted as attempts; the last one at another executor when there is one) and infrastructure
//! retries (once, on a fresh browser, not counted: B9).
//! An abort or a lost lease kills the browser in the middle of a test, and nothing of that test is reported. A crash loses
//! the attempt that was running; it gets the same number again.

use crate::{
    app::Executor,
    artifact,
    attempt::{self, Header},
    cancel::StopReason,
    emulation,
    fault::FaultPoint,
    leases::Lease,
    mask::Mask,
    report::Spool,
    revisions::RevisionError,
    run_test::{BrowserSpec, LiveBrowser},
    session::Session,
    slots::Slot,
};
use futures_util::future::join_all;
use gauntlet_browser::{
    Control, DialogPolicy, Isolation, LaunchError, Logs, TestOptions, TestOutcome, TestResult,
};
use gauntlet_core::{
    flow::{FailureClass, Flow, origin_of},
    limits::{TEST_TIMEOUT_DEFAULT, TEST_TIMEOUT_MAX},
};
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::error_chain;
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a browser may overrun the limit of its test before it is killed.
const OVERRUN_MAX: Duration = Duration::from_secs(15);
/// How long a browser may take to say that it was cancelled.
const CANCEL_WAIT: Duration = Duration::from_secs(1);
const POISONED: &str = "the test was running in two lost leases, so it is not run again";

/// What is left to do in a shard, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    workers: u32,
    retries: i32,
    spec: BrowserSpec,
    base_url: String,
    variables: BTreeMap<String, String>,
    mask: Arc<Mask>,
    options: TestOptions,
    poisoned: HashSet<i32>,
    attempts_stored: HashMap<i32, i32>,
    may_defer: bool,
    left: Mutex<VecDeque<v1::PlannedTest>>,
    deferred: Mutex<Vec<i32>>,
}

impl Plan {
    /// Returns the plan of a grant, without the tests that have a final result (B6).
    ///
    /// # Errors
    /// A message when an option cannot be followed: it is never ignored.
    pub(crate) fn new(
        grant: v1::ShardGrant,
        opened: &v1::OpenShardResponse,
        slots: u32,
    ) -> Result<Self, String> {
        let options = grant.options.unwrap_or_default();
        let run_id = edge::uuid("run_id", &grant.run_id).map_err(|error| error.description)?;
        let browser = v1::Browser::try_from(options.browser)
            .map_err(|_| format!("this executor does not know browser {}", options.browser))?;
        if !options.base_url.is_empty() && origin_of(&options.base_url).is_none() {
            return Err(format!("base_url {:?} is not an absolute url", options.base_url));
        }
        let done: HashSet<i32> = opened.final_ordinals.iter().copied().collect();
        let left = grant.tests.into_iter().filter(|test| !done.contains(&test.ordinal)).collect();
        let stored = opened.attempt_counts.iter();
        Ok(Self {
            workers: u32::try_from(options.workers).unwrap_or(1).clamp(1, slots.max(1)),
            retries: options.retries.max(0),
            spec: BrowserSpec {
                run_id: gauntlet_core::ids::RunId(run_id),
                browser,
                headed: options.headed,
            },
            options: test_options(&options)?,
            base_url: options.base_url,
            // What the run was given goes before the secrets of its environment.
            variables: grant.secrets.clone().into_iter().chain(options.variables).collect(),
            mask: Arc::new(Mask::new(grant.secrets)),
            poisoned: grant.poisoned_ordinals.into_iter().collect(),
            attempts_stored: stored.map(|count| (count.ordinal, count.attempt_count)).collect(),
            may_defer: grant.may_defer,
            left: Mutex::new(left),
            deferred: Mutex::default(),
        })
    }

    fn next(&self) -> Option<v1::PlannedTest> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Leaves a test whose attempt failed here to another executor, if its last retry is next and there is one.
    fn defer(&self, ordinal: i32, failed_attempt: i32) -> bool {
        let defer = self.may_defer && failed_attempt == self.retries;
        if defer {
            self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(ordinal);
        }
        defer
    }

    /// Variables first: a URL may be made of one.
    fn aim(&self, flow: &Flow) -> Flow {
        let mut flow = flow.clone();
        flow.substitute(&self.variables);
        if !self.base_url.is_empty() {
            flow.rebase(&self.base_url);
        }
        flow
    }
}

fn test_options(options: &v1::RunOptions) -> Result<TestOptions, String> {
    let timeout = match &options.test_timeout {
        None => TEST_TIMEOUT_DEFAULT,
        Some(wire) => edge::duration("test_timeout", wire).map_err(|error| error.description)?,
    };
    let dialogs = match v1::DialogPolicy::try_from(options.dialog_policy) {
        Ok(v1::DialogPolicy::Unspecified | v1::DialogPolicy::Accept) => DialogPolicy::Accept,
        Ok(v1::DialogPolicy::Dismiss) => DialogPolicy::Dismiss,
        Ok(v1::DialogPolicy::Fail) => DialogPolicy::Fail,
        Err(_) => {
            return Err(format!(
                "this executor does not know dialog policy {}",
                options.dialog_policy
            ));
        }
    };
    let screenshot_on_failure = match v1::ScreenshotMode::try_from(options.screenshots) {
        Ok(v1::ScreenshotMode::Unspecified | v1::ScreenshotMode::OnFailure) => true,
        Ok(v1::ScreenshotMode::Off) => false,
        Err(_) => {
            return Err(format!(
                "this executor does not know screenshot mode {}",
                options.screenshots
            ));
        }
    };
    let isolation = match v1::Isolation::try_from(options.isolation) {
        Ok(v1::Isolation::Unspecified | v1::Isolation::Context) => Isolation::Context,
        Ok(v1::Isolation::Reset) => Isolation::Reset,
        Err(_) => {
            return Err(format!("this executor does not know isolation {}", options.isolation));
        }
    };
    let timeout = timeout.min(TEST_TIMEOUT_MAX);
    let emulation = options.emulation.as_ref();
    let viewport = emulation.and_then(|wanted| wanted.viewport.as_ref()).map(emulation::viewport);
    let others = TestOptions::default();
    Ok(TestOptions {
        timeout,
        dialogs,
        screenshot_on_failure,
        strict_asserted_events: options.strict_navigation,
        isolation,
        viewport: viewport.unwrap_or(others.viewport),
        emulation: emulation.map(emulation::emulation).unwrap_or_default(),
        ..others
    })
}

/// How the tests of a shard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkEnd {
    /// Each has a final result in the spool, or is deferred.
    Ended {
        /// Tests for another executor.
        deferred_ordinals: Vec<i32>,
    },
    /// Some are left because the work was stopped.
    Stopped,
    /// Some are left because the infrastructure failed.
    Failed {
        /// What failed.
        class: FailureClass,
        /// For people.
        message: String,
    },
}

/// Runs what is left of a shard.
pub(crate) async fn run(
    executor: &Executor,
    session: &Session,
    lease: &Lease,
    plan: Plan,
    spool: Spool,
) -> WorkEnd {
    let shard = TestsOfShard { executor, session, lease, plan: &plan, spool: &spool };
    let ends = join_all((0..plan.workers).map(|_| shard.work())).await;
    let stopped = ends.iter().any(Result::is_err) || !plan.is_empty();
    let failed = ends.into_iter().filter_map(Result::err).find(|end| *end != WorkEnd::Stopped);
    match failed {
        Some(failed) => failed,
        None if stopped => WorkEnd::Stopped,
        None => WorkEnd::Ended {
            deferred_ordinals: plan.deferred.into_inner().unwrap_or_else(PoisonError::into_inner),
        },
    }
}

struct TestsOfShard<'s> {
    executor: &'s Executor,
    session: &'s Session,
    lease: &'s Lease,
    plan: &'s Plan,
    spool: &'s Spool,
}

impl TestsOfShard<'_> {
    /// One worker: takes tests until none is left or the work stops. A failure empties the plan for the others too.
    async fn work(&self) -> Result<(), WorkEnd> {
        while self.lease.stop.reason().is_none() {
            let Some(test) = self.plan.next() else { return Ok(()) };
            if let Err(end) = self.run_test(&test).await {
                self.lease_failed(&end);
                return Err(end);
            }
        }
        if self.plan.is_empty() { Ok(()) } else { Err(WorkEnd::Stopped) }
    }

    /// Siblings in this shard stop after their present test: the shard is going to be retried elsewhere.
    fn lease_failed(&self, end: &WorkEnd) {
        if matches!(end, WorkEnd::Failed { .. }) {
            self.lease.stop.trip(StopReason::Drain);
        }
    }

    async fn run_test(&self, test: &v1::PlannedTest) -> Result<(), WorkEnd> {
        let mut attempt = self.plan.attempts_stored.get(&test.ordinal).copied().unwrap_or(0) + 1;
        let header = |attempt, is_final| Header {
            ordinal: test.ordinal,
            attempt,
            is_final,
            started_at: self.executor.clock.now(),
            executor: self.executor.config.name.clone(),
            mask: Arc::clone(&self.plan.mask),
        };
        if self.plan.poisoned.contains(&test.ordinal) {
            let header = header(attempt, true);
            return self
                .report(attempt::errored(&header, FailureClass::ExecutorLost, POISONED))
                .await;
        }
        let flow = match self.flow(test).await {
            Ok(flow) => flow,
            Err(RevisionError::Unreadable(message)) => {
                let header = header(attempt, true);
                return self
                    .report(attempt::errored(&header, FailureClass::ImportError, &message))
                    .await;
            }
            Err(RevisionError::Stopped) => return Err(WorkEnd::Stopped),
            Err(error @ RevisionError::Fetch(_)) => {
                return Err(WorkEnd::Failed {
                    class: FailureClass::Unknown,
                    message: error.to_string(),
                });
            }
        };
        let mut slot = tokio::select! {
            biased;
            () = self.lease.stop.stopped() => return Err(WorkEnd::Stopped),
            slot = self.executor.slots.acquire(self.plan.spec) => slot.ok_or(WorkEnd::Stopped)?,
        };
        loop {
            let started = header(attempt, false);
            let outcome = self.run_attempt(&mut slot, &started, &flow).await?;
            let again = matches!(outcome.result, TestResult::Failed(_) | TestResult::TimedOut(_));
            let is_final = !again || attempt > self.plan.retries;
            self.report_run(&Header { is_final, ..started }, outcome).await?;
            if is_final || self.plan.defer(test.ordinal, attempt) {
                return Ok(());
            }
            attempt += 1;
            if self.lease.stop.reason().is_some() {
                return Err(WorkEnd::Stopped);
            }
        }
    }

    async fn flow(&self, test: &v1::PlannedTest) -> Result<Flow, RevisionError> {
        let Executor { revisions, peers, .. } = self.executor;
        let flow = revisions.flow(&peers.catalog, &test.revision_hash, &self.lease.stop).await?;
        let flow = self.plan.aim(&flow);
        // Typed as it stands, the name of a variable would pass for its value.
        match flow.missing_variables().as_slice() {
            [] => Ok(flow),
            missing => Err(RevisionError::Unreadable(format!(
                "the run gives no value to the variables {}",
                missing.join(", ")
            ))),
        }
    }

    /// Runs a test once; an error of browser or driver gets one fresh browser, and the second outcome stands.
    async fn run_attempt(
        &self,
        slot: &mut Slot,
        &Header { ordinal, attempt, .. }: &Header,
        flow: &Flow,
    ) -> Result<TestOutcome, WorkEnd> {
        let mut last_try = false;
        loop {
            let control = Arc::new(Control::new(self.lease.stop.kill_token().clone()));
            let _running = self.lease.run(ordinal, attempt, &control);
            let outcome = self.run_once(slot, flow, &control).await?;
            let errored = matches!(outcome.result, TestResult::Errored(_));
            if !errored || last_try {
                return Ok(outcome);
            }
            tracing::warn!(test.ordinal = ordinal, failure = ?outcome.result.failure().map(|f| f.class),
                "browser or driver failed, trying once more in a fresh browser");
            last_try = true;
        }
    }

    async fn run_once(
        &self,
        slot: &mut Slot,
        flow: &Flow,
        control: &Control,
    ) -> Result<TestOutcome, WorkEnd> {
        let stop = &self.lease.stop;
        let browser = tokio::select! {
            biased;
            () = stop.killed() => return Err(WorkEnd::Stopped),
            browser = slot.browser(self.executor.runner.as_ref()) => browser,
        };
        let mut browser = browser.map_err(|error| launch_failed(&error))?;
        self.mid_test_fault().await;
        let outcome = self.drive(browser.as_mut(), flow, control).await;
        let misbehaved = !matches!(outcome.result, TestResult::Passed | TestResult::Failed(_));
        if misbehaved || stop.is_killed() || !browser.is_healthy() {
            browser.kill().await;
        } else {
            slot.keep(browser);
        }
        // After a standstill the lease may be gone, and every clock in the test has lied.
        if self.session.is_silent() {
            stop.trip(StopReason::LeaseLost);
        }
        if stop.is_killed() || outcome.result == TestResult::Cancelled {
            return Err(WorkEnd::Stopped);
        }
        Ok(outcome)
    }

    /// Runs the test within its limit even when the browser does not keep to it.
    async fn drive(
        &self,
        browser: &mut dyn LiveBrowser,
        flow: &Flow,
        control: &Control,
    ) -> TestOutcome {
        let options = &self.plan.options;
        let stop = &self.lease.stop;
        let cancelled = async {
            stop.killed().await;
            tokio::time::sleep(CANCEL_WAIT).await;
        };
        tokio::select! {
            outcome = browser.run_test(flow, options, control) => outcome,
            () = cancelled => overrun(options.timeout, TestResult::Cancelled),
            () = tokio::time::sleep(options.timeout + OVERRUN_MAX) => {
                overrun(options.timeout, TestResult::Errored(gauntlet_browser::StepFailure {
                    step_index: 0,
                    step_type: "",
                    label: None,
                    selector: None,
                    expected: None,
                    found: None,
                    class: FailureClass::DriverLost,
                    message: "the driver did not end the test at its time limit".to_owned(),
                }))
            }
        }
    }

    /// Lets a renewal name the running test first, so that a kill at this point is a kill in the middle of that test.
    async fn mid_test_fault(&self) {
        if !self.executor.fault.is_at(FaultPoint::MidTest) {
            return;
        }
        let mut beats = self.session.beats.subscribe();
        let named = *beats.borrow_and_update() + 2;
        while *beats.borrow_and_update() < named {
            self.session.renew.notify_one();
            if beats.changed().await.is_err() {
                break;
            }
        }
        self.executor.fault.reached(FaultPoint::MidTest).await;
    }

    async fn report_run(&self, header: &Header, mut outcome: TestOutcome) -> Result<(), WorkEnd> {
        let mut artifacts = Vec::new();
        if let Some(png) = outcome.screenshot.take() {
            let ingest = &self.executor.peers.ingest;
            let shard = self.lease.shard();
            let stored = tokio::select! {
                biased;
                () = self.lease.stop.voided() => return Err(WorkEnd::Stopped),
                stored = artifact::store_screenshot(ingest, &shard, png) => stored,
            };
            artifacts.extend(stored);
        }
        self.report(attempt::ran(header, &outcome, artifacts)).await
    }

    async fn report(&self, attempt: v1::Attempt) -> Result<(), WorkEnd> {
        if self.spool.push(attempt).await { Ok(()) } else { Err(WorkEnd::Stopped) }
    }
}

fn overrun(duration: Duration, result: TestResult) -> TestOutcome {
    TestOutcome {
        result,
        steps: Vec::new(),
        screenshot: None,
        duration,
        dialog_count: 0,
        logs: Logs::default(),
    }
}

fn launch_failed(error: &LaunchError) -> WorkEnd {
    WorkEnd::Failed { class: FailureClass::BrowserLaunch, message: error_chain(error) }
}
