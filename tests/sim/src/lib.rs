//! The simulator: scheduler, executors, results and people over the real `core::protocol`, message by message, in virtual
//! time.
//!
//! A schedule is one seed: some runs, at least 200 deliveries, and one kind of fault that strikes up to four times. After
//! every command the invariants of `core` are checked, after every delivery those of results, and at the end that every run
//! ended, every test has one outcome and nothing acknowledged is missing. The same seed gives the same schedule.
//!
//! `cargo xtask sim` plays it, and so does every test run.

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

pub use executor::Habits;
pub use schedule::{Seen, play};

use coverage::Coverage;
use std::fmt;

/// Deliveries that make a schedule.
const DELIVERIES_MIN: u64 = 200;

/// What all schedules of some seeds came to.
#[derive(Default)]
pub struct Report {
    seeds: u64,
    runs: usize,
    deliveries: u64,
    deliveries_least: u64,
    virtual_ms: u64,
    coverage: Coverage,
}

impl Report {
    /// Plays the seeds from 0 on.
    ///
    /// # Errors
    /// The first seed in which something does not hold, or that is no schedule.
    pub fn of(seeds: u64) -> Result<Self, String> {
        let mut report = Self { seeds, deliveries_least: u64::MAX, ..Self::default() };
        for seed in 0..seeds {
            let seen = play(seed, Habits::GOOD, false).map_err(|violation| {
                format!("seed {seed}: {violation}\nsee it with `cargo xtask sim --seed {seed}`")
            })?;
            report.add(seed, &seen)?;
        }
        Ok(report)
    }

    fn add(&mut self, seed: u64, seen: &Seen) -> Result<(), String> {
        if seen.deliveries < DELIVERIES_MIN || seen.strikes == 0 {
            let Seen { deliveries, strikes, .. } = seen;
            return Err(format!("seed {seed} has {deliveries} deliveries and {strikes} faults"));
        }
        self.deliveries += seen.deliveries;
        self.deliveries_least = self.deliveries_least.min(seen.deliveries);
        self.runs += seen.runs;
        self.virtual_ms += seen.virtual_ms;
        self.coverage.add(seen.fault, &seen.reached);
        Ok(())
    }

    /// Returns each change of state that met a kind of fault too rarely, or one that cannot be and was seen.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        self.coverage.gaps()
    }
}

/// The numbers, and the table of changes of state and faults.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, runs, deliveries, deliveries_least, virtual_ms, coverage } = self;
        let hours = virtual_ms / 3_600_000;
        writeln!(
            f,
            "{seeds} seeds from 0 on: {runs} runs, {deliveries} deliveries (at least {deliveries_least} a seed), {hours} virtual hours"
        )?;
        write!(f, "{coverage}")
    }
}
