//! Tasks for those who work on Gauntlet: `cargo xtask bench mesh` measures the whole mesh, `cargo xtask bench browser` what a
//! test costs in a browser, `cargo xtask sim` plays the protocol's simulator.
//!
//! Owns nothing of the product and is never shipped. What it starts are processes of their own, which end with it.

mod bench;
mod executor;
mod sim;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks for those who work on Gauntlet")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures.
    #[command(subcommand)]
    Bench(Bench),
    /// Plays schedules of the protocol's simulator.
    Sim(sim::Args),
    /// One executor of the benchmark.
    #[command(hide = true)]
    ScriptedExecutor(executor::Args),
}

#[derive(Subcommand)]
enum Bench {
    /// Measures the mesh: every service its own process, executors without browsers, a real Postgres with fsync.
    Mesh(bench::Args),
    /// Measures browsers: tests per second, their cost and their end, beside Playwright where npm can install it.
    Browser(bench::browser::Args),
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Bench(Bench::Mesh(args)) => gauntlet_runtime::main(async || bench::run(args).await),
        Task::Bench(Bench::Browser(args)) => {
            gauntlet_runtime::main(async || Box::pin(bench::browser::run(args)).await)
        }
        Task::Sim(args) => gauntlet_runtime::main(async || sim::run(&args)),
        Task::ScriptedExecutor(args) => executor::main(args),
    }
}
