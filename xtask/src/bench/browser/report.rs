//! What `bench browser` measured: as JSON and as a table.

use super::rate::Spread;
use crate::bench::report::Percentiles;
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// The tools that are compared with Playwright, with the ratio to reach at two workers: suite, tool, ratio.
const GOALS: [(&str, &str, f64); 3] =
    [("shop", CONTEXT, 1.5), ("empty", CONTEXT, 2.0), ("empty", RESET, 4.0)];
const ABORT_MS: f64 = 300.0;
/// Workers that the goals are for.
const GOAL_WORKERS: usize = 2;

/// Names of the tools.
pub(super) const CONTEXT: &str = "gauntlet, context";
pub(super) const RESET: &str = "gauntlet, reset";
pub(super) const RUNNER: &str = "playwright test";
pub(super) const BARE: &str = "playwright-core";

/// Everything that was measured; parts that did not run are empty.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) cpus: usize,
    /// Of the machine before the start: above its cores, others were at work and the rates are too low.
    pub(super) load_average: f64,
    pub(super) playwright: String,
    pub(super) tests: usize,
    pub(super) repeats: usize,
    pub(super) rates: Vec<Rate>,
    pub(super) ratios: Vec<Ratio>,
    pub(super) aborts: Vec<Abort>,
    pub(super) kills: Option<Kills>,
}

/// A tool with a suite.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    pub(super) suite: &'static str,
    pub(super) tool: &'static str,
    pub(super) workers: usize,
    pub(super) tests_per_s: Spread,
    /// What one worker takes for a test; with the empty suite all of it is overhead.
    pub(super) ms_per_test: f64,
    pub(super) cpu_s_per_test: Spread,
    pub(super) peak_mib: Spread,
    /// Titles of tests that did not pass in some repeat.
    pub(super) failed: Vec<String>,
}

/// How many times as fast as another tool, from rounds that were run side by side.
#[derive(Debug, Serialize)]
pub(super) struct Ratio {
    pub(super) suite: &'static str,
    pub(super) tool: &'static str,
    pub(super) to: &'static str,
    pub(super) workers: usize,
    pub(super) ratio: Spread,
}

/// Aborts in one way of hanging.
#[derive(Debug, Serialize)]
pub(super) struct Abort {
    pub(super) situation: &'static str,
    pub(super) aborts: usize,
    pub(super) gone_ms: Percentiles,
}

impl Abort {
    pub(super) fn of(situation: &'static str, gone_ms: Vec<f64>) -> Self {
        Self { situation, aborts: gone_ms.len(), gone_ms: Percentiles::of(gone_ms) }
    }
}

/// Tests whose browsers were hurt.
#[derive(Debug, Serialize)]
pub(super) struct Kills {
    pub(super) tests: u32,
    pub(super) kills: u32,
    pub(super) passed: u32,
    pub(super) processes_left: u32,
    pub(super) folders_left: u32,
}

impl Report {
    /// Prints the table.
    pub(super) fn print(&self) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.render(&mut text);
        let _ = io::stdout().write_all(text.as_bytes());
    }

    fn render(&self, f: &mut String) -> std::fmt::Result {
        let Self { cpus, load_average, playwright, tests, repeats, .. } = self;
        let other = match playwright.as_str() {
            "" => "no Playwright".to_owned(),
            version => format!("Playwright {version}"),
        };
        writeln!(
            f,
            "{cpus} cores, load average before {load_average}, {tests} tests, {repeats} repeats, {other}\n"
        )?;
        writeln!(
            f,
            "{:<6} {:<18} {:>7} {:>22} {:>8} {:>10} {:>9}  failed",
            "suite", "tool", "workers", "tests/s (min to max)", "ms/test", "CPU s/test", "peak MiB"
        )?;
        for r in &self.rates {
            let Spread { median, min, max } = r.tests_per_s;
            writeln!(
                f,
                "{:<6} {:<18} {:>7} {median:>8.2} ({min:.2} to {max:.2}) {:>8.1} {:>10.3} {:>9.0}  {}",
                r.suite,
                r.tool,
                r.workers,
                r.ms_per_test,
                r.cpu_s_per_test.median,
                r.peak_mib.median,
                r.failed.join(", ")
            )?;
        }
        writeln!(f)?;
        for r in &self.ratios {
            let Spread { median, min, max } = r.ratio;
            writeln!(
                f,
                "{:<6} {:<18} to {:<16} {} workers: {median:.2} ({min:.2} to {max:.2}){}",
                r.suite,
                r.tool,
                r.to,
                r.workers,
                goal(r)
            )?;
        }
        for a in &self.aborts {
            let met = if a.gone_ms.max <= ABORT_MS { "met" } else { "MISSED" };
            writeln!(
                f,
                "abort, {}: p50 {:.0} ms, max {:.0} ms of {} (wanted: at most {ABORT_MS:.0} ms, {met})",
                a.situation, a.gone_ms.p50, a.gone_ms.max, a.aborts
            )?;
        }
        if let Some(k) = &self.kills {
            writeln!(
                f,
                "{} tests, {} kills, {} passed: {} processes and {} folders left",
                k.tests, k.kills, k.passed, k.processes_left, k.folders_left
            )?;
        }
        Ok(())
    }
}

fn goal(r: &Ratio) -> String {
    let wanted = GOALS.iter().find(|(suite, tool, _)| {
        (*suite, *tool, r.to, r.workers) == (r.suite, r.tool, RUNNER, GOAL_WORKERS)
    });
    let Some((_, _, wanted)) = wanted else { return String::new() };
    let met = if r.ratio.median >= *wanted { "met" } else { "MISSED" };
    format!(" (wanted: {wanted}, {met})")
}
