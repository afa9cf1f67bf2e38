//! What a run says in the end: every planned test exactly once, whoever knows about it.
//!
//! The scheduler knows what was planned, results knows what happened. This module reads both to the end and merges them by
//! ordinal; the renderers (`document`, `junit`, `summary`) are pure and only see the merged report.

pub(crate) mod document;
pub(crate) mod junit;
mod screenshots;
pub(crate) mod summary;

use crate::client::Mesh;
use crate::failure::Failure;
use crate::names;
use gauntlet_proto::v1;
use gauntlet_runtime::Backoff;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tonic::Code;

/// How long we wait for results to seal a run that has ended.
const SEAL_WAIT_MAX: Duration = Duration::from_secs(10);
/// Results carry steps, so pages are small; they shrink further when one does not fit in a message.
const RESULTS_PAGE_SIZE: i32 = 200;
/// Skip reason of a test that an abort kept from running.
const SKIP_ABORTED: &str = "ABORTED";

/// A run with every test it planned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// The run.
    pub(crate) run: v1::Run,
    /// Its tests by ordinal.
    pub(crate) tests: Vec<ReportedTest>,
}

/// A planned test and what became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportedTest {
    /// What was planned.
    pub(crate) planned: v1::PlannedTest,
    /// How it ended; UNSPECIFIED while that is open.
    pub(crate) outcome: v1::TestOutcome,
    /// Why it was skipped; empty otherwise.
    pub(crate) skip_reason: String,
    /// Its attempts.
    pub(crate) attempts: Vec<v1::Attempt>,
    /// Where the screenshot of its failure was saved.
    pub(crate) screenshot: Option<String>,
}

impl ReportedTest {
    /// Returns the last attempt that has a failure, for a test that did not pass.
    pub(crate) fn failed_attempt(&self) -> Option<&v1::Attempt> {
        if matches!(self.outcome, v1::TestOutcome::Passed | v1::TestOutcome::Flaky) {
            return None;
        }
        self.attempts.iter().rev().find(|attempt| attempt.failure.is_some())
    }

    /// Returns how long its attempts took together.
    pub(crate) fn duration(&self) -> Duration {
        let wire = self.attempts.iter().filter_map(|attempt| attempt.duration.as_ref());
        wire.filter_map(|duration| gauntlet_proto::edge::duration("duration", duration).ok()).sum()
    }

    /// Returns the name of the executor that ran it last.
    pub(crate) fn executor(&self) -> Option<&str> {
        let last = self.attempts.last()?;
        (!last.executor.is_empty()).then_some(last.executor.as_str())
    }
}

impl Report {
    /// Returns how the tests ended, counted from the tests themselves.
    pub(crate) fn counts(&self) -> v1::OutcomeCounts {
        let mut counts = v1::OutcomeCounts::default();
        for test in &self.tests {
            match test.outcome {
                v1::TestOutcome::Passed => counts.passed += 1,
                v1::TestOutcome::Flaky => counts.flaky += 1,
                v1::TestOutcome::Failed => counts.failed += 1,
                v1::TestOutcome::TimedOut => counts.timed_out += 1,
                v1::TestOutcome::Skipped => counts.skipped += 1,
                v1::TestOutcome::Errored => counts.errored += 1,
                v1::TestOutcome::NotRun => counts.not_run += 1,
                v1::TestOutcome::Unspecified => {}
            }
        }
        counts
    }

    /// Returns why the run was aborted, stopped or errored, if it was.
    pub(crate) fn reason(&self) -> Option<&str> {
        let error = self.run.verdict.as_ref().map_or("", |verdict| verdict.error.as_str());
        [self.run.state_reason.as_str(), error].into_iter().find(|reason| !reason.is_empty())
    }

    /// Returns how long the run took from admission to its end.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let instant = |at: &Option<pbjson_types::Timestamp>| {
            at.as_ref().and_then(gauntlet_proto::edge::instant)
        };
        let (start, end) = (instant(&self.run.create_time)?, instant(&self.run.finish_time)?);
        Duration::try_from(end.duration_since(start)).ok()
    }
}

/// Reads everything about a run, waiting for the seal where its end has one.
pub(crate) async fn gather(mesh: &Mesh, run_id: &str) -> Result<Report, Failure> {
    let run = mesh.get_run(run_id).await?;
    let planned = mesh.list_planned_tests(run_id).await?;
    wait_for_seal(mesh, &run).await;
    let results = list_results(mesh, run_id, run.generation).await?;
    Ok(merge(run, planned, results))
}

