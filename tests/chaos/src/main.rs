//! Chaos: a whole mesh of processes under load and faults, and a checker that recomputes what must have become of every run.
//!
//! ```text
//! plan        what a seed decides: sizes, aborts, retries, dice
//! world       Postgres, Redis, two processes of each service, executors, a balancer on every way between two parts
//! load        begins runs, aborts and retries them, keeps what was answered
//! points      where a run stands when a fault strikes    faults, campaign   what strikes whom, and the table
//! checker     what must be true afterwards               scorecard          what is printed
//! ```
//! `cargo test -p gauntlet-tests-chaos` is the short form. The long one:
//! `cargo run -p gauntlet-tests-chaos -- --runs 2000 --faults 540 --each 5 --seconds 1800 --seed 7`.
//! A seed replays the plan and the order of the faults, not how real processes interleave.
//!
//! # Adding a fault
//! A variant of `faults::Fault` with its name, what it does in `strike` and how it is undone in `mend`.

#![expect(clippy::print_stdout, reason = "the scorecard is what this program is for")]

mod balancer;
mod campaign;
mod checker;
mod duplicate;
mod executor;
mod faults;
mod load;
mod plan;
mod points;
mod processes;
mod receiver;
mod scorecard;
mod sql;
mod world;

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use campaign::Tally;
use checker::Violation;
use checker::facts::RunFacts;
use clap::Parser as _;
use gauntlet_testkit::processes_with_marker;
use load::{Enough, Progress, RunRecord};
use scorecard::{Mix, Scorecard};
use tokio::time::Instant;
use uuid::Uuid;
use world::{Sizes, World};

/// How long the last deliveries and seals may take: a notifier that died holds what it was sending for 30 s.
const SETTLE_MAX: Duration = Duration::from_secs(120);
const SETTLE_LOOK: Duration = Duration::from_millis(250);
/// How long everything after the last fault may take, the start of the world included.
const OVERTIME_MAX: Duration = Duration::from_secs(900);
/// How long processes may take to leave the process table.
const GONE_MAX: Duration = Duration::from_secs(15);

#[derive(clap::Parser)]
#[command(about = "Chaos for a whole mesh, and a checker")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(clap::Subcommand)]
enum Command {
    /// A scripted executor; the chaos starts them.
    #[command(hide = true)]
    ScriptedExecutor(executor::Args),
}

