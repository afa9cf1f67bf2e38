//! The benchmark of the mesh: its arguments, its parts in order, and what comes out.
//!
//! Every part runs against one mesh that is started for it and removed afterwards, however the benchmark ends. What the
//! numbers mean is in `docs/benchmarks.md`.

mod aborts;
pub(crate) mod browser;
mod client;
mod growth;
mod latency;
mod mesh;
mod report;
mod throughput;
mod usage;

use anyhow::Context as _;
use clap::ValueEnum;
use gauntlet_runtime::telemetry::TelemetryArgs;
use gauntlet_runtime::{Exit, Lifecycle};
use gauntlet_testkit::GauntletProcess;
use mesh::Mesh;
use report::Report;
use std::path::PathBuf;
use std::time::Duration;
use throughput::Shape;

/// Arguments of `bench mesh`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Parts to run, by letter.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "a,b,c,d,e")]
    part: Vec<Part>,
    /// Runs of one round of part a.
    #[arg(long, default_value_t = 200)]
    runs: u32,
    /// Shards of each of them.
    #[arg(long, default_value_t = 8)]
    shards: u32,
    /// Results of each shard; 0 reports none. Several, separated by commas, are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "0,10")]
    results: Vec<u32>,
    /// Executor processes.
    #[arg(long, default_value_t = 4)]
    executors: u32,
    /// Slots of each of them.
    #[arg(long, default_value_t = 64)]
    slots: u32,
    /// Shortest measurement of part a, in seconds: rounds are repeated until it is reached.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Sequential runs of part b, for each number of results.
    #[arg(long, default_value_t = 1_000)]
    latency_runs: u32,
    /// Aborts of part c, in each situation.
    #[arg(long, default_value_t = 1_000)]
    aborts: u32,
    /// Results of the one run of part d.
    #[arg(long, default_value_t = 100_000)]
    growth_results: u32,
    /// Setting of Postgres as NAME=VALUE, for experiments; can be repeated.
    #[arg(long = "postgres", value_name = "NAME=VALUE")]
    postgres: Vec<String>,
    /// Small numbers: proves that the benchmark works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// File to write the numbers to.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Throughput.
    A,
    /// Latency of one small run.
    B,
    /// Aborts.
    C,
    /// One growing run.
    D,
    /// Memory, taken during part a without results.
    E,
}

impl Args {
    fn shrunk(self) -> Self {
        if !self.quick {
            return self;
        }
        Self { runs: 10, seconds: 0, latency_runs: 20, aborts: 5, growth_results: 2_000, ..self }
    }

    fn has(&self, part: Part) -> bool {
        self.part.contains(&part)
    }
}

/// Runs the benchmark until it is done or interrupted.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let args = args.shrunk();
    let quiet = TelemetryArgs { log: "warn".to_owned(), ..TelemetryArgs::default() };
    gauntlet_runtime::telemetry::init(&quiet, "xtask")?;
    // Before signals are caught: an interrupt ends a build at once.
    report::note("building gauntlet …");
    GauntletProcess::binary();
    let mut report = Report::new(&args);
    let lifecycle = Lifecycle::with_signals()?;
    // Boxed: the parts are large futures. Dropped midway, it ends every process and removes the data.
    let measured = tokio::select! {
        // A failure ends the mesh, and the end of the mesh must not hide the failure.
        biased;
        measured = Box::pin(start_and_measure(&args, &mut report, &lifecycle)) => measured,
        () = lifecycle.draining() => Err(anyhow::anyhow!("interrupted, or a connection was lost")),
    };
    // First the tasks that follow the mesh, which must not mind its end.
    lifecycle.drain();
    measured?.stop().await;
    lifecycle.shutdown(Duration::from_secs(1)).await;
    report.print();
    Ok(Exit::Clean)
}

async fn start_and_measure(
    args: &Args,
    report: &mut Report,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Mesh> {
    let mesh = Mesh::start(args, lifecycle).await.context("the mesh does not start")?;
    measure(args, report, &mesh).await?;
    Ok(mesh)
}

async fn measure(args: &Args, report: &mut Report, mesh: &Mesh) -> anyhow::Result<()> {
    let needs_load = args.has(Part::E) || args.has(Part::C);
    let mut loads: Vec<u32> = if args.has(Part::A) { args.results.clone() } else { Vec::new() };
    if needs_load && !loads.contains(&0) {
        loads.insert(0, 0);
    }
    for results in loads {
        report::note(&format!("a: {} x {} x {results} …", args.runs, args.shards));
        let shape = Shape { runs: args.runs, shards: args.shards, results };
        let seconds = Duration::from_secs(args.seconds);
        report.throughput.push(throughput::measure(mesh, shape, seconds).await?);
        report.write(args)?;
    }
    if args.has(Part::B) {
        for results in [0, 1] {
            report::note(&format!(
                "b: {} runs one after the other, K={results} …",
                args.latency_runs
            ));
            report.latency.push(latency::measure(mesh, args.latency_runs, results).await?);
        }
        report.commit = Some(latency::commits(mesh, args.latency_runs).await?);
        report.write(args)?;
    }
    if args.has(Part::C) {
        let half = report.runs_per_s_without_results().unwrap_or(1.0) / 2.0;
        for situation in aborts::situations(half) {
            report::note(&format!("c: {} aborts, {situation} …", args.aborts));
            report.aborts.push(aborts::measure(mesh, args.aborts, situation).await?);
            report.write(args)?;
        }
    }
    if args.has(Part::D) {
        report::note(&format!("d: one run of {} results …", args.growth_results));
        report.growth = Some(growth::measure(mesh, args.growth_results).await?);
    }
    report.write(args)
}
