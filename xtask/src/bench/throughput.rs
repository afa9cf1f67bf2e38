//! Part a: many runs at once, from the first trigger to the last terminal event on the feed.

use super::client::NewRun;
use super::mesh::{Mesh, PATIENCE};
use super::usage::Usage;
use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gauntlet_proto::v1::RunState;
use gauntlet_testkit::scripted::Script;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Triggers in flight.
const TRIGGERS: usize = 32;
/// Runs of the round that is not measured.
const WARM_UP_RUNS_MAX: u32 = 100;

/// What one round consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) runs: u32,
    pub(crate) shards: u32,
    /// Results of each shard; 0 reports none.
    pub(crate) results: u32,
}

impl Shape {
    fn project(&self) -> String {
        format!("bench-{}x{}", self.shards, self.results)
    }

    pub(crate) fn script(&self) -> Script {
        Script { reports: self.results > 0, ..Script::default() }
    }

    /// Without results every test is "not run", and such a run ends ERRORED.
    pub(crate) fn expected(&self) -> RunState {
        if self.results == 0 { RunState::Errored } else { RunState::Passed }
    }
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Throughput {
    pub(crate) runs_per_round: u32,
    pub(crate) shards_per_run: u32,
    pub(crate) results_per_shard: u32,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) runs_per_s: f64,
    pub(crate) shards_per_s: f64,
    pub(crate) results_per_s: f64,
    pub(crate) cpu_ms_per_shard: f64,
    pub(crate) wal_bytes_per_shard: f64,
    pub(crate) round_trips_per_shard: f64,
    pub(crate) commits_per_shard: f64,
    pub(crate) shards: u32,
    #[serde(flatten)]
    pub(crate) usage: Usage,
}

/// Repeats rounds for at least `at_least`.
pub(crate) async fn measure(
    mesh: &Mesh,
    shape: Shape,
    at_least: Duration,
) -> anyhow::Result<Throughput> {
    let project = shape.project();
    mesh.client.import(&project, shape.shards * shape.results.max(1)).await?;
    let warm_up = Shape { runs: shape.runs.min(WARM_UP_RUNS_MAX), ..shape };
    round(mesh, &project, warm_up).await?;
    let start = mesh.meter.start().await?;
    let (begun, mut rounds) = (Instant::now(), 0);
    while rounds == 0 || begun.elapsed() < at_least {
        round(mesh, &project, shape).await?;
        rounds += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let usage = mesh.meter.stop(&start).await?;
    let shards = rounds * shape.runs * shape.shards;
    let per_shard = |count: f64| count / f64::from(shards);
    Ok(Throughput {
        runs_per_round: shape.runs,
        shards_per_run: shape.shards,
        results_per_shard: shape.results,
        rounds,
        seconds,
        runs_per_s: f64::from(rounds * shape.runs) / seconds,
        shards_per_s: f64::from(shards) / seconds,
        results_per_s: f64::from(shards * shape.results) / seconds,
        cpu_ms_per_shard: per_shard(usage.cpu_ms.values().sum()),
        wal_bytes_per_shard: per_shard(usage.wal_bytes as f64),
        round_trips_per_shard: per_shard(usage.round_trips as f64),
        commits_per_shard: per_shard(usage.commits as f64),
        shards,
        usage,
    })
}

/// Triggers all runs and waits until all have ended as they should.
async fn round(mesh: &Mesh, project: &str, shape: Shape) -> anyhow::Result<()> {
    let mut ends = mesh.ends();
    let script = shape.script();
    let run = NewRun { project, shards: shape.shards, workers: 1, script: &script };
    let triggers = stream::iter(0..shape.runs).map(|_| mesh.client.trigger(&run));
    let triggered = triggers.buffer_unordered(TRIGGERS).try_for_each(|_| async { Ok(()) });
    let ended = async {
        for count in 0..shape.runs {
            let ended = tokio::time::timeout(PATIENCE, ends.recv()).await;
            let ended =
                ended.with_context(|| format!("{count} of {} runs ended", shape.runs))??;
            let (seen, expected) = (ended.state, shape.expected());
            anyhow::ensure!(seen == expected, "a run ended {seen:?}, not {expected:?}");
        }
        Ok(())
    };
    tokio::try_join!(triggered, ended)?;
    Ok(())
}