/// Saves the screenshots of the failures below `folder`; one that cannot be read is left out and said.
pub(crate) async fn save_screenshots(mesh: &Mesh, report: &mut Report, folder: &Path) {
    screenshots::save(mesh, report, folder).await;
}

/// Merges what was planned with what happened.
fn merge(run: v1::Run, mut planned: Vec<v1::PlannedTest>, results: Vec<v1::TestResult>) -> Report {
    planned.sort_by_key(|test| test.ordinal);
    planned.dedup_by_key(|test| test.ordinal);
    let mut results: HashMap<i32, v1::TestResult> =
        results.into_iter().map(|result| (result.ordinal, result)).collect();
    let state = run.state();
    let tests = planned.into_iter().map(|planned| match results.remove(&planned.ordinal) {
        Some(result) => ReportedTest {
            planned,
            outcome: result.outcome(),
            skip_reason: result.skip_reason,
            attempts: result.attempts,
            screenshot: None,
        },
        None => without_result(planned, state),
    });
    Report { tests: tests.collect(), run }
}

fn without_result(planned: v1::PlannedTest, state: v1::RunState) -> ReportedTest {
    let (outcome, skip_reason) = match state {
        v1::RunState::Aborted => (v1::TestOutcome::Skipped, SKIP_ABORTED),
        v1::RunState::Passed | v1::RunState::Failed | v1::RunState::Errored => {
            (v1::TestOutcome::NotRun, "")
        }
        v1::RunState::Unspecified
        | v1::RunState::Queued
        | v1::RunState::Running
        | v1::RunState::Finalizing => (v1::TestOutcome::Unspecified, ""),
    };
    ReportedTest {
        planned,
        outcome,
        skip_reason: skip_reason.to_owned(),
        ..ReportedTest::default()
    }
}

/// Waits until results says that nothing more can be added. A verdict comes after the seal; an aborted run is sealed when
/// results hears of its end. When results stays away the report tells what there is.
async fn wait_for_seal(mesh: &Mesh, run: &v1::Run) {
    if !names::is_terminal(run.state()) {
        return;
    }
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let sealed = async {
        while !watch_seal(mesh, run).await {
            backoff.sleep().await;
        }
    };
    let _ = tokio::time::timeout(SEAL_WAIT_MAX, sealed).await;
}

/// Watches the progress, whose last message says that it is sealed; returns whether it came.
async fn watch_seal(mesh: &Mesh, run: &v1::Run) -> bool {
    let request =
        v1::WatchProgressRequest { run_id: run.run_id.clone(), generation: run.generation };
    let Ok(opened) = mesh.results.clone().watch_progress(request).await else { return false };
    let mut progress = opened.into_inner();
    while let Ok(Some(message)) = progress.message().await {
        if message.sealed {
            return true;
        }
    }
    false
}

async fn list_results(
    mesh: &Mesh,
    run_id: &str,
    generation: i32,
) -> Result<Vec<v1::TestResult>, Failure> {
    let mut request = results_request(run_id, generation, RESULTS_PAGE_SIZE);
    let mut results = Vec::new();
    loop {
        let sent = tonic::Request::new(request.clone());
        match mesh.results.clone().list_test_results(sent).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                results.extend(reply.results);
                request.page_token = reply.next_page_token;
                if request.page_token.is_empty() {
                    return Ok(results);
                }
            }
            // tonic's word for a message over the limit.
            Err(status) if status.code() == Code::OutOfRange && request.page_size > 1 => {
                request.page_size = (request.page_size / 4).max(1);
            }
            Err(status) if gauntlet_rpc::is_unavailable(&status) => {
                let retried = mesh.call("cannot list results", request.clone(), |mut mesh, request| async move {
                    mesh.results.list_test_results(request).await
                });
                let reply = retried.await?;
                results.extend(reply.results);
                request.page_token = reply.next_page_token;
                if request.page_token.is_empty() {
                    return Ok(results);
                }
            }
            Err(status) => return Err(mesh.refused("cannot list results", &status)),
        }
    }
}

fn results_request(run_id: &str, generation: i32, page_size: i32) -> v1::ListTestResultsRequest {
    v1::ListTestResultsRequest {
        run_id: run_id.to_owned(),
        generation,
        page_size,
        page_token: String::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
