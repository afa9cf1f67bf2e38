//! The product's rules in bounded worlds: no property is broken, and every state leads to the end.

use crate::checked::check;
use crate::reach::find_lockup;
use crate::world::{Budget, Scenario};
use gauntlet_core::protocol::OnInfraFailure;
use gauntlet_tests_model::Rules;

/// A world in which nothing goes wrong but messages.
pub(crate) fn calm() -> Scenario {
    Scenario {
        rules: Rules::Real,
        shards: 1,
        executors: 1,
        finalizers: 1,
        on_infra_failure: OnInfraFailure::Continue,
        infra_attempts: 0,
        defers: false,
        budget: Budget::default(),
    }
}

/// Two shards and two executors.
pub(crate) fn siblings() -> Scenario {
    Scenario { shards: 2, executors: 2, ..calm() }
}

/// One shard, two executors: whoever stands still too long is reaped.
pub(crate) fn hands() -> Scenario {
    Scenario { executors: 2, budget: Budget { reaps: 1, ..Budget::default() }, ..calm() }
}

/// One shard, two executors: the first gives up or hands back.
pub(crate) fn failures() -> Scenario {
    let budget = Budget { failures: 1, hand_backs: 1, ..Budget::default() };
    Scenario { executors: 2, budget, ..calm() }
}

/// One finalizer, an abort and a stop.
pub(crate) fn stops() -> Scenario {
    Scenario { budget: Budget { aborts: 1, stops: 1, ..Budget::default() }, ..calm() }
}

/// A second generation, with everything late from the first.
pub(crate) fn generations() -> Scenario {
    let budget = Budget { retries: 1, finalizer_expiries: 1, ..Budget::default() };
    Scenario { budget, ..calm() }
}

/// The same, with an abort of one of the two.
pub(crate) fn aborted_generations() -> Scenario {
    Scenario { budget: Budget { aborts: 1, ..generations().budget }, ..calm() }
}

/// A test that goes on at another executor.
pub(crate) fn deferral() -> Scenario {
    Scenario { defers: true, ..hands() }
}

/// Shards on their last attempt.
fn last_attempt(on_infra_failure: OnInfraFailure) -> Scenario {
    let budget = Budget { reaps: 1, failures: 1, ..Budget::default() };
    Scenario { shards: 2, infra_attempts: 2, on_infra_failure, budget, ..calm() }
}

#[test]
fn siblings_may_finish_in_any_order() {
    check("siblings", siblings());
    check(
        "siblings, one executor reaped",
        Scenario { executors: 1, budget: hands().budget, ..siblings() },
    );
}

#[test]
fn b1_a_shard_may_change_hands_at_any_moment() {
    let budget = Budget { crashes: 1, ..hands().budget };
    check("hands, reap and crash", Scenario { budget, ..hands() });
    let budget = Budget { rollbacks: 1, ..hands().budget };
    check("hands, reap and a report rolled back", Scenario { budget, ..hands() });
    check("failures and hand-backs", failures());
}

#[test]
fn b4_finalizers_may_die_and_expire_at_any_moment() {
    let budget = Budget { finalizer_crashes: 1, finalizer_expiries: 1, ..stops().budget };
    check("two finalizers, abort and stop", Scenario { finalizers: 2, budget, ..calm() });
}

#[test]
fn a10_a_second_generation_may_begin_while_the_first_still_talks() {
    check("generations", generations());
    check("generations, abort", aborted_generations());
}

#[test]
fn a_test_may_move_to_another_executor_while_the_first_is_reaped() {
    check("deferral", deferral());
}

#[test]
fn the_last_attempt_of_a_shard_may_fail_at_any_moment() {
    check("last attempt, continue", last_attempt(OnInfraFailure::Continue));
    check("last attempt, stop the run", last_attempt(OnInfraFailure::StopRun));
}

#[test]
fn from_every_state_a_run_can_still_end() {
    for (name, scenario) in [
        ("siblings", siblings()),
        ("hands", hands()),
        ("failures", failures()),
        ("stops", stops()),
        ("generations", generations()),
        ("deferral", deferral()),
    ] {
        let (states, lockup) = find_lockup(&scenario);
        println!("{name}: the end can be reached from each of {states} states");
        assert_eq!(lockup, None, "{name}: nothing leads on from here");
    }
}

/// What takes a minute more; `docs/protocol.md` has the numbers.
#[test]
#[ignore = "a minute and some gigabytes"]
fn larger_worlds() {
    check("siblings, reap", Scenario { budget: hands().budget, ..siblings() });
    check("three shards", Scenario { shards: 3, ..siblings() });
    let budget = Budget { finalizer_crashes: 1, finalizer_expiries: 2, ..stops().budget };
    check("two finalizers, two expiries", Scenario { finalizers: 2, budget, ..calm() });
}
