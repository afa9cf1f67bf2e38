//! What the tests of a run do. Pure: the same (seed, ordinal, attempt) always gives the same attempt.
//!
//! The script travels in the run's variables, so every executor of a mesh plays any run, and a checker that knows the
//! variables can recompute every outcome.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use gauntlet_proto::{edge, v1};
use v1::AttemptOutcome;

const SEED: &str = "SCRIPT_SEED";
const REPORTS: &str = "SCRIPT_REPORTS";
const DELAY_MS: &str = "SCRIPT_DELAY_MS";
const TRACED: &str = "SCRIPT_TRACED";

/// Steps of one attempt.
const STEPS: i32 = 8;
/// Of a hundred attempts under a seed, so many fail, and so many more run into their limit.
const FAILED_PERCENT: u64 = 20;
const TIMED_OUT_PERCENT: u64 = 3;
/// Of a hundred grants under a seed, so many fail for an infrastructure reason.
const INFRA_PERCENT: u64 = 10;
/// Of a hundred tests that failed and have retries left, so many are left to another executor.
const DEFERRED_PERCENT: u64 = 30;

/// How scripted executors play a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Decides outcomes; without one everything passes at the first attempt.
    pub seed: Option<u64>,
    /// Whether shards are opened and their attempts reported; else they are completed at once, without any result.
    pub reports: bool,
    /// How long a test takes.
    pub delay: Duration,
    /// Whether the executor tells what happens to the run's shards.
    pub traced: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { seed: None, reports: true, delay: Duration::ZERO, traced: false }
    }
}

impl Script {
    /// Returns the script in the options of a grant.
    pub fn of(options: &v1::RunOptions) -> Self {
        let number = |name: &str| options.variables.get(name).and_then(|text| text.parse().ok());
        Self {
            seed: number(SEED),
            reports: number(REPORTS) != Some(0),
            delay: Duration::from_millis(number(DELAY_MS).unwrap_or(0)),
            traced: number(TRACED) == Some(1),
        }
    }

    /// Returns the variables that carry the script; defaults are left out.
    pub fn variables(&self) -> HashMap<String, String> {
        let delay_ms = u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX);
        let given = [
            (SEED, self.seed),
            (REPORTS, (!self.reports).then_some(0)),
            (DELAY_MS, (delay_ms > 0).then_some(delay_ms)),
            (TRACED, self.traced.then_some(1)),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| (name.to_owned(), value.to_string())).collect()
    }

    /// Returns the script of one generation: a test that is run again rolls its dice again. The first is the script itself.
    #[must_use]
    pub fn in_generation(self, generation: i32) -> Self {
        let again = u64::from(generation.max(1).unsigned_abs()) - 1;
        let seed = self.seed.map(|seed| if again == 0 { seed } else { hash(seed, [again, again]) });
        Self { seed, ..self }
    }

    /// Returns whether an executor that may leaves a test to another one after this attempt.
    pub fn defers(&self, ordinal: i32, attempt: i32) -> bool {
        let test = [ordinal.unsigned_abs().into(), attempt.unsigned_abs().into()];
        self.seed.is_some_and(|seed| hash(!seed.rotate_left(1), test) % 100 < DEFERRED_PERCENT)
    }

    /// Returns how every attempt of a test ends, in order; the last one is final.
    pub fn attempts(&self, ordinal: i32, retries: i32) -> Vec<AttemptOutcome> {
        let mut attempts = Vec::with_capacity(1);
        for attempt in 1..=retries.max(0) + 1 {
            let outcome = self.outcome(ordinal, attempt);
            attempts.push(outcome);
            if outcome == AttemptOutcome::Passed {
                break;
            }
        }
        attempts
    }

    /// Returns whether a grant fails for an infrastructure reason, halfway through its tests.
    pub fn breaks(&self, shard_index: i32, infra_attempt: i32) -> bool {
        let grant = [shard_index.unsigned_abs().into(), infra_attempt.unsigned_abs().into()];
        self.seed.is_some_and(|seed| hash(seed ^ u64::MAX, grant) % 100 < INFRA_PERCENT)
    }

    fn outcome(&self, ordinal: i32, attempt: i32) -> AttemptOutcome {
        let Some(seed) = self.seed else { return AttemptOutcome::Passed };
        let test = [ordinal.unsigned_abs().into(), attempt.unsigned_abs().into()];
        match hash(seed, test) % 100 {
            roll if roll < FAILED_PERCENT => AttemptOutcome::Failed,
            roll if roll < FAILED_PERCENT + TIMED_OUT_PERCENT => AttemptOutcome::TimedOut,
            _ => AttemptOutcome::Passed,
        }
    }
}

