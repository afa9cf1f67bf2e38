//! The tests of one shard: which are left, and running them with the shard's workers.
//!
//! Owns test retries (flakes, counted as attempts; the last one at another executor when there is one) and infrastructure
//! retries (once, on a fresh browser, not counted: B9).
//! An abort or a lost lease kills the browser in the middle of a test, and nothing of that test is reported. A crash loses
//! the attempt that was running; it gets the same number again.

use crate::{
    app::Executor,
    artifact::Artifact,
    attempt::{self, Header},
    cancel::StopReason,
    disk::Folder,
    fault::FaultPoint,
    keep::{Ended, Wanted},
    leases::Lease,
    plan::Plan,
    report::Spool,
    revisions::RevisionError,
    run_test::LiveBrowser,
    session::Session,
    sign_in::SignedIn,
    slots::Slot,
};
use futures_util::future::join_all;
use gauntlet_browser::{Control, LaunchError, TestOptions, TestOutcome, TestResult};
use gauntlet_core::flow::{FailureClass, Flow};
use gauntlet_proto::v1;
use gauntlet_runtime::error_chain;
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

/// How long a browser may overrun the limit of its test before it is killed.
const OVERRUN_MAX: Duration = Duration::from_secs(15);
/// How long a browser may take to say that it was cancelled.
const CANCEL_WAIT: Duration = Duration::from_secs(1);
const POISONED: &str = "the test was running in two lost leases, so it is not run again";

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

