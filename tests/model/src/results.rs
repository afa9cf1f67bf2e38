//! What results keeps of one run: fences, attempts, seals and verdicts, and the transactions that change them.
//!
//! Two locks are modelled: a report holds its fence and, shared with other reports, its run from [`Results::begin`] to
//! [`Results::commit`]; a seal takes the run alone.

use crate::{Broken, Rules};
use gauntlet_core::LeaseEpoch;
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{StopReason, VerdictState};
use gauntlet_core::seal::{Ending, Sealed, StoredAttempt, StoredSeal, TestEnd};
use gauntlet_core::verdict::{AttemptOutcome, SkipReason, TestOutcome, judge};
use std::collections::{BTreeMap, BTreeSet};

/// Names one grant of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence {
    /// Pass over the run's tests.
    pub generation: u32,
    /// The shard.
    pub shard: u32,
    /// Epoch of the grant.
    pub epoch: LeaseEpoch,
}

/// One attempt as its executor reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Report {
    /// Under which grant.
    pub fence: Fence,
    /// The test.
    pub ordinal: u32,
    /// Which try.
    pub attempt: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Whether no attempt of the test follows.
    pub is_final: bool,
}

impl Report {
    fn key(&self) -> (u32, u32, u32) {
        (self.fence.generation, self.ordinal, self.attempt)
    }
}

/// How far one test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Known {
    /// The test.
    pub ordinal: u32,
    /// Attempts stored.
    pub attempt_count: u32,
    /// Whether one of them is final.
    pub is_final: bool,
}

/// What a write under a fence came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// It may go on or is done.
    Done,
    /// A newer epoch has the shard.
    LeaseLost,
    /// The generation is sealed.
    Sealed,
    /// Somebody holds a lock; nothing happened yet.
    Waits,
}

/// Ordinal, outcome, why it was skipped, and number of attempts of one test.
pub type SealedOutcome = (u32, TestOutcome, Option<SkipReason>, u32);

/// A sealed generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seal {
    test_count: u32,
    /// Tests whose outcome is not that of their attempts.
    decided: BTreeMap<i32, (TestOutcome, Option<SkipReason>)>,
    /// Generation that decided each test.
    origins: Vec<i32>,
    /// What it said when it was first made.
    pub outcomes: Vec<SealedOutcome>,
}

/// A verdict as results stored it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// Who stored it.
    pub finalizer_epoch: u32,
    /// What it says.
    pub state: VerdictState,
    /// Digest of the sealed outcomes.
    pub digest: String,
    closed: bool,
}

/// The rows of one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Results {
    fences: BTreeMap<(u32, u32), (LeaseEpoch, u32)>,
    /// In order of (generation, ordinal, attempt), as the table's key has them.
    attempts: Vec<Report>,
    /// Sealed generations.
    pub seals: BTreeMap<u32, Seal>,
    verdicts: BTreeMap<u32, Verdict>,
    /// Reports between begin and commit.
    pub storing: BTreeSet<Report>,
}

impl Results {
    /// Raises a fence and tells nothing more; see [`Results::known`].
    pub fn open(&mut self, rules: Rules, fence: Fence) -> Entered {
        if self.storing.iter().any(|report| same_shard(&report.fence, &fence)) {
            return Entered::Waits;
        }
        self.raise(rules, fence)
    }

    /// Returns how far the tests are, and how many rows the shard has.
    #[must_use]
    pub fn known(&self, fence: Fence, ordinals: &[u32]) -> (Vec<Known>, u32) {
        let of = |ordinal: &u32| {
            let rows = self.attempts.iter();
            let rows =
                rows.filter(|a| (a.fence.generation, a.ordinal) == (fence.generation, *ordinal));
            rows.fold(Known { ordinal: *ordinal, attempt_count: 0, is_final: false }, |k, a| {
                Known {
                    attempt_count: k.attempt_count + 1,
                    is_final: k.is_final || a.is_final,
                    ..k
                }
            })
        };
        (ordinals.iter().map(of).collect(), self.row_count(fence))
    }

    /// Returns how many rows the fence of the shard counts.
    #[must_use]
    pub fn row_count(&self, fence: Fence) -> u32 {
        self.fences.get(&(fence.generation, fence.shard)).map_or(0, |(_, rows)| *rows)
    }

