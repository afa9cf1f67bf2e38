//! What was measured, beside what was wanted: as JSON and as a table.

use super::Args;
use super::aborts::Aborts;
use super::growth::Growth;
use super::latency::Latency;
use super::throughput::Throughput;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};

/// A beat, and what is allowed beyond it, for aborts without Redis.
const ABORT_WITHOUT_REDIS_MS: f64 = 3_100.0;
/// The services whose memory has a goal.
const SERVICES: [&str; 4] = ["scheduler", "results", "notifier", "gateway"];

/// Everything that was measured; parts that did not run are empty.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    cpus: usize,
    executors: u32,
    /// Settings of Postgres that are not its defaults.
    postgres: Vec<String>,
    /// Of the machine before the start: above its cores, others were at work and the rates are too low.
    load_average: f64,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) latency: Vec<Latency>,
    /// Commits of a single client, in milliseconds.
    #[serde(rename = "commit_ms")]
    pub(crate) commit: Option<Percentiles>,
    pub(crate) aborts: Vec<Aborts>,
    pub(crate) growth: Option<Growth>,
}

/// How some times are distributed, in their unit.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// Nearest rank; zeros when there is nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(rank).copied().unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// A goal and what was measured.
#[derive(Debug, Serialize)]
struct Goal {
    what: String,
    wanted: f64,
    measured: f64,
    unit: &'static str,
    met: bool,
}

impl Goal {
    fn at_least(what: impl Into<String>, wanted: f64, measured: f64, unit: &'static str) -> Self {
        Self { what: what.into(), wanted, measured, unit, met: measured >= wanted }
    }

    fn at_most(what: impl Into<String>, wanted: f64, measured: f64, unit: &'static str) -> Self {
        Self { what: what.into(), wanted, measured, unit, met: measured <= wanted }
    }
}

impl Report {
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            executors: args.executors,
            postgres: args.postgres.clone(),
            load_average: load_average(),
            throughput: Vec::new(),
            latency: Vec::new(),
            commit: None,
            aborts: Vec::new(),
            growth: None,
        }
    }

    pub(crate) fn runs_per_s_without_results(&self) -> Option<f64> {
        self.throughput.iter().find(|t| t.results_per_shard == 0).map(|t| t.runs_per_s)
    }

    /// Writes what there is so far.
    pub(crate) fn write(&self, args: &Args) -> anyhow::Result<()> {
        let Some(path) = &args.json else { return Ok(()) };
        let mut document = serde_json::to_value(self)?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("goals".to_owned(), serde_json::to_value(self.goals())?);
        }
        Ok(fs::write(path, serde_json::to_string_pretty(&document)? + "\n")?)
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.render(&mut text);
        let _ = io::stdout().write_all(text.as_bytes());
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for t in &self.throughput {
            let (wanted, name) = match t.results_per_shard {
                0 => (2_000.0, "a: shards/s without results"),
                10 => (1_200.0, "a: shards/s with 10 results each"),
                _ => continue,
            };
            goals.push(Goal::at_least(name, wanted, t.shards_per_s, "/s"));
            if t.results_per_shard > 0 {
                goals.push(Goal::at_least("a: results/s", 12_000.0, t.results_per_s, "/s"));
            }
        }
        for l in &self.latency {
            let name = |percentile| format!("b: {percentile} of a run, K={}", l.results_per_shard);
            goals.push(Goal::at_most(name("p50"), 7.0, l.run_ms.p50, "ms"));
            goals.push(Goal::at_most(name("p99"), 20.0, l.run_ms.p99, "ms"));
        }
        for a in &self.aborts {
            let wanted = if a.situation.redis { 10.0 } else { ABORT_WITHOUT_REDIS_MS };
            let name = format!("c: p99 of an abort, {}", a.situation);
            goals.push(Goal::at_most(name, wanted, a.abort_ms.p99, "ms"));
            let name = format!("c: lost aborts, {}", a.situation);
            goals.push(Goal::at_most(name, 0.0, f64::from(a.lost), ""));
        }
        if let Some(growth) = &self.growth {
            let measured = growth.slope_percent.abs();
            goals.push(Goal::at_most("d: slope of a growing run", 20.0, measured, "%"));
        }
        if let Some(t) = self.throughput.iter().find(|t| t.results_per_shard == 0) {
            for service in SERVICES {
                let measured = t.usage.peak_rss_mib.get(service).copied().unwrap_or_default();
                let name = format!("e: memory of {service}");
                goals.push(Goal::at_most(name, 40.0, measured, "MiB"));
            }
        }
        goals
    }

    fn render(&self, f: &mut String) -> std::fmt::Result {
        let Self { cpus, executors, load_average, postgres, .. } = self;
        writeln!(
            f,
            "{cpus} cores, load average before {load_average}, {executors} executors, settings {postgres:?}"
        )?;
        for t in &self.throughput {
            render_throughput(f, t)?;
        }
        for l in &self.latency {
            let (run, trigger) = (l.run_ms, l.trigger_ms);
            writeln!(
                f,
                "b  K={}: p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms; trigger p50 {:.2} ms; {:.1} round trips, {:.1} commits a run",
                l.results_per_shard,
                run.p50,
                run.p99,
                run.max,
                trigger.p50,
                l.round_trips_per_run,
                l.commits_per_run
            )?;
        }
        if let Some(commit) = &self.commit {
            writeln!(f, "b  one commit: p50 {:.2} ms, p99 {:.2} ms", commit.p50, commit.p99)?;
        }
        for a in &self.aborts {
            writeln!(
                f,
                "c  {}: p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms, {} of {} lost, {:.1} executors each",
                a.situation,
                a.abort_ms.p50,
                a.abort_ms.p99,
                a.abort_ms.max,
                a.lost,
                a.aborts,
                a.executors_mean
            )?;
        }
        if let Some(g) = &self.growth {
            let slices: Vec<String> = g.us_per_result.iter().map(|us| format!("{us:.0}")).collect();
            writeln!(
                f,
                "d  {} results: us per result {}; slope {:+.0} %, deviation {:.0} %; trigger {:.0} ms, finalize {:.0} ms",
                g.results,
                slices.join(" "),
                g.slope_percent,
                g.deviation_percent,
                g.trigger_ms,
                g.finalize_ms
            )?;
        }
        writeln!(f, "\n{:<52} {:>10} {:>10}", "goal", "wanted", "measured")?;
        for g in self.goals() {
            let met = if g.met { "met" } else { "MISSED" };
            writeln!(
                f,
                "{:<52} {:>10.0} {:>10.1} {:<4} {met}",
                g.what, g.wanted, g.measured, g.unit
            )?;
        }
        Ok(())
    }
}

