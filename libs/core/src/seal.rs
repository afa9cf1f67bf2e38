//! What a sealed generation says: exactly one outcome for every planned test (RN-5). Pure: called by results when it seals,
//! and by the model and the simulator of the protocol.

use crate::verdict::{AttemptOutcome, Counts, TestOutcome, digest, merge_attempts};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// Why tests without a final attempt have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// The run was aborted: they are skipped.
    Aborted,
    /// The run ended otherwise; these ordinals belong to shards whose infrastructure failed for good: they are errored.
    /// All others were not run.
    Failed(BTreeSet<u32>),
    /// The generation was sealed before: as it was decided then.
    Sealed {
        /// Skipped then.
        skipped: BTreeSet<u32>,
        /// Errored then.
        errored: BTreeSet<u32>,
    },
}

/// The outcomes of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sealed {
    /// Ordinal, outcome and number of attempts of each planned test, in order.
    pub outcomes: Vec<(u32, TestOutcome, u32)>,
    /// Ordinals without a final attempt, skipped by decision.
    pub skipped: Vec<i32>,
    /// Ordinals without a final attempt, for want of infrastructure.
    pub errored: Vec<i32>,
    /// All other ordinals without a final attempt.
    pub not_run: Vec<i32>,
    /// Attempts beyond the first of each test.
    pub retry_count: u32,
    /// Tests that failed more than once.
    pub failed_after_retry: u32,
    /// Attempts stored under each shard.
    pub row_counts: HashMap<i32, i32>,
}

impl Sealed {
    /// Merges the attempts of `test_count` tests.
    #[must_use]
    pub fn of(test_count: u32, attempts: &[StoredAttempt], rest: &Rest) -> Self {
        let mut by_test: BTreeMap<u32, (Vec<AttemptOutcome>, bool)> = BTreeMap::new();
        for attempt in attempts {
            let test = by_test.entry(attempt.ordinal).or_default();
            test.0.push(attempt.outcome);
            test.1 |= attempt.is_final;
        }
        let mut sealed = Self::default();
        for attempt in attempts {
            *sealed.row_counts.entry(attempt.shard_index).or_default() += 1;
        }
        for ordinal in 0..test_count {
            let (tries, is_final) = by_test.remove(&ordinal).unwrap_or_default();
            let merged = merge_attempts(&tries).filter(|_| is_final);
            let outcome = merged.unwrap_or_else(|| sealed.without_result(ordinal, rest));
            let attempt_count = u32::try_from(tries.len()).unwrap_or(u32::MAX);
            sealed.retry_count += attempt_count.saturating_sub(1);
            if attempt_count > 1 && matches!(outcome, TestOutcome::Failed | TestOutcome::TimedOut) {
                sealed.failed_after_retry += 1;
            }
            sealed.outcomes.push((ordinal, outcome, attempt_count));
        }
        sealed
    }

    fn without_result(&mut self, ordinal: u32, rest: &Rest) -> TestOutcome {
        let (list, outcome) = match rest {
            Rest::Aborted => (&mut self.skipped, TestOutcome::Skipped),
            Rest::Sealed { skipped, .. } if skipped.contains(&ordinal) => {
                (&mut self.skipped, TestOutcome::Skipped)
            }
            Rest::Failed(errored) | Rest::Sealed { errored, .. } if errored.contains(&ordinal) => {
                (&mut self.errored, TestOutcome::Errored)
            }
            Rest::Failed(_) | Rest::Sealed { .. } => (&mut self.not_run, TestOutcome::NotRun),
        };
        list.push(i32::try_from(ordinal).unwrap_or(i32::MAX));
        outcome
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
        Counts::of(self.outcomes.iter().map(|(_, outcome, _)| *outcome))
    }

    /// Returns the digest of the outcomes (FN-2).
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.outcomes.iter().copied())
    }
}