/// Counts connections of pages that the egress policy denied.
fn count_denied(count: u64) {
    if count > 0 {
        let meter = opentelemetry::global::meter("gauntlet");
        meter.u64_counter("gauntlet.executor.egress_denied").build().add(count, &[]);
    }
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

/// What a browser said, and where it left its pictures.
struct Ran {
    outcome: TestOutcome,
    folder: Option<Arc<Folder>>,
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
        let flow = match self.flow(&test.revision_hash).await {
            Ok(flow) => flow,
            Err(RevisionError::Unreadable(message)) => {
                let header = header(attempt, true);
                return self
                    .report(attempt::errored(&header, FailureClass::ImportError, &message))
                    .await;
            }
            Err(error) => return Err(not_fetched(&error)),
        };
        let mut slot = tokio::select! {
            biased;
            () = self.lease.stop.stopped() => return Err(WorkEnd::Stopped),
            slot = self.executor.slots.acquire(self.plan.spec.clone()) => slot.ok_or(WorkEnd::Stopped)?,
        };
        let options = match self.signed_in(&mut slot, &header(attempt, false)).await? {
            None => self.plan.options.clone(),
            Some(Ok(state)) => TestOptions { state: Some(state), ..self.plan.options.clone() },
            Some(Err(why)) => {
                let header = header(attempt, true);
                return self.report(attempt::errored(&header, FailureClass::Auth, &why)).await;
            }
        };
        loop {
            let started = header(attempt, false);
            let wanted = self.plan.wanted;
            let ran = self.run_attempt(&mut slot, &started, &flow, (&options, wanted)).await?;
            let result = &ran.outcome.result;
            let again = matches!(result, TestResult::Failed(_) | TestResult::TimedOut(_));
            let is_final = !again || attempt > self.plan.retries;
            self.report_run(&Header { is_final, ..started }, &flow, ran).await?;
            if is_final || self.plan.defer(test.ordinal, attempt) {
                return Ok(());
            }
            attempt += 1;
            if self.lease.stop.reason().is_some() {
                return Err(WorkEnd::Stopped);
            }
        }
    }

    /// Returns what the run's sign-in flow came to at this executor, performing it if nobody has; `None` without one.
    async fn signed_in(
        &self,
        slot: &mut Slot,
        header: &Header,
    ) -> Result<Option<SignedIn>, WorkEnd> {
        let Some(sign_in) = &self.plan.sign_in else { return Ok(None) };
        let kept = self.executor.sign_ins.of_run(self.plan.spec.run_id);
        let signed_in = tokio::select! {
            biased;
            () = self.lease.stop.killed() => return Err(WorkEnd::Stopped),
            signed_in = kept.get_or_try_init(|| self.sign_in(slot, header, sign_in)) => signed_in?,
        };
        Ok(Some(signed_in.clone()))
    }

    async fn sign_in(
        &self,
        slot: &mut Slot,
        header: &Header,
        sign_in: &v1::SignIn,
    ) -> Result<SignedIn, WorkEnd> {
        let name = format!("the sign-in flow {} › {}", sign_in.file, sign_in.name);
        let flow = match self.flow(&sign_in.revision_hash).await {
            Ok(flow) => flow,
            Err(RevisionError::Unreadable(why)) => return Ok(Err(format!("{name}: {why}"))),
            Err(error) => return Err(not_fetched(&error)),
        };
        let options = TestOptions { keep_state: true, ..self.plan.options.clone() };
        // It is no attempt of a test: nothing of it is kept.
        let how = (&options, Wanted::default());
        for _ in 0..self.plan.retries {
            let Ran { outcome, .. } = self.run_attempt(slot, header, &flow, how).await?;
            if let Some(state) = outcome.state {
                return Ok(Ok(Arc::new(state)));
            }
        }
        let Ran { outcome, .. } = self.run_attempt(slot, header, &flow, how).await?;
        let why = outcome.result.failure().map_or_else(String::new, |failure| {
            let (step, message) = (failure.step_index + 1, &failure.message);
            format!("{name} failed at step {step} ({}): {message}", failure.step_type)
        });
        Ok(outcome.state.map(Arc::new).ok_or(why))
    }

    async fn flow(&self, revision_hash: &str) -> Result<Flow, RevisionError> {
        let Executor { revisions, peers, .. } = self.executor;
        let flow = revisions.flow(&peers.catalog, revision_hash, &self.lease.stop).await?;
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
        how: (&TestOptions, Wanted),
    ) -> Result<Ran, WorkEnd> {
        let mut last_try = false;
        loop {
            let control = Arc::new(Control::new(self.lease.stop.kill_token().clone()));
            let _running = self.lease.run(ordinal, attempt, &control);
            let ran = self.run_once(slot, flow, how, &control).await?;
            let errored = matches!(ran.outcome.result, TestResult::Errored(_));
            if !errored || last_try {
                return Ok(ran);
            }
            tracing::warn!(test.ordinal = ordinal, failure = ?ran.outcome.result.failure().map(|f| f.class),
                "browser or driver failed, trying once more in a fresh browser");
            last_try = true;
        }
    }

    async fn run_once(
        &self,
        slot: &mut Slot,
        flow: &Flow,
        (options, wanted): (&TestOptions, Wanted),
        control: &Control,
    ) -> Result<Ran, WorkEnd> {
        let stop = &self.lease.stop;
        let prepared = wanted.prepare(self.executor, options);
        let (options, folder) = prepared.map_err(|error| WorkEnd::Failed {
            class: FailureClass::Unknown,
            message: format!("no folder for artifacts: {error}"),
        })?;
        let browser = tokio::select! {
            biased;
            () = stop.killed() => return Err(WorkEnd::Stopped),
            browser = slot.browser(self.executor.runner.as_ref()) => browser,
        };
        let mut browser = browser.map_err(|error| launch_failed(&error))?;
        self.mid_test_fault().await;
        let outcome = self.drive(browser.as_mut(), flow, &options, control).await;
        count_denied(outcome.egress_denied_count);
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
        Ok(Ran { outcome, folder })
    }

    /// Runs the test within its limit even when the browser does not keep to it.
    async fn drive(
        &self,
        browser: &mut dyn LiveBrowser,
        flow: &Flow,
        options: &TestOptions,
        control: &Control,
    ) -> TestOutcome {
        let stop = &self.lease.stop;
        let cancelled = async {
            stop.killed().await;
            tokio::time::sleep(CANCEL_WAIT).await;
        };
        tokio::select! {
            outcome = browser.run_test(flow, options, control) => outcome,
            () = cancelled => TestOutcome::bare(TestResult::Cancelled, options.timeout),
            () = tokio::time::sleep(options.timeout + OVERRUN_MAX) => {
                let lost = TestResult::Errored(gauntlet_browser::StepFailure {
                    step_index: 0,
                    step_type: "",
                    label: None,
                    selector: None,
                    expected: None,
                    found: None,
                    class: FailureClass::DriverLost,
                    message: "the driver did not end the test at its time limit".to_owned(),
                });
                TestOutcome::bare(lost, options.timeout)
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

    async fn report_run(&self, header: &Header, flow: &Flow, ran: Ran) -> Result<(), WorkEnd> {
        let Ran { outcome, folder } = ran;
        let ended = Ended {
            executor: self.executor,
            shard: self.lease.shard(),
            header,
            flow,
            outcome: &outcome,
            folder,
            wanted: self.plan.wanted,
        };
        let artifacts = tokio::select! {
            biased;
            () = self.lease.stop.voided() => return Err(WorkEnd::Stopped),
            artifacts = ended.artifacts() => artifacts,
        };
        self.push(attempt::ran(header, &outcome), artifacts).await
    }

    async fn report(&self, attempt: v1::Attempt) -> Result<(), WorkEnd> {
        self.push(attempt, Vec::new()).await
    }

    async fn push(&self, attempt: v1::Attempt, artifacts: Vec<Artifact>) -> Result<(), WorkEnd> {
        if self.spool.push(attempt, artifacts).await { Ok(()) } else { Err(WorkEnd::Stopped) }
    }
}

/// A recording that could not be had is no fault of its test: the shard goes to another executor.
fn not_fetched(error: &RevisionError) -> WorkEnd {
    match error {
        RevisionError::Stopped => WorkEnd::Stopped,
        RevisionError::Unreadable(message) | RevisionError::Fetch(message) => {
            WorkEnd::Failed { class: FailureClass::Unknown, message: message.clone() }
        }
    }
}

fn launch_failed(error: &LaunchError) -> WorkEnd {
    WorkEnd::Failed { class: FailureClass::BrowserLaunch, message: error_chain(error) }
}
