//! What a sealed generation says: exactly one outcome for every planned test (RN-5). Pure.

use gauntlet_core::verdict::{AttemptOutcome, Counts, TestOutcome, digest, merge_attempts};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One stored attempt, without its payload; in order of (ordinal, attempt).
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAttempt {
    pub(crate) ordinal: u32,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) is_final: bool,
    /// The shard that it was reported under.
    pub(crate) shard_index: i32,
}

/// Why tests without a final attempt have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
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
pub(crate) struct Sealed {
    pub(crate) outcomes: Vec<(u32, TestOutcome, u32)>,
    pub(crate) skipped: Vec<i32>,
    pub(crate) errored: Vec<i32>,
    pub(crate) not_run: Vec<i32>,
    pub(crate) retry_count: u32,
    pub(crate) failed_after_retry: u32,
    /// Attempts stored under each shard.
    pub(crate) row_counts: HashMap<i32, i32>,
}

impl Sealed {
    /// Merges the attempts of `test_count` tests.
    pub(crate) fn of(test_count: u32, attempts: &[StoredAttempt], rest: &Rest) -> Self {
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

    /// Returns how many tests ended how.
    pub(crate) fn counts(&self) -> Counts {
        Counts::of(self.outcomes.iter().map(|(_, outcome, _)| *outcome))
    }

    /// Returns the digest of the outcomes (FN-2).
    pub(crate) fn digest(&self) -> String {
        digest(self.outcomes.iter().copied())
    }
}
