//! The `--json` document. Its keys are a contract, documented in `docs/cli.md`; keys may be added, never changed.

use super::{Report, ReportedTest};
use crate::names;
use gauntlet_proto::v1;
use serde::Serialize;
use std::time::Duration;

/// A run as a machine reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    run_id: &'a str,
    generation: i32,
    project: &'a str,
    state: &'static str,
    reason: Option<&'a str>,
    counts: Counts,
    digest: Option<&'a str>,
    duration_ms: Option<u64>,
    shards: i32,
    tests: Vec<Test<'a>>,
}

/// How many tests ended how.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    passed: i32,
    flaky: i32,
    failed: i32,
    timed_out: i32,
    skipped: i32,
    errored: i32,
    not_run: i32,
}

#[derive(Debug, Serialize)]
struct Test<'a> {
    name: &'a str,
    file: &'a str,
    ordinal: i32,
    outcome: &'static str,
    skip_reason: Option<&'a str>,
    attempts: usize,
    duration_ms: u64,
    failure: Option<Failure<'a>>,
    executor: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    step_index: i32,
    step_type: &'a str,
    selector: &'a str,
    expected: &'a str,
    found: &'a str,
    class: &'a str,
    message: &'a str,
    screenshot: Option<&'a str>,
}

impl<'a> Document<'a> {
    /// Returns the document of a report.
    pub(crate) fn new(report: &'a Report) -> Self {
        let run = &report.run;
        let verdict = run.verdict.as_ref();
        Self {
            run_id: &run.run_id,
            generation: run.generation,
            project: &run.project,
            state: names::state(run.state()),
            reason: report.reason(),
            counts: Counts::from(&report.counts()),
            digest: verdict.and_then(|verdict| non_empty(&verdict.digest)),
            duration_ms: report.duration().map(millis),
            shards: run.shard_count,
            tests: report.tests.iter().map(Test::new).collect(),
        }
    }

    /// Returns the document as text, ending in a line break.
    pub(crate) fn render(&self) -> String {
        // Serialising plain structs into a string cannot fail; an empty document would say so.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl From<&v1::OutcomeCounts> for Counts {
    fn from(counts: &v1::OutcomeCounts) -> Self {
        Self {
            passed: counts.passed,
            flaky: counts.flaky,
            failed: counts.failed,
            timed_out: counts.timed_out,
            skipped: counts.skipped,
            errored: counts.errored,
            not_run: counts.not_run,
        }
    }
}

impl<'a> Test<'a> {
    fn new(test: &'a ReportedTest) -> Self {
        Self {
            name: &test.planned.name,
            file: &test.planned.file,
            ordinal: test.planned.ordinal,
            outcome: names::outcome(test.outcome),
            skip_reason: non_empty(&test.skip_reason),
            attempts: test.attempts.len(),
            duration_ms: millis(test.duration()),
            failure: test
                .failed_attempt()
                .and_then(|attempt| attempt.failure.as_ref())
                .map(|failure| Failure::new(failure, test.screenshot.as_deref())),
            executor: test.executor(),
        }
    }
}

impl<'a> Failure<'a> {
    fn new(failure: &'a v1::Failure, screenshot: Option<&'a str>) -> Self {
        Self {
            step_index: failure.step_index,
            step_type: &failure.step_type,
            selector: &failure.selector,
            expected: &failure.expected,
            found: &failure.found,
            class: &failure.failure_class,
            message: &failure.message,
            screenshot,
        }
    }
}

/// One run of `gauntlet list --json`.
#[derive(Debug, Serialize)]
pub(crate) struct ListedRun<'a> {
    run_id: &'a str,
    generation: i32,
    state: &'static str,
    project: &'a str,
    environment: Option<&'a str>,
    reason: Option<&'a str>,
    waiting_reason: Option<&'a str>,
    tests: i32,
    shards: i32,
    counts: Option<Counts>,
    created_at: Option<String>,
    finished_at: Option<String>,
}

impl<'a> ListedRun<'a> {
    /// Returns a run as it is listed.
    pub(crate) fn new(run: &'a v1::Run) -> Self {
        let counts = run.verdict.as_ref().and_then(|verdict| verdict.counts.as_ref());
        Self {
            run_id: &run.run_id,
            generation: run.generation,
            state: names::state(run.state()),
            project: &run.project,
            environment: non_empty(&run.environment),
            reason: non_empty(&run.state_reason),
            waiting_reason: non_empty(&run.waiting_reason),
            tests: run.test_count,
            shards: run.shard_count,
            counts: counts.map(Counts::from),
            created_at: time(run.create_time.as_ref()),
            finished_at: time(run.finish_time.as_ref()),
        }
    }
}

/// Returns a wire timestamp in RFC 3339.
pub(crate) fn time(at: Option<&pbjson_types::Timestamp>) -> Option<String> {
    at.and_then(gauntlet_proto::edge::instant).map(|at| at.to_string())
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn the_document_is_what_the_docs_promise() {
        assert_eq!(Document::new(&sample()).render(), include_str!("golden/report.json"));
    }
}
