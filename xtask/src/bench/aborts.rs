//! Part c: from the call of AbortRun until every executor that works on the run has tripped its token.

use super::client::NewRun;
use super::mesh::{Mesh, PATIENCE, ms_between, next_tale};
use super::report::Percentiles;
use super::throughput::Shape;
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use gauntlet_testkit::scripted::{Script, What, monotonic_ns};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How long a test would run if nobody aborted it.
const HOLD: Duration = Duration::from_secs(600);
/// An abort that has not arrived by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(15);
/// Aborts in flight without Redis: each waits for a beat of seconds.
const ABORTS_WITHOUT_REDIS: usize = 32;
/// Between two aborts with Redis, so that each meets an executor at rest.
const PAUSE: Duration = Duration::from_millis(30);
/// Background runs in flight.
const BACKGROUND_RUNS_MAX: usize = 64;
const BACKGROUND: Shape = Shape { runs: 1, shards: 8, results: 0 };

/// Under what conditions aborts are measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Situation {
    pub(crate) redis: bool,
    /// Runs a second in the background; 0 is idle.
    pub(crate) background_runs_per_s: f64,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redis = if self.redis { "with Redis" } else { "without Redis" };
        match self.background_runs_per_s {
            0.0 => write!(f, "{redis}, idle"),
            rate => write!(f, "{redis}, {rate:.0} runs/s beside"),
        }
    }
}

/// Returns the four situations, given half of what the mesh can do.
pub(crate) fn situations(half_runs_per_s: f64) -> [Situation; 4] {
    [(true, 0.0), (true, half_runs_per_s), (false, 0.0), (false, half_runs_per_s)]
        .map(|(redis, background_runs_per_s)| Situation { redis, background_runs_per_s })
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Aborts {
    #[serde(flatten)]
    pub(crate) situation: Situation,
    pub(crate) aborts: u32,
    /// Aborts of which some executor heard nothing.
    pub(crate) lost: u32,
    /// Executor processes that worked on an aborted run, on average.
    pub(crate) executors_mean: f64,
    /// Until the last token tripped.
    pub(crate) abort_ms: Percentiles,
}

/// Measures `count` aborts.
pub(crate) async fn measure(
    mesh: &Mesh,
    count: u32,
    situation: Situation,
) -> anyhow::Result<Aborts> {
    mesh.client.import("bench-abort", mesh.executors).await?;
    if !situation.redis {
        mesh.store.redis().kill9().await;
    }
    let in_flight = if situation.redis { 1 } else { ABORTS_WITHOUT_REDIS };
    let aborts = stream::iter(0..count).map(|_| abort(mesh, situation.redis));
    let aborts = aborts.buffer_unordered(in_flight).try_collect::<Vec<_>>();
    let measured = tokio::select! {
        measured = aborts => measured,
        failed = background(mesh, situation.background_runs_per_s) => Err(failed),
    };
    if !situation.redis {
        mesh.store.redis().start_again().await?;
    }
    let measured = measured?;
    let times: Vec<f64> = measured.iter().filter_map(|(ms, _)| *ms).collect();
    let executors: usize = measured.iter().map(|(_, executors)| executors).sum();
    Ok(Aborts {
        situation,
        aborts: count,
        lost: count - u32::try_from(times.len())?,
        executors_mean: executors as f64 / f64::from(count),
        abort_ms: Percentiles::of(times),
    })
}

/// Holds a run on all executors and aborts it; returns how long it took unless some token was not tripped, and how many
/// executors held it.
async fn abort(mesh: &Mesh, pause: bool) -> anyhow::Result<(Option<f64>, usize)> {
    if pause {
        tokio::time::sleep(PAUSE).await;
    }
    let mut tales = mesh.tales();
    let script = Script { reports: false, delay: HOLD, traced: true, ..Script::default() };
    let shards = mesh.executors;
    let run = NewRun { project: "bench-abort", shards, workers: 1, script: &script };
    let run_id = mesh.client.trigger(&run).await?;
    let mut executors = BTreeSet::new();
    let deadline = Instant::now() + PATIENCE;
    let mut started = 0;
    while started < shards {
        let told = next_tale(&mut tales, run_id, deadline).await?;
        let Some(told) = told else { anyhow::bail!("{started} of {shards} shards started") };
        started += u32::from(told.traced.what == What::Started);
        executors.insert(told.executor);
    }
    let begun_ns = monotonic_ns();
    let deadline = Instant::now() + LOST_AFTER;
    mesh.client.abort(run_id).await?;
    let (mut tripped, mut last_ns) = (0, begun_ns);
    while tripped < shards {
        match next_tale(&mut tales, run_id, deadline).await? {
            Some(told) if told.traced.what == What::Tripped => {
                tripped += 1;
                last_ns = last_ns.max(told.traced.at_ns);
            }
            Some(_) => {}
            None => return Ok((None, executors.len())),
        }
    }
    Ok((Some(ms_between(begun_ns, last_ns)), executors.len()))
}

/// Triggers runs at a steady pace for ever; returns only when that fails.
async fn background(mesh: &Mesh, runs_per_s: f64) -> anyhow::Error {
    if runs_per_s <= 0.0 {
        return std::future::pending().await;
    }
    let project = "bench-background";
    if let Err(error) = mesh.client.import(project, BACKGROUND.shards).await {
        return error;
    }
    let script = BACKGROUND.script();
    let run = NewRun { project, shards: BACKGROUND.shards, workers: 1, script: &script };
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / runs_per_s));
    let mut triggers = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick(), if triggers.len() < BACKGROUND_RUNS_MAX => {
                triggers.push(mesh.client.trigger(&run));
            }
            Some(triggered) = triggers.next() => {
                if let Err(error) = triggered {
                    return error;
                }
            }
        }
    }
}
