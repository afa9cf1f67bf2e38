//! The simulator: scheduler, executors, results and people over the real `core::protocol`, message by message, in virtual
//! time.
//!
//! A schedule is one seed: some runs, at least 200 deliveries, and one kind of fault that strikes up to four times. After
//! every command the invariants of `core` are checked, after every delivery those of results, and at the end that every run
//! ended, every test has one outcome and nothing acknowledged is missing. The same seed gives the same schedule.
//!
//! `GAUNTLET_SIM_SEED=17 cargo test -p gauntlet-tests-sim -- --nocapture one_seed` plays one seed and prints what happens;
//! `GAUNTLET_SIM_SEEDS=20000` plays more of them than usual.

#![expect(clippy::print_stdout, reason = "a report of seeds and coverage is what this test is for")]

mod client;
mod coverage;
mod executor;
mod finalizer;
mod messages;
mod rng;
mod schedule;
mod scheduler;
mod story;
mod world;

use coverage::Coverage;
use executor::Habits;

/// Schedules of a test run.
const SEEDS: u64 = 2_100;
/// Deliveries that make a schedule.
const DELIVERIES_MIN: u64 = 200;

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

#[test]
fn invariants_hold_in_every_schedule_and_every_transition_meets_every_fault() {
    let mut coverage = Coverage::default();
    let (mut deliveries, mut least, mut runs, mut virtual_ms) = (0, u64::MAX, 0, 0);
    let seeds = setting("GAUNTLET_SIM_SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        let seen = schedule::play(seed, Habits::GOOD, false).unwrap_or_else(|violation| {
            panic!("seed {seed}: {violation}\nplay it again with GAUNTLET_SIM_SEED={seed} and --nocapture one_seed")
        });
        assert!(
            seen.deliveries >= DELIVERIES_MIN,
            "seed {seed} has {} deliveries",
            seen.deliveries
        );
        assert!(seen.strikes > 0, "seed {seed} has no fault");
        deliveries += seen.deliveries;
        least = least.min(seen.deliveries);
        runs += seen.runs;
        virtual_ms += seen.virtual_ms;
        coverage.add(seen.fault, &seen.reached);
    }
    println!(
        "seeds 0 to {}: {runs} runs, {deliveries} deliveries (at least {least} a seed), {} virtual hours",
        seeds - 1,
        virtual_ms / 3_600_000
    );
    coverage.print();
    coverage.check();
}

#[test]
fn one_seed_gives_one_schedule() {
    let seed = setting("GAUNTLET_SIM_SEED");
    let play = |trace| {
        schedule::play(seed.unwrap_or(1), Habits::GOOD, trace).unwrap_or_else(|v| panic!("{v}"))
    };
    let (first, second) = (play(seed.is_some()), play(false));
    assert_eq!((first.deliveries, first.reached), (second.deliveries, second.reached));
}

/// Returns the first seed, from one on, in which something does not hold, and what.
fn first_violation(habits: Habits, from: u64) -> (u64, String) {
    let found = (from..from + SEEDS).find_map(|seed| {
        schedule::play(seed, habits, false).err().map(|violation| (seed, violation.to_string()))
    });
    found.unwrap_or_else(|| panic!("{habits:?} does no harm in {SEEDS} seeds from {from} on"))
}

#[test]
fn reports_out_of_order_lose_an_attempt_in_some_schedule() {
    let (seed, what) = first_violation(Habits { reports_in_order: false, ..Habits::GOOD }, 1_600);
    println!("reports out of order: seed {seed}: {what}");
    assert!(what.starts_with("ACK"), "{what}");
}

#[test]
fn a_grant_that_is_taken_up_again_after_its_end_is_found_in_some_schedule() {
    let (seed, what) = first_violation(Habits { remembers_grants: false, ..Habits::GOOD }, 1_200);
    println!("a grant taken up twice: seed {seed}: {what}");
    assert!(what.starts_with("ACK"), "{what}");
}