fn render_throughput(f: &mut String, t: &Throughput) -> std::fmt::Result {
    let per_shard = |count: f64| count / f64::from(t.shards);
    writeln!(
        f,
        "a  {} x {} x {}: {:.0} runs/s, {:.0} shards/s, {:.0} results/s ({} rounds, {:.1} s)",
        t.runs_per_round,
        t.shards_per_run,
        t.results_per_shard,
        t.runs_per_s,
        t.shards_per_s,
        t.results_per_s,
        t.rounds,
        t.seconds
    )?;
    writeln!(
        f,
        "   per shard: {:.3} ms CPU, {:.0} B WAL, {:.2} round trips, {:.2} commits; {:.1} events an append",
        t.cpu_ms_per_shard,
        t.wal_bytes_per_shard,
        t.round_trips_per_shard,
        t.commits_per_shard,
        t.usage.events_per_append
    )?;
    for (name, cpu_ms) in &t.usage.cpu_ms {
        let (cpu, share) = (per_shard(*cpu_ms), cpu_ms / t.seconds / 10.0);
        let rss = t.usage.peak_rss_mib.get(name).copied().unwrap_or_default();
        writeln!(
            f,
            "   {name:<10} {cpu:>7.3} ms CPU a shard, {share:>4.0} % of a core, {rss:>5.0} MiB"
        )?;
    }
    for s in &t.usage.statements {
        let (calls, rows) = (per_shard(s.calls as f64), s.rows as f64 / s.calls.max(1) as f64);
        writeln!(
            f,
            "   {:>7.3} ms {calls:>6.3} calls a shard, {rows:>6.1} rows a call  {}",
            per_shard(s.total_ms),
            s.statement
        )?;
    }
    writeln!(f)
}

pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Tells a person what goes on.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let percentiles = Percentiles::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((percentiles.p50, percentiles.p99, percentiles.max), (50.0, 99.0, 100.0));
        assert_eq!(Percentiles::of(Vec::new()).p99, 0.0);
    }

    #[test]
    fn a_goal_is_met_on_the_right_side_of_it() {
        assert!(Goal::at_least("", 5.0, 5.0, "").met && !Goal::at_least("", 5.0, 4.9, "").met);
        assert!(Goal::at_most("", 5.0, 5.0, "").met && !Goal::at_most("", 5.0, 5.1, "").met);
    }
}