    /// Begins to store a report: takes the run's lock, shared, and the fence.
    pub fn begin(&mut self, rules: Rules, report: Report) -> Entered {
        let entered = self.open(rules, report.fence);
        if entered == Entered::Done {
            self.storing.insert(report);
        }
        entered
    }

    /// Stores a report that was begun. From here on it is acknowledged.
    ///
    /// # Errors
    /// When what is acknowledged is not what is stored (ACK), not in the seal (ACK), or stored twice (SH-3).
    pub fn commit(&mut self, rules: Rules, report: Report) -> Result<(), Violation> {
        self.storing.remove(&report);
        let key = report.key();
        let at = self.attempts.partition_point(|a| a.key() < key);
        let stored = self.attempts.get(at).filter(|a| a.key() == key).copied();
        if stored.is_none() || rules.lack(Broken::IngestWithoutKey) {
            self.attempts.insert(at, report);
            let fence = self.fences.entry((key.0, report.fence.shard)).or_default();
            fence.1 += 1;
        }
        let outcome = stored.map_or(report.outcome, |stored| stored.outcome);
        hold("SH-3", self.attempts.iter().filter(|a| a.key() == key).count() == 1, || {
            format!("attempt {key:?} is stored twice")
        })?;
        hold("ACK", outcome == report.outcome, || {
            format!("{report:?} was acknowledged, but {outcome:?} is stored")
        })?;
        hold("ACK", stored.is_some() || !self.seals.contains_key(&key.0), || {
            format!("{report:?} was acknowledged after the seal")
        })
    }

    /// Forgets a report that was begun: the process died or the transaction failed.
    pub fn roll_back(&mut self, report: Report) {
        self.storing.remove(&report);
    }

    fn raise(&mut self, rules: Rules, fence: Fence) -> Entered {
        if self.seals.contains_key(&fence.generation) {
            return Entered::Sealed;
        }
        let (epoch, _) = self.fences.entry((fence.generation, fence.shard)).or_default();
        if *epoch > fence.epoch && !rules.lack(Broken::IngestWithoutFence) {
            return Entered::LeaseLost;
        }
        *epoch = fence.epoch.max(*epoch);
        Entered::Done
    }

    /// Seals a generation, or finds it sealed; none while reports are being stored.
    pub fn seal(&mut self, rules: Rules, ending: &Ending) -> Option<Sealed> {
        let generation = ending.generation.unsigned_abs();
        let storing = self.storing.iter().any(|report| report.fence.generation == generation);
        if storing && !rules.lack(Broken::SealWithoutWaiting) {
            return None;
        }
        if let Some(seal) = self.seals.get(&generation)
            && !rules.lack(Broken::SealAgain)
        {
            return Some(self.sealed(generation, seal));
        }
        let former = self.seals.get(&(generation - 1)).map(|seal| self.tests(generation - 1, seal));
        let sealed = Sealed::of(ending, &self.stored(generation), &former.unwrap_or_default());
        let first = self.seals.get(&generation).map(|seal| seal.outcomes.clone());
        let outcomes = first.unwrap_or_else(|| outcomes_of(&sealed));
        let seal = Seal {
            test_count: ending.test_count,
            decided: decided_of(&sealed),
            origins: sealed.tests.iter().map(|test| test.origin).collect(),
            outcomes,
        };
        self.seals.insert(generation, seal);
        Some(sealed)
    }

    /// Seals and stores the verdict, in one transaction. None when nothing could be done yet, an inner none when a newer
    /// finalizer stored one or the run was closed.
    pub fn seal_and_judge(
        &mut self,
        rules: Rules,
        finalizer_epoch: u32,
        ending: &Ending,
        reported: &[(i32, i32)],
    ) -> Option<Option<Verdict>> {
        let sealed = self.seal(rules, ending)?;
        let cut_short = sealed.skip_reason();
        let (state, _) = judge(&sealed.counts(), sealed.misses_rows(reported), cut_short);
        let verdict = Verdict { finalizer_epoch, state, digest: sealed.digest(), closed: false };
        let generation = ending.generation.unsigned_abs();
        let held = self.verdicts.get(&generation);
        if held.is_some_and(|held| held.finalizer_epoch > finalizer_epoch || held.closed) {
            return Some(None);
        }
        self.verdicts.insert(generation, verdict.clone());
        Some(Some(verdict))
    }

