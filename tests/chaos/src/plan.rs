//! What a seed decides: the sizes of runs, which are aborted, which are partly retried, and the order of faults.
//!
//! Pure. A seed replays the plan; what happens between real processes is decided by the machine.

use std::time::Duration;

use gauntlet_core::verdict::AttemptOutcome;
use gauntlet_proto::v1;
use gauntlet_testkit::scripted::{Script, hash};
use uuid::Uuid;

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    seed: u64,
    stream: u64,
    rolled: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream, rolled: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.rolled += 1;
        hash(self.seed, [self.stream, self.rolled])
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        low + u32::try_from(self.next() % span).unwrap_or(0)
    }

    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.between(0, 99) < chance
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.between(0, u32::try_from(last).unwrap_or(0));
            items.swap(last, other as usize);
        }
    }

    pub(crate) fn uuid4(&mut self) -> Uuid {
        let bytes = (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Tests of the catalog; the largest run takes them all.
pub(crate) const CATALOG_TESTS: u32 = 72;

/// Recordings for browsers; every other one fails.
pub(crate) const BROWSER_TESTS: u32 = 6;
/// Of a hundred runs, so many are driven by browsers, if there are any.
const BROWSER_PERCENT: u32 = 3;

/// Returns whether the recording of this number passes.
pub(crate) fn recording_passes(number: u32) -> bool {
    number.is_multiple_of(2)
}

/// One run as planned.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) number: u32,
    pub(crate) request_id: Uuid,
    pub(crate) tests: u32,
    pub(crate) shards: u32,
    pub(crate) retries: i32,
    pub(crate) script: Script,
    /// Real recordings in real browsers; else the script is played.
    pub(crate) browsers: bool,
    /// How long after its admission it is aborted.
    pub(crate) abort_after: Option<Duration>,
    /// Tests of the partial retry, if there is one.
    pub(crate) again: Vec<i32>,
    /// How long after its begin the retry is aborted.
    pub(crate) abort_again_after: Option<Duration>,
    /// Whether commands are sent twice at once.
    pub(crate) twice: bool,
}

impl RunPlan {
    /// Returns whether it counts as large: at least 8 shards of at least 5 tests.
    pub(crate) fn is_large(&self) -> bool {
        self.shards >= 8 && self.tests >= 5 * self.shards
    }

    /// Returns how every attempt of a test ends in a generation, in order; the last one is final.
    pub(crate) fn attempts(&self, generation: i32, ordinal: i32) -> Vec<AttemptOutcome> {
        if self.browsers {
            let tries = usize::try_from(self.retries).unwrap_or(0) + 1;
            return match recording_passes(ordinal.unsigned_abs()) {
                true => vec![AttemptOutcome::Passed],
                false => vec![AttemptOutcome::Failed; tries],
            };
        }
        let script = self.script.clone().in_generation(generation);
        let says = script.attempts(ordinal, self.retries);
        says.into_iter().map(|outcome| outcome_of(outcome.into())).collect()
    }

    /// Makes it a run for browsers if the dice say so.
    pub(crate) fn or_browsers(self, seed: u64) -> Self {
        let mut dice = Dice::new(!seed, u64::from(self.number) + 1);
        if !dice.percent(BROWSER_PERCENT) {
            return self;
        }
        let tests = dice.between(2, BROWSER_TESTS);
        let again = self.again.into_iter().filter(|ordinal| *ordinal < tests.cast_signed());
        let (again, shards) = (again.collect(), self.shards.min(2));
        let retries = self.retries.min(1);
        Self { tests, shards, retries, again, browsers: true, ..self }
    }

    pub(crate) fn of(seed: u64, number: u32) -> Self {
        let mut dice = Dice::new(seed, u64::from(number) + 1);
        let large = dice.percent(58);
        let (shards, tests) = if large {
            let shards = dice.between(8, 12);
            (shards, shards * dice.between(5, 6))
        } else {
            let shards = dice.between(1, 4);
            (shards, shards * dice.between(1, 5))
        };
        let delay_ms = match dice.between(0, 3) {
            0 => 0,
            1 => dice.between(1, 10),
            2 => dice.between(10, 40),
            _ if large => dice.between(20, 60),
            _ => dice.between(60, 300),
        };
        let abort_after =
            dice.percent(27).then(|| Duration::from_millis(dice.between(0, 500).into()));
        let mut again = Vec::new();
        let mut abort_again_after = None;
        if dice.percent(14) {
            let chosen = dice.between(1, tests.div_ceil(2));
            let mut ordinals: Vec<i32> = (0..tests.cast_signed()).collect();
            dice.shuffle(&mut ordinals);
            again = ordinals.into_iter().take(chosen as usize).collect();
            again.sort_unstable();
            abort_again_after =
                dice.percent(20).then(|| Duration::from_millis(dice.between(0, 200).into()));
        }
        let retries = dice.between(0, 2).cast_signed();
        let delay = Duration::from_millis(delay_ms.into());
        let script = Script { seed: Some(dice.next()), delay, ..Script::default() };
        let (twice, request_id) = (dice.percent(25), dice.uuid4());
        Self {
            number,
            request_id,
            tests,
            shards,
            retries,
            script,
            browsers: false,
            abort_after,
            again,
            abort_again_after,
            twice,
        }
    }
}

/// Returns the outcome of a number of the contract; what is no outcome counts as one that no script asks for.
pub(crate) fn outcome_of(number: i32) -> AttemptOutcome {
    match v1::AttemptOutcome::try_from(number) {
        Ok(v1::AttemptOutcome::Passed) => AttemptOutcome::Passed,
        Ok(v1::AttemptOutcome::Failed) => AttemptOutcome::Failed,
        Ok(v1::AttemptOutcome::TimedOut) => AttemptOutcome::TimedOut,
        _ => AttemptOutcome::Errored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_of_runs_is_the_promised_one_for_any_seed() {
        for seed in [1, 2, 99, u64::MAX] {
            let runs: Vec<_> = (0..2_000).map(|number| RunPlan::of(seed, number)).collect();
            let share = |what: fn(&RunPlan) -> bool| runs.iter().filter(|run| what(run)).count();
            assert!(share(RunPlan::is_large) >= 1_000);
            assert!(share(|run| run.abort_after.is_some()) >= 480);
            assert!(share(|run| !run.again.is_empty()) >= 220);
            assert!(runs.iter().all(|run| run.tests <= CATALOG_TESTS && run.shards <= run.tests));
            assert!(runs.iter().all(|run| run.again.len() < run.tests.max(2) as usize));
        }
    }

    #[test]
    fn a_seed_replays_the_plan() {
        let plan = |seed| format!("{:?}", RunPlan::of(seed, 7));
        assert_eq!(plan(3), plan(3));
        assert_ne!(plan(3), plan(4));
    }
}
