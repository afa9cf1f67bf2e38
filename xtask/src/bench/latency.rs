//! Part b: one small run after the other, from the trigger to the terminal event on its watch; and the disk they wait for.

use super::client::NewRun;
use super::mesh::{Mesh, ms_since};
use super::report::Percentiles;
use super::throughput::Shape;
use super::usage::StatementUsage;
use gauntlet_testkit::scripted::monotonic_ns;
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs that are not measured.
const WARM_UP_RUNS: u32 = 20;

/// Latency of runs of one shard.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) results_per_shard: u32,
    /// Statements of one run, most of them one after the other.
    pub(crate) round_trips_per_run: f64,
    /// Transactions of one run.
    pub(crate) commits_per_run: f64,
    /// CPU time of one run by process, that of background work beside it included.
    pub(crate) cpu_ms_per_run: BTreeMap<&'static str, f64>,
    /// The most expensive statements by time in Postgres, of all runs.
    pub(crate) statements: Vec<StatementUsage>,
    /// Until TriggerRun answered.
    pub(crate) trigger_ms: Percentiles,
    /// Until the terminal event arrived.
    pub(crate) run_ms: Percentiles,
}

/// Measures `runs` runs, one at a time.
pub(crate) async fn measure(mesh: &Mesh, runs: u32, results: u32) -> anyhow::Result<Latency> {
    let shape = Shape { runs: 1, shards: 1, results };
    let (project, script) = (format!("bench-latency-{results}"), shape.script());
    mesh.client.import(&project, 1).await?;
    let run = NewRun { project: &project, shards: 1, workers: 1, script: &script };
    let (mut triggers, mut ends) = (Vec::new(), Vec::new());
    let start = mesh.meter.start().await?;
    for number in 0..runs + WARM_UP_RUNS {
        let begun_ns = monotonic_ns();
        let run_id = mesh.client.trigger(&run).await?;
        let triggered_ms = ms_since(begun_ns);
        let state = mesh.client.watch(run_id).await?;
        let ended_ms = ms_since(begun_ns);
        anyhow::ensure!(state == shape.expected(), "run {run_id} ended {state:?}");
        if number >= WARM_UP_RUNS {
            triggers.push(triggered_ms);
            ends.push(ended_ms);
        }
    }
    let usage = mesh.meter.stop(&start).await?;
    let per_run = |count: i64| count as f64 / f64::from(runs + WARM_UP_RUNS);
    Ok(Latency {
        results_per_shard: results,
        round_trips_per_run: per_run(usage.round_trips),
        commits_per_run: per_run(usage.commits),
        cpu_ms_per_run: usage
            .cpu_ms
            .iter()
            .map(|(name, ms)| (*name, ms / f64::from(runs + WARM_UP_RUNS)))
            .collect(),
        statements: usage.statements,
        trigger_ms: Percentiles::of(triggers),
        run_ms: Percentiles::of(ends),
    })
}

/// Measures commits of a single client on the same server: a run cannot be faster than the few it waits for.
pub(crate) async fn commits(mesh: &Mesh, count: u32) -> anyhow::Result<Percentiles> {
    let sql = &mesh.meter.sql;
    sql.batch_execute("CREATE TABLE IF NOT EXISTS bench_commits (number bigint NOT NULL)").await?;
    let insert = sql.prepare("INSERT INTO bench_commits VALUES ($1)").await?;
    let mut times = Vec::new();
    for number in 0..i64::from(count) {
        let begun_ns = monotonic_ns();
        sql.execute(&insert, &[&number]).await?;
        times.push(ms_since(begun_ns));
    }
    Ok(Percentiles::of(times))
}