#[derive(clap::Args, Clone, Copy)]
struct Settings {
    /// Runs to begin, at least.
    #[arg(long, env = "GAUNTLET_CHAOS_RUNS", default_value_t = 60)]
    runs: u32,
    /// Faults to count, at least.
    #[arg(long, env = "GAUNTLET_CHAOS_FAULTS", default_value_t = 18)]
    faults: u32,
    /// How often each fault is to strike at each point, at least.
    #[arg(long, env = "GAUNTLET_CHAOS_EACH", default_value_t = 0)]
    each: u32,
    /// When neither runs nor faults begin any more, however many there were.
    #[arg(long, env = "GAUNTLET_CHAOS_SECONDS", default_value_t = 90)]
    seconds: u64,
    /// Decides the plan.
    #[arg(long, env = "GAUNTLET_CHAOS_SEED", default_value_t = 1)]
    seed: u64,
    /// Scripted executors.
    #[arg(long, default_value_t = 5)]
    executors: u32,
    /// Executors with real browsers, 0 or 1.
    #[arg(long, default_value_t = 1)]
    browsers: u32,
    /// Prints every fault.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::ScriptedExecutor(args)) = cli.command {
        return executor::main(args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let card = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                card = chaos(cli.settings) => card,
                () = tokio::time::sleep(Duration::from_secs(cli.settings.seconds) + OVERTIME_MAX) => {
                    anyhow::bail!("not over {OVERTIME_MAX:?} after the last fault")
                }
                // The world is dropped with the first branch, and everything in it is killed.
                _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            }
        })
    });
    match card {
        Ok(card) => {
            println!("{card}");
            if card.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("the chaos itself failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Enough of everything, or no time left.
struct Limits {
    settings: Settings,
    deadline: Instant,
    counted: AtomicU32,
    /// Faults counted of the cell with the fewest.
    fewest: AtomicU32,
}

impl Enough for Limits {
    fn enough(&self, begun: u32) -> bool {
        let done = begun >= self.settings.runs
            && self.counted.load(Ordering::Relaxed) >= self.settings.faults
            && self.fewest.load(Ordering::Relaxed) >= self.settings.each;
        done || Instant::now() >= self.deadline
    }
}

async fn chaos(settings: Settings) -> anyhow::Result<Scorecard> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("gauntlet-chaos-").tempdir()?;
    let sizes = Sizes { executors: settings.executors, browsers: settings.browsers > 0 };
    let (world, ended) = World::start(folder.path(), sizes).await?;
    let world = Arc::new(world);
    let deadline = Instant::now() + Duration::from_secs(settings.seconds);
    let (counted, fewest) = Default::default();
    let limits = Arc::new(Limits { settings, deadline, counted, fewest });
    let progress = Arc::new(Progress::default());
    let load = load::generate(
        Arc::clone(&world),
        settings.seed,
        Arc::clone(&limits) as Arc<dyn Enough>,
        Arc::clone(&progress),
    );
    let told = |tally: &Tally, (fault, point): campaign::Cell, counts: bool| {
        limits.counted.store(tally.total(), Ordering::Relaxed);
        limits.fewest.store(tally.fewest(), Ordering::Relaxed);
        if settings.verbose {
            let word = if counts { "counts" } else { "missed" };
            let (begun, ended) = (&progress.begun, &progress.ended);
            println!(
                "{:4} s, {} of {} runs ended: {} at {} {word}",
                began.elapsed().as_secs(),
                ended.load(Ordering::Relaxed),
                begun.load(Ordering::Relaxed),
                fault.name(),
                point.name(),
            );
        }
    };
    let enough = || limits.enough(progress.begun.load(Ordering::Relaxed));
    let ended_runs = || progress.ended.load(Ordering::Relaxed);
    let pace = settings.runs / settings.faults.max(1);
    let campaign = async {
        let world = Arc::clone(&world);
        let tally = campaign::run(world, settings.seed, enough, ended_runs, pace, told).await?;
        // Set once: there is one campaign.
        let _ = progress.calm_since.set(Instant::now());
        anyhow::Ok(tally)
    };
    let (records, mut tally) = tokio::try_join!(load, campaign)?;
    tally.ended.extend(ended);
    let mut violations = settled(&world).await?;
    let facts = checker::facts::read(&world).await?;
    violations.extend(judged(&records, &facts));
    let attempts = facts.values().flat_map(|run| run.generations.values());
    let attempts = attempts.flat_map(|generation| generation.attempts.values());
    let attempts = attempts.map(|rows| rows.len() as u64).sum();
    world.processes.stop().await?;
    violations.extend(left_behind(world).await?);
    if !violations.is_empty() {
        println!("evidence is kept in {}", folder.keep().display());
    }
    let mix = Mix::of(&records);
    Ok(Scorecard { seed: settings.seed, took: began.elapsed(), tally, mix, attempts, violations })
}

/// Waits until everything that follows a run has happened too.
async fn settled(world: &World) -> anyhow::Result<Vec<Violation>> {
    let deadline = Instant::now() + SETTLE_MAX;
    let query = "SELECT (SELECT count(*) FROM notifier.deliveries WHERE state = 'PENDING'),
        (SELECT count(*) FROM scheduler.run_events e LEFT JOIN results.seals s USING (run_id, generation)
         WHERE e.terminal AND s.run_id IS NULL),
        (SELECT count(*) FROM scheduler.run_events e LEFT JOIN notifier.deliveries d USING (run_id, generation)
         WHERE e.terminal AND d.run_id IS NULL)";
    loop {
        let row = &world.sql.query(query, &[]).await?[0];
        let left: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
        if left == [0; 3] {
            return Ok(Vec::new());
        }
        if Instant::now() >= deadline {
            let detail =
                format!("deliveries pending, ends without seal, without delivery: {left:?}");
            return Ok(vec![Violation { what: "settle", detail }]);
        }
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}

/// Judges every run that was begun, and finds runs that nobody began.
fn judged(records: &[RunRecord], facts: &HashMap<Uuid, RunFacts>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let begun: BTreeSet<Uuid> = records.iter().map(|record| record.run_id).collect();
    for run_id in facts.keys().filter(|run_id| !begun.contains(run_id)) {
        violations.push(Violation { what: "double", detail: format!("nobody began run {run_id}") });
    }
    for record in records {
        match facts.get(&record.run_id) {
            Some(facts) => violations.extend(checker::check(record, facts)),
            None => {
                let detail = format!("run {} is not in the database", record.run_id);
                violations.push(Violation { what: "lost", detail });
            }
        }
    }
    violations
}

/// Ends the stores too and looks for processes of this world that are still there.
async fn left_behind(world: Arc<World>) -> anyhow::Result<Option<Violation>> {
    let world = Arc::into_inner(world);
    let World { store, processes, dir, .. } =
        world.ok_or_else(|| anyhow::anyhow!("somebody still uses the world"))?;
    drop(processes);
    store.stop().await;
    let marker = dir.display().to_string();
    let deadline = Instant::now() + GONE_MAX;
    loop {
        let left = processes_with_marker(&marker);
        if left.is_empty() {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Ok(Some(Violation { what: "orphan", detail: format!("processes {left:?}") }));
        }
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}
