//! Each wrong rule, in a world that is clean with the product's rules: the checker finds what it breaks.
//!
//! The counterexamples are printed (`--nocapture`) and told in `docs/protocol.md`.

use crate::checked::check;
use crate::reach::find_lockup;
use crate::real::{aborted_generations, calm, failures, generations, hands, siblings, stops};
use crate::world::Scenario;
use gauntlet_tests_model::{Broken, Rules};
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::collections::BTreeSet;

/// Longest counterexample looked for.
const DEPTH_MAX: usize = 40;

/// Finds the shortest way to break the property and prints it.
///
/// # Panics
/// When there is none.
fn find(rule: Broken, scenario: Scenario, property: &'static str) {
    let scenario = Scenario { rules: Rules::Wrong(rule), ..scenario };
    // Depth by depth, since the checker finishes a whole block of states before it looks at what it found.
    let steps = (1..DEPTH_MAX).find_map(|depth| {
        let until = HasDiscoveries::AnyOf(BTreeSet::from([property]));
        let checker = scenario.clone().checker().threads(1).finish_when(until);
        let checker = checker.target_max_depth(depth).spawn_bfs().join();
        checker.discovery(property).map(Path::into_actions)
    });
    let steps = steps.unwrap_or_else(|| panic!("{rule:?} does not break {property}"));
    println!("{rule:?} breaks {property} in {} steps:", steps.len());
    steps.iter().for_each(|step| println!("    {step:?}"));
}

#[test]
fn b4_an_election_by_a_single_statement_elects_nobody() {
    find(Broken::ElectBySingleStatement, siblings(), "B4");
    let rules = Rules::Wrong(Broken::ElectBySingleStatement);
    let (_, lockup) = find_lockup(&Scenario { rules, ..siblings() });
    assert!(lockup.is_some(), "a run without finalizer should hang");
}

#[test]
fn b1_a_completion_without_epoch_ends_the_lease_of_another() {
    find(Broken::CompleteWithoutEpoch, failures(), "B1");
}

#[test]
fn b1_a_reap_without_bump_lets_two_holders_write() {
    find(Broken::ReapWithoutBump, hands(), "ACK");
}

#[test]
fn the_bump_of_a_reap_may_be_left_to_the_next_grant() {
    let rules = Rules::Wrong(Broken::ReapLeavesBumpToGrant);
    check("a reap that leaves the bump to the grant", Scenario { rules, ..hands() });
}

#[test]
fn b5_a_close_without_predicate_ends_a_run_twice() {
    find(Broken::CloseWithoutPredicate, stops(), "RN-1");
}

#[test]
fn a10_a_close_of_any_generation_gives_the_second_the_verdict_of_the_first() {
    find(Broken::CloseOfAnyGeneration, generations(), "FN-2");
}

#[test]
fn b5_an_abort_that_is_not_first_ends_a_run_twice() {
    find(Broken::AbortWithoutFirstWriter, stops(), "RN-1");
}

#[test]
fn a10_an_abort_of_any_generation_ends_one_that_nobody_asked_about() {
    find(Broken::AbortOfAnyGeneration, aborted_generations(), "C1");
}

#[test]
fn b6_an_ingest_without_fence_acknowledges_what_is_not_stored() {
    find(Broken::IngestWithoutFence, hands(), "ACK");
}

#[test]
fn b3_an_ingest_without_key_counts_a_repeat_twice() {
    find(Broken::IngestWithoutKey, calm(), "SH-3");
}

#[test]
fn rn5_a_seal_that_does_not_wait_misses_what_is_acknowledged() {
    find(Broken::SealWithoutWaiting, stops(), "ACK");
}

#[test]
fn rn5_a_second_seal_turns_what_an_abort_skipped_into_something_else() {
    find(Broken::SealAgain, stops(), "RN-5");
}
