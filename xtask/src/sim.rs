//! `cargo xtask sim`: plays schedules of the simulator and prints what they covered, or one of them message by message.

use gauntlet_runtime::Exit;
use gauntlet_tests_sim::{Habits, Report, play};
use std::io::{self, Write as _};

/// Arguments of `sim`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Seeds to play, from 0 on; the coverage report is printed at the end.
    #[arg(long, default_value_t = 2_100)]
    seeds: u64,
    /// Plays only this one and prints every message.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
}

/// Plays; fails when something does not hold. What a few seeds met too rarely is told and is no failure.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(seed) = args.seed {
        let seen = play(seed, Habits::GOOD, true)
            .map_err(|violation| anyhow::anyhow!("seed {seed}: {violation}"))?;
        return print(&format!(
            "seed {seed}: {} runs, {} deliveries\n",
            seen.runs, seen.deliveries
        ));
    }
    let report = Report::of(args.seeds).map_err(anyhow::Error::msg)?;
    let gaps = report.gaps();
    print(&format!("{report}{} of the cells are too rare\n", gaps.len()))
}

fn print(text: &str) -> anyhow::Result<Exit> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Clean)
}
