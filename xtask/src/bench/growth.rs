//! Part d: one run that grows large; the hundred-thousandth result may cost no more than the first.

use super::client::NewRun;
use super::mesh::{Mesh, PATIENCE, ms_between, ms_since, next_tale};
use gauntlet_testkit::scripted::{Script, What, monotonic_ns};
use serde::Serialize;
use tokio::time::Instant;

const PROJECT: &str = "bench-growth";
/// Slices that are compared.
const SLICES: u64 = 10;
/// Slots that a shard costs, so that few shards of a thousand tests report at once.
const WORKERS: u32 = 10;

/// How the cost of a result developed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Growth {
    pub(crate) results: u32,
    /// Until TriggerRun answered.
    pub(crate) trigger_ms: f64,
    /// Time between acknowledged results in each slice of the run, first to last.
    pub(crate) us_per_result: Vec<f64>,
    /// Largest deviation of a slice from the mean of all, in percent.
    pub(crate) deviation_percent: f64,
    /// Change from the first slice to the last of the line that fits them best, in percent of the mean.
    pub(crate) slope_percent: f64,
    /// From the last acknowledgement to the terminal event.
    pub(crate) finalize_ms: f64,
}

/// Measures one run.
pub(crate) async fn measure(mesh: &Mesh, results: u32) -> anyhow::Result<Growth> {
    mesh.client.import(PROJECT, results).await?;
    let mut tales = mesh.tales();
    let script = Script { traced: true, ..Script::default() };
    let run = NewRun { project: PROJECT, shards: 1, workers: WORKERS, script: &script };
    let begun_ns = monotonic_ns();
    let run_id = mesh.client.trigger(&run).await?;
    let trigger_ms = ms_since(begun_ns);
    let watch = mesh.client.watch(run_id);
    let follow = async {
        let (mut acknowledged, mut seen) = (0, Vec::new());
        while acknowledged < u64::from(results) {
            let deadline = Instant::now() + PATIENCE;
            let told = next_tale(&mut tales, run_id, deadline).await?;
            let Some(told) = told else { anyhow::bail!("{acknowledged} of {results} results") };
            match told.traced.what {
                What::Started if seen.is_empty() => seen.push((told.traced.at_ns, 0)),
                What::Acknowledged(count) => {
                    acknowledged += u64::from(count);
                    seen.push((told.traced.at_ns, u64::from(count)));
                }
                What::Started | What::Tripped => {}
            }
        }
        anyhow::Ok(seen)
    };
    let (mut seen, (state, ended_ns)) = tokio::try_join!(follow, async {
        let state = watch.await?;
        Ok((state, monotonic_ns()))
    })?;
    anyhow::ensure!(state == gauntlet_proto::v1::RunState::Passed, "the run ended {state:?}");
    seen.sort_unstable();
    let last_ns = seen.last().map_or(begun_ns, |(at_ns, _)| *at_ns);
    let us_per_result = slices(&seen, u64::from(results));
    Ok(Growth {
        results,
        trigger_ms,
        deviation_percent: deviation_percent(&us_per_result),
        slope_percent: slope_percent(&us_per_result),
        us_per_result,
        finalize_ms: ms_between(last_ns, ended_ns),
    })
}

/// Returns the microseconds per result of ten equal slices, given when how many results were acknowledged.
fn slices(seen: &[(u64, u64)], results: u64) -> Vec<f64> {
    let mut slices = Vec::new();
    let Some((mut slice_ns, _)) = seen.first().copied() else { return slices };
    let (mut count, mut slice_count) = (0, 0);
    for (at_ns, more) in seen {
        count += more;
        slice_count += more;
        let due = results * (slices.len() as u64 + 1) / SLICES;
        if count >= due && slice_count > 0 {
            slices.push(ms_between(slice_ns, *at_ns) * 1_000.0 / slice_count as f64);
            (slice_ns, slice_count) = (*at_ns, 0);
        }
    }
    slices
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn deviation_percent(slices: &[f64]) -> f64 {
    let mean = mean(slices);
    slices.iter().map(|slice| (slice / mean - 1.0).abs() * 100.0).fold(0.0, f64::max)
}

/// Least squares over the slices.
fn slope_percent(slices: &[f64]) -> f64 {
    let last = slices.len().saturating_sub(1) as f64;
    let (centre, mean) = (last / 2.0, mean(slices));
    let places = || slices.iter().zip(0..).map(|(slice, place)| (f64::from(place) - centre, slice));
    let covariance: f64 = places().map(|(place, slice)| place * (slice - mean)).sum();
    let variance: f64 = places().map(|(place, _)| place * place).sum();
    if variance == 0.0 { 0.0 } else { covariance / variance * last / mean * 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_run_is_flat_and_a_slowing_one_is_not() {
        let steady: Vec<_> = (0..=100).map(|n| (n * 1_000_000, u64::from(n > 0) * 10)).collect();
        let flat = slices(&steady, 1_000);
        assert_eq!(flat, [100.0; 10]);
        assert_eq!((deviation_percent(&flat), slope_percent(&flat)), (0.0, 0.0));
        let slowing: Vec<_> = (0..=100).map(|n| (n * n * 10_000, u64::from(n > 0) * 10)).collect();
        let steep = slices(&slowing, 1_000);
        assert!(steep.len() == 10 && slope_percent(&steep) > 100.0, "{steep:?}");
    }
}
