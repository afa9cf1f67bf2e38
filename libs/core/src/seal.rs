//! What a sealed generation says: exactly one outcome for every planned test of the run (RN-5). Pure.
//!
//! A generation speaks for the whole run (A10): tests that it planned ended as their attempts in it say, or did not end in it
//! (C1: an aborted retry skips them), and every other test as the generation before says. The generation whose attempts decide a test is its origin. Called by results when it seals,
//! and by the model and the simulator of the protocol.

use crate::verdict::{AttemptOutcome, Counts, SkipReason, TestOutcome, digest, merge_attempts};
use std::collections::{BTreeSet, HashMap};

/// One stored attempt, without its payload; in order of (ordinal, attempt).
#[derive(Debug, Clone, Copy)]
pub struct StoredAttempt {
    /// Number of its test within the run.
    pub ordinal: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Whether no attempt of the test follows.
    pub is_final: bool,
    /// The shard that it was reported under.
    pub shard_index: i32,
}

/// How a generation ended, as far as attempts do not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which one.
    pub generation: i32,
    /// Tests of the run.
    pub test_count: u32,
    /// Tests of the generation; none when they are all of the run, as those of the first are.
    pub planned: Option<BTreeSet<u32>>,
    /// Why tests without a final attempt have none.
    pub rest: Rest,
}

/// Why tests of a generation without a final attempt have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// The run was aborted: they are skipped.
    Aborted,
    /// The run ended otherwise.
    Ended {
        /// Tests of shards whose infrastructure failed for good: they are errored.
        errored: BTreeSet<u32>,
        /// Why the run was stopped, if it was: all others are skipped for it. Else they were not run.
        stopped: Option<SkipReason>,
    },
}

impl Rest {
    fn outcome(&self, ordinal: u32) -> (TestOutcome, Option<SkipReason>) {
        match self {
            Self::Aborted => (TestOutcome::Skipped, Some(SkipReason::Aborted)),
            Self::Ended { errored, .. } if errored.contains(&ordinal) => {
                (TestOutcome::Errored, None)
            }
            Self::Ended { stopped: Some(reason), .. } => (TestOutcome::Skipped, Some(*reason)),
            Self::Ended { stopped: None, .. } => (TestOutcome::NotRun, None),
        }
    }
}

/// How one test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestEnd {
    /// What it came to.
    pub outcome: TestOutcome,
    /// Set when the outcome is SKIPPED.
    pub skip_reason: Option<SkipReason>,
    /// Attempts in its origin.
    pub attempt_count: u32,
    /// Generation that decided it.
    pub origin: i32,
}

/// A seal as stored: what attempts do not say.
#[derive(Debug, Clone, Default)]
pub struct StoredSeal {
    /// Generation that it closes.
    pub generation: i32,
    /// Tests of the run.
    pub test_count: i32,
    /// Tests whose outcome is not that of their attempts.
    pub decided: HashMap<i32, (TestOutcome, Option<SkipReason>)>,
    /// Origin of each test, by ordinal; empty means that all are of this generation.
    pub origins: Vec<i32>,
}

impl StoredSeal {
    /// Returns the generation that decided a test.
    #[must_use]
    pub fn origin(&self, ordinal: i32) -> i32 {
        let at = usize::try_from(ordinal).ok().and_then(|at| self.origins.get(at));
        at.copied().unwrap_or(self.generation)
    }

    /// Returns how its tests ended, given their attempts in their origins.
    #[must_use]
    pub fn tests(&self, deciding: &[StoredAttempt]) -> Vec<TestEnd> {
        let mut tries = Tries::of(deciding);
        let test = |ordinal: i32| {
            let (outcomes, _) = tries.take(ordinal.unsigned_abs());
            let decided = self.decided.get(&ordinal).copied();
            let (outcome, skip_reason) = decided.unwrap_or_else(|| {
                (merge_attempts(&outcomes).unwrap_or(TestOutcome::NotRun), None)
            });
            let attempt_count = u32::try_from(outcomes.len()).unwrap_or(u32::MAX);
            TestEnd { outcome, skip_reason, attempt_count, origin: self.origin(ordinal) }
        };
        (0..self.test_count).map(test).collect()
    }
}