/// Returns an attempt as an executor reports it: eight steps, over 1.5 KB encoded, no two alike.
pub(crate) fn attempt(
    run: u64,
    ordinal: i32,
    attempt: i32,
    outcome: AttemptOutcome,
    is_final: bool,
) -> v1::Attempt {
    let step = |index: i32| {
        let mut selector = format!("css/main > section:nth-of-type({index}) [data-test=\"");
        for part in 0..8_u64 {
            let place = u64::from(index.unsigned_abs()) << 8 | part;
            let test = u64::from(ordinal.unsigned_abs()) << 8 | u64::from(attempt.unsigned_abs());
            // Writing to a string cannot fail.
            let _ = write!(selector, "{:016x}", hash(run, [test, place]));
        }
        selector.push_str("\"]");
        v1::StepResult {
            index,
            r#type: "waitForExpression".to_owned(),
            offset: Some(edge::wire_duration(Duration::from_millis(
                40 * u64::from(index.unsigned_abs()),
            ))),
            duration: Some(edge::wire_duration(Duration::from_millis(37))),
            selector_used: selector,
            ..v1::StepResult::default()
        }
    };
    let failed = (outcome != AttemptOutcome::Passed).then(|| v1::Failure {
        step_index: STEPS - 1,
        step_type: "waitForExpression".to_owned(),
        failure_class: "assertion".to_owned(),
        message: "as the script says".to_owned(),
        ..v1::Failure::default()
    });
    v1::Attempt {
        ordinal,
        attempt,
        outcome: outcome.into(),
        r#final: is_final,
        start_time: Some(edge::timestamp(gauntlet_runtime::Clock::system().now())),
        duration: Some(edge::wire_duration(Duration::from_millis(320))),
        failure: failed,
        steps: (0..STEPS).map(step).collect(),
        executor: "scripted".to_owned(),
        ..v1::Attempt::default()
    }
}

/// Mixes a seed and two numbers (the finalizer of splitmix64, thrice).
pub fn hash(seed: u64, parts: [u64; 2]) -> u64 {
    let mix = |mut z: u64| {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    parts.into_iter().fold(mix(seed), |sum, part| mix(sum ^ part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_travels_in_the_variables_of_a_run() {
        let script = Script {
            seed: Some(u64::MAX),
            reports: false,
            delay: Duration::from_millis(5),
            traced: true,
        };
        for script in [script, Script::default()] {
            let options = v1::RunOptions { variables: script.variables(), ..Default::default() };
            assert_eq!(Script::of(&options), script);
        }
    }

    #[test]
    fn a_seed_gives_every_kind_of_test_and_no_seed_only_passes() {
        let script = Script { seed: Some(1), ..Script::default() };
        let kinds: Vec<_> = (0..200).map(|ordinal| script.attempts(ordinal, 1)).collect();
        for kind in [
            vec![AttemptOutcome::Passed],
            vec![AttemptOutcome::Failed, AttemptOutcome::Passed],
            vec![AttemptOutcome::Failed, AttemptOutcome::Failed],
        ] {
            assert!(kinds.contains(&kind), "none of 200 tests ends {kind:?}");
        }
        assert!((0..100).any(|shard| script.breaks(shard, 1) && !script.breaks(shard, 2)));
        let again = script.clone().in_generation(2);
        assert!((0..200).any(|test| again.attempts(test, 1) != script.attempts(test, 1)));
        assert_eq!(script.clone().in_generation(1), script);
        assert_eq!(Script::default().attempts(0, 3), [AttemptOutcome::Passed]);
        assert!(!Script::default().breaks(0, 1));
    }

    #[test]
    fn a_result_weighs_at_least_1536_bytes_and_repeats_nothing() {
        // Length-delimited strings alone: what protobuf adds comes on top.
        let bytes = |attempt: &v1::Attempt| -> usize {
            attempt.steps.iter().map(|step| step.selector_used.len() + step.r#type.len()).sum()
        };
        let one = attempt(1, 0, 1, AttemptOutcome::Passed, true);
        let other = attempt(1, 1, 1, AttemptOutcome::Passed, true);
        assert!(one.steps.len() == 8 && bytes(&one) >= 1_536, "{} bytes", bytes(&one));
        assert!(
            one.steps.iter().zip(&other.steps).all(|(a, b)| a.selector_used != b.selector_used)
        );
    }
}
