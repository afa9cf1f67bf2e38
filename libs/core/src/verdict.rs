//! What the results mean: attempts → outcome of a test → counts → verdict. Pure, so that anyone can recompute it (FN-2).

use crate::protocol::{StopReason, VerdictState};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttemptOutcome {
    /// Every step did what it should.
    Passed,
    /// A step did not.
    Failed,
    /// The test's time limit passed.
    TimedOut,
    /// The infrastructure failed.
    Errored,
}

/// How a planned test ended. Exactly one for each (RN-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestOutcome {
    /// Passed at the first attempt.
    Passed,
    /// Passed after a failed attempt.
    Flaky,
    /// Failed in every attempt.
    Failed,
    /// Ran into its time limit.
    TimedOut,
    /// Not executed by decision.
    Skipped,
    /// Infrastructure error.
    Errored,
    /// Planned, but neither executed nor skipped.
    NotRun,
}

impl TestOutcome {
    /// Returns the name used in reports and in the digest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Flaky => "FLAKY",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Skipped => "SKIPPED",
            Self::Errored => "ERRORED",
            Self::NotRun => "NOT_RUN",
        }
    }
}

/// Why a planned test was not executed by decision. In order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// The run's time limit passed before.
    Deadline,
    /// Enough tests had failed before.
    FailFast,
    /// The run was aborted before.
    Aborted,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Deadline, Self::FailFast, Self::Aborted];

    /// Returns the name that results and verdicts show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deadline => "DEADLINE",
            Self::FailFast => "FAIL_FAST",
            Self::Aborted => "ABORTED",
        }
    }
}

impl From<StopReason> for SkipReason {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::FailFast => Self::FailFast,
            StopReason::Deadline => Self::Deadline,
        }
    }
}

/// Returns how a test ended whose attempts ended so, first to last; none when there is no attempt.
///
/// The last attempt decides; a pass after a failed or timed-out attempt is flaky. An infrastructure error before a pass
/// is no flake: it says nothing about the test (B9).
#[must_use]
pub fn merge_attempts(attempts: &[AttemptOutcome]) -> Option<TestOutcome> {
    let (last, earlier) = attempts.split_last()?;
    Some(match last {
        AttemptOutcome::Passed => {
            let failed_before = earlier
                .iter()
                .any(|a| matches!(a, AttemptOutcome::Failed | AttemptOutcome::TimedOut));
            if failed_before { TestOutcome::Flaky } else { TestOutcome::Passed }
        }
        AttemptOutcome::Failed => TestOutcome::Failed,
        AttemptOutcome::TimedOut => TestOutcome::TimedOut,
        AttemptOutcome::Errored => TestOutcome::Errored,
    })
}

/// How many tests of a generation ended in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Passed at the first attempt.
    pub passed: u32,
    /// Passed after a failed attempt.
    pub flaky: u32,
    /// Failed.
    pub failed: u32,
    /// Timed out.
    pub timed_out: u32,
    /// Skipped.
    pub skipped: u32,
    /// Errored.
    pub errored: u32,
    /// Not run.
    pub not_run: u32,
}

impl Counts {
    /// Counts the outcomes.
    #[must_use]
    pub fn of(outcomes: impl IntoIterator<Item = TestOutcome>) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            *match outcome {
                TestOutcome::Passed => &mut counts.passed,
                TestOutcome::Flaky => &mut counts.flaky,
                TestOutcome::Failed => &mut counts.failed,
                TestOutcome::TimedOut => &mut counts.timed_out,
                TestOutcome::Skipped => &mut counts.skipped,
                TestOutcome::Errored => &mut counts.errored,
                TestOutcome::NotRun => &mut counts.not_run,
            } += 1;
        }
        counts
    }

    /// Returns how many tests were executed: the denominator of every rate.
    #[must_use]
    pub fn executed(&self) -> u32 {
        self.passed + self.flaky + self.failed + self.timed_out
    }
}

