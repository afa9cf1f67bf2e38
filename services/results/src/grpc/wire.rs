//! Between the domain's words and the contract's.

use gauntlet_core::verdict::{Counts, TestOutcome};
use gauntlet_proto::{edge, v1};

/// Returns counts as the contract shows them.
pub(crate) fn counts(counts: &Counts) -> v1::OutcomeCounts {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    v1::OutcomeCounts {
        passed: number(counts.passed),
        flaky: number(counts.flaky),
        failed: number(counts.failed),
        timed_out: number(counts.timed_out),
        skipped: number(counts.skipped),
        errored: number(counts.errored),
        not_run: number(counts.not_run),
    }
}

/// Returns an outcome as the contract names it.
pub(crate) fn outcome(outcome: TestOutcome) -> v1::TestOutcome {
    match outcome {
        TestOutcome::Passed => v1::TestOutcome::Passed,
        TestOutcome::Flaky => v1::TestOutcome::Flaky,
        TestOutcome::Failed => v1::TestOutcome::Failed,
        TestOutcome::TimedOut => v1::TestOutcome::TimedOut,
        TestOutcome::Skipped => v1::TestOutcome::Skipped,
        TestOutcome::Errored => v1::TestOutcome::Errored,
        TestOutcome::NotRun => v1::TestOutcome::NotRun,
    }
}

/// Returns the bytes of a SHA-256 in hex, or none.
pub(crate) fn sha256(text: &str) -> Option<Vec<u8>> {
    edge::unhex(text).filter(|hash| hash.len() == 32)
}
