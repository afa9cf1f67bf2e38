//! Between the domain's words and the contract's.

use gauntlet_core::verdict::{Counts, TestOutcome};
use gauntlet_proto::v1;

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

/// Returns bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the bytes of a SHA-256 in hex, or none.
pub(crate) fn sha256(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 64 {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