    /// Notes that the run was closed with its verdict.
    pub fn note_closed(&mut self, generation: u32) {
        if let Some(verdict) = self.verdicts.get_mut(&generation) {
            verdict.closed = true;
        }
    }

    /// Returns the digest that the sealed rows of a generation give now.
    #[must_use]
    pub fn digest(&self, generation: u32) -> Option<String> {
        self.seals.get(&generation).map(|seal| self.sealed(generation, seal).digest())
    }

    /// Returns whether the attempt is stored.
    #[must_use]
    pub fn holds(&self, report: &Report) -> bool {
        self.attempts.iter().any(|a| a.key() == report.key() && a.outcome == report.outcome)
    }

    /// Checks RN-5: a sealed generation has one outcome for each test, and they are those of the seal.
    ///
    /// # Errors
    /// The first generation of which that is not so.
    pub fn check(&self) -> Result<(), Violation> {
        for (generation, seal) in &self.seals {
            let sealed = outcomes_of(&self.sealed(*generation, seal));
            let ordinals: Vec<u32> = sealed.iter().map(|(ordinal, ..)| *ordinal).collect();
            hold("RN-5", ordinals == (0..seal.test_count).collect::<Vec<_>>(), || {
                format!("generation {generation} has outcomes of {ordinals:?}")
            })?;
            hold("RN-5", sealed == seal.outcomes, || {
                format!(
                    "generation {generation} was sealed with {:?}, now {sealed:?}",
                    seal.outcomes
                )
            })?;
        }
        Ok(())
    }

    fn sealed(&self, generation: u32, seal: &Seal) -> Sealed {
        Sealed::again(self.tests(generation, seal), &self.stored(generation))
    }

    /// Returns how the tests ended, each by its attempts in the generation that decided it.
    fn tests(&self, generation: u32, seal: &Seal) -> Vec<TestEnd> {
        let stored = StoredSeal {
            generation: generation.cast_signed(),
            test_count: seal.test_count.cast_signed(),
            decided: seal.decided.iter().map(|(ordinal, how)| (*ordinal, *how)).collect(),
            origins: seal.origins.clone(),
        };
        let origins: BTreeSet<u32> = seal.origins.iter().map(|o| o.unsigned_abs()).collect();
        let mut deciding = Vec::new();
        for origin in origins {
            let decided_here = |attempt: &StoredAttempt| {
                stored.origin(attempt.ordinal.cast_signed()).unsigned_abs() == origin
            };
            deciding.extend(self.stored(origin).into_iter().filter(decided_here));
        }
        stored.tests(&deciding)
    }

    fn stored(&self, generation: u32) -> Vec<StoredAttempt> {
        let rows = self.attempts.iter().filter(|a| a.fence.generation == generation);
        rows.map(|a| StoredAttempt {
            ordinal: a.ordinal,
            outcome: a.outcome,
            is_final: a.is_final,
            shard_index: i32::try_from(a.fence.shard).unwrap_or(i32::MAX),
        })
        .collect()
    }
}

/// Returns why tests are skipped that a stop left out.
#[must_use]
pub fn skip_reason(stopped: StopReason) -> SkipReason {
    match stopped {
        StopReason::FailFast => SkipReason::FailFast,
        StopReason::Deadline => SkipReason::Deadline,
    }
}

fn outcomes_of(sealed: &Sealed) -> Vec<SealedOutcome> {
    let tests = (0..).zip(&sealed.tests);
    tests.map(|(n, test)| (n, test.outcome, test.skip_reason, test.attempt_count)).collect()
}

fn decided_of(sealed: &Sealed) -> BTreeMap<i32, (TestOutcome, Option<SkipReason>)> {
    let left_out = |test: &TestEnd| {
        !matches!(
            test.outcome,
            TestOutcome::Passed | TestOutcome::Flaky | TestOutcome::Failed | TestOutcome::TimedOut
        )
    };
    let tests = (0..).zip(&sealed.tests).filter(|(_, test)| left_out(test));
    tests.map(|(ordinal, test)| (ordinal, (test.outcome, test.skip_reason))).collect()
}

fn same_shard(a: &Fence, b: &Fence) -> bool {
    (a.generation, a.shard) == (b.generation, b.shard)
}

/// Returns a violation unless it holds.
///
/// # Errors
/// When it does not hold.
pub fn hold(id: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { id, what: what() }) }
}