/// Returns what the counts say, and the class of the error for ERRORED or the reason of a run cut short.
///
/// Precedence: ERRORED (rows lost, anything not run or errored, nothing executed) over FAILED over PASSED. A run with a
/// test that was not run is never PASSED (A8), nor is one that was `cut_short`: stopped, or with tests that an abort or a
/// stop left out and no retry has made up for.
#[must_use]
pub fn judge(
    counts: &Counts,
    rows_lost: bool,
    cut_short: Option<SkipReason>,
) -> (VerdictState, Option<&'static str>) {
    if rows_lost {
        (VerdictState::Errored, Some("RESULTS_LOST"))
    } else if counts.not_run > 0 {
        (VerdictState::Errored, Some("TESTS_NOT_RUN"))
    } else if counts.errored > 0 {
        (VerdictState::Errored, Some("INFRASTRUCTURE"))
    } else if counts.executed() == 0 {
        (VerdictState::Errored, Some("NOTHING_EXECUTED"))
    } else if let Some(reason) = cut_short {
        (VerdictState::Failed, Some(reason.name()))
    } else if counts.failed + counts.timed_out > 0 {
        (VerdictState::Failed, None)
    } else {
        (VerdictState::Passed, None)
    }
}

/// Returns the digest of the sealed outcomes: SHA-256 in hex over one line `ordinal outcome attempts` for each test in
/// ascending order (FN-2).
#[must_use]
pub fn digest(outcomes: impl IntoIterator<Item = (u32, TestOutcome, u32)>) -> String {
    let mut hasher = Sha256::new();
    let mut line = String::new();
    for (ordinal, outcome, attempt_count) in outcomes {
        line.clear();
        // Writing to a String cannot fail.
        let _ = writeln!(line, "{ordinal} {} {attempt_count}", outcome.name());
        hasher.update(line.as_bytes());
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_a_run_with_a_test_not_run_is_never_passed() {
        let counts = Counts { passed: 99, not_run: 1, ..Counts::default() };
        assert_eq!(judge(&counts, false, None), (VerdictState::Errored, Some("TESTS_NOT_RUN")));
    }

    #[test]
    fn fewer_rows_than_were_acknowledged_is_never_passed() {
        let counts = Counts { passed: 5, ..Counts::default() };
        assert_eq!(judge(&counts, true, None), (VerdictState::Errored, Some("RESULTS_LOST")));
    }

    #[test]
    fn a_run_that_executed_nothing_is_not_passed() {
        let counts = Counts { skipped: 3, ..Counts::default() };
        assert_eq!(judge(&counts, false, None).0, VerdictState::Errored);
    }

    #[test]
    fn infrastructure_goes_before_failed_tests_and_those_before_passed() {
        let failed = Counts { passed: 1, failed: 1, ..Counts::default() };
        assert_eq!(judge(&failed, false, None).0, VerdictState::Failed);
        assert_eq!(judge(&Counts { errored: 1, ..failed }, false, None).0, VerdictState::Errored);
        assert_eq!(
            judge(&Counts { passed: 1, flaky: 1, ..Counts::default() }, false, None).0,
            VerdictState::Passed
        );
    }

    #[test]
    fn a_run_cut_short_is_never_passed_and_says_why_unless_the_infrastructure_failed() {
        let passed = Counts { passed: 3, skipped: 1, ..Counts::default() };
        for reason in SkipReason::ALL {
            let judged = judge(&passed, false, Some(reason));
            assert_eq!(judged, (VerdictState::Failed, Some(reason.name())));
            let errored = Counts { errored: 1, ..passed };
            assert_eq!(judge(&errored, false, Some(reason)).0, VerdictState::Errored);
        }
        let nothing = Counts { skipped: 4, ..Counts::default() };
        let judged = judge(&nothing, false, Some(SkipReason::Deadline));
        assert_eq!(judged, (VerdictState::Errored, Some("NOTHING_EXECUTED")));
    }

    #[test]
    fn b9_an_infrastructure_error_before_a_pass_is_no_flake() {
        use AttemptOutcome::{Errored, Failed, Passed};
        assert_eq!(merge_attempts(&[Errored, Passed]), Some(TestOutcome::Passed));
        assert_eq!(merge_attempts(&[Failed, Passed]), Some(TestOutcome::Flaky));
        assert_eq!(merge_attempts(&[Passed, Failed]), Some(TestOutcome::Failed));
        assert_eq!(merge_attempts(&[]), None);
    }

    #[test]
    fn the_digest_tells_outcomes_apart() {
        let a = digest([(0, TestOutcome::Passed, 1)]);
        assert_eq!(a.len(), 64);
        assert_ne!(a, digest([(0, TestOutcome::Failed, 1)]));
        assert_ne!(a, digest([(0, TestOutcome::Passed, 2)]));
    }
}