/// Attempts by test.
struct Tries(HashMap<u32, (Vec<AttemptOutcome>, bool)>);

impl Tries {
    fn of(attempts: &[StoredAttempt]) -> Self {
        let mut by_test: HashMap<u32, (Vec<AttemptOutcome>, bool)> = HashMap::new();
        for attempt in attempts {
            let test = by_test.entry(attempt.ordinal).or_default();
            test.0.push(attempt.outcome);
            test.1 |= attempt.is_final;
        }
        Self(by_test)
    }

    /// Returns the outcomes of a test, first to last, and whether the last is final.
    fn take(&mut self, ordinal: u32) -> (Vec<AttemptOutcome>, bool) {
        self.0.remove(&ordinal).unwrap_or_default()
    }
}

/// The outcomes of a run's tests at the end of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sealed {
    /// By ordinal.
    pub tests: Vec<TestEnd>,
    /// Attempts of this generation stored under each shard.
    pub row_counts: HashMap<i32, i32>,
}

impl Sealed {
    /// Merges the attempts of a generation with what the one before it said.
    #[must_use]
    pub fn of(ending: &Ending, attempts: &[StoredAttempt], former: &[TestEnd]) -> Self {
        let mut tries = Tries::of(attempts);
        let tests = (0..ending.test_count).map(|ordinal| {
            let (outcomes, is_final) = tries.take(ordinal);
            if let Some(kept) = ending.kept(ordinal, former) {
                return kept;
            }
            let merged = merge_attempts(&outcomes).filter(|_| is_final);
            let (outcome, skip_reason) =
                merged.map_or_else(|| ending.rest.outcome(ordinal), |outcome| (outcome, None));
            let attempt_count = u32::try_from(outcomes.len()).unwrap_or(u32::MAX);
            TestEnd { outcome, skip_reason, attempt_count, origin: ending.generation }
        });
        Self { tests: tests.collect(), row_counts: row_counts(attempts) }
    }

    /// Returns what was sealed before; `attempts` are those of the generation.
    #[must_use]
    pub fn again(tests: Vec<TestEnd>, attempts: &[StoredAttempt]) -> Self {
        Self { tests, row_counts: row_counts(attempts) }
    }

    /// Returns whether some shard stored less than its executor was acknowledged. `reported`: shard, rows.
    #[must_use]
    pub fn misses_rows(&self, reported: &[(i32, i32)]) -> bool {
        reported.iter().any(|(shard_index, reported_count)| {
            self.row_counts.get(shard_index).copied().unwrap_or(0) < *reported_count
        })
    }

    /// Returns how many tests ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.tests.iter().map(|test| test.outcome))
    }

    /// Returns the digest of the outcomes (FN-2).
    #[must_use]
    pub fn digest(&self) -> String {
        digest((0..).zip(&self.tests).map(|(n, test)| (n, test.outcome, test.attempt_count)))
    }

    /// Returns the gravest reason for which tests were left out.
    #[must_use]
    pub fn skip_reason(&self) -> Option<SkipReason> {
        self.tests.iter().filter_map(|test| test.skip_reason).max()
    }

    /// Returns attempts beyond the first of each test, summed.
    #[must_use]
    pub fn retry_count(&self) -> u32 {
        self.tests.iter().map(|test| test.attempt_count.saturating_sub(1)).sum()
    }

    /// Returns how many tests failed although they were retried.
    #[must_use]
    pub fn failed_after_retry(&self) -> usize {
        let failed =
            |test: &&TestEnd| matches!(test.outcome, TestOutcome::Failed | TestOutcome::TimedOut);
        self.tests.iter().filter(|test| test.attempt_count > 1).filter(failed).count()
    }
}

impl Ending {
    /// Returns what the generation before said of a test that is none of this one.
    fn kept(&self, ordinal: u32, former: &[TestEnd]) -> Option<TestEnd> {
        let kept = self.planned.as_ref().is_some_and(|planned| !planned.contains(&ordinal));
        former.get(usize::try_from(ordinal).ok()?).copied().filter(|_| kept)
    }
}

fn row_counts(attempts: &[StoredAttempt]) -> HashMap<i32, i32> {
    let mut counts = HashMap::new();
    for attempt in attempts {
        *counts.entry(attempt.shard_index).or_default() += 1;
    }
    counts
}
