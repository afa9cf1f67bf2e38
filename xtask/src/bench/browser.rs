//! The benchmark of browsers: its arguments, its parts in order, and what comes out.
//!
//! Tests are run as an executor runs them, without a mesh around it. Every process that is started ends with the benchmark,
//! and every folder goes. What the numbers mean is in `docs/benchmarks.md`.

mod gauntlet;
mod hurt;
mod playwright;
mod rate;
mod report;
mod suite;
mod tree;

use anyhow::{Context as _, bail};
use gauntlet_browser::{BrowserConfig, BrowserKind, Isolation};
use gauntlet_runtime::{Exit, Lifecycle, telemetry::TelemetryArgs};
use gauntlet_testkit::GauntletProcess;
use playwright::{Playwright, Way};
use rate::{Cost, Spread};
use report::{BARE, CONTEXT, RESET, RUNNER, Rate, Ratio, Report};
use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf};
use suite::{Site, Suite};

use super::report::{load_average, note};

/// Name of the benchmark's processes and folders.
const MARKER: &str = "bench-browser";

/// Arguments of `bench browser`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Folder of recordings (Recorder JSON) instead of the demo's.
    #[arg(long, value_name = "DIR", requires = "site")]
    recordings: Option<PathBuf>,
    /// Site of those recordings: a URL, or a command that serves it and says in its output where.
    #[arg(long, value_name = "URL|COMMAND", requires = "recordings")]
    site: Option<String>,
    /// Suites to run.
    #[arg(long, value_delimiter = ',', default_value = "empty,shop")]
    suite: Vec<String>,
    /// Workers; several numbers are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,6")]
    workers: Vec<usize>,
    /// Tests of one round.
    #[arg(long, default_value_t = 60)]
    tests: usize,
    /// Rounds of every tool, one after the other.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Aborts, over all ways of hanging; 0 leaves them out.
    #[arg(long, default_value_t = 50)]
    aborts: usize,
    /// Tests during random kills; 0 leaves them out.
    #[arg(long, default_value_t = 500)]
    kill_tests: usize,
    /// Full Chromium without a window, instead of the headless shell.
    #[arg(long)]
    full: bool,
    /// Leave Playwright out.
    #[arg(long)]
    alone: bool,
    /// Small numbers: proves that the benchmark works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// File to write the numbers to.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Args {
    fn shrunk(self) -> Self {
        if !self.quick {
            return self;
        }
        Self { workers: vec![2], tests: 10, repeats: 1, aborts: 4, kill_tests: 10, ..self }
    }
}

/// Runs the benchmark.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let args = args.shrunk();
    let quiet = TelemetryArgs { log: "warn".to_owned(), ..TelemetryArgs::default() };
    gauntlet_runtime::telemetry::init(&quiet, "xtask")?;
    note("building gauntlet …");
    let program: OsString = GauntletProcess::binary().into();
    let folder = tempfile::tempdir()?;
    let mut config = BrowserConfig::new(vec![program.clone(), "supervise".into()], MARKER);
    config.temp_dir = folder.path().to_owned();
    config.kind = if args.full { BrowserKind::Chromium } else { BrowserKind::HeadlessShell };
    let playwright = match args.alone {
        true => None,
        false => match Playwright::install(playwright::browser_of(&config)?) {
            Ok(playwright) => Some(playwright),
            Err(error) => {
                note(&format!("without Playwright: {error:#}"));
                None
            }
        },
    };
    let mut bench = Bench {
        report: Report {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            load_average: load_average(),
            playwright: playwright.as_ref().map(|its| its.version.clone()).unwrap_or_default(),
            tests: args.tests,
            repeats: args.repeats,
            ..Report::default()
        },
        site: site(&args, program)?,
        args,
        config,
        playwright,
    };
    let lifecycle = Lifecycle::with_signals()?;
    // Dropping the measurement kills what it has started.
    tokio::select! {
        () = lifecycle.draining() => bail!("interrupted"),
        measured = bench.measure() => measured?,
    }
    bench.report.print();
    Ok(Exit::Clean)
}

fn site(args: &Args, program: OsString) -> anyhow::Result<Site> {
    match args.site.as_deref() {
        None => Site::start(&[program, "demo".into(), "--listen".into(), "127.0.0.1:0".into()]),
        Some(url) if url.starts_with("http") => Ok(Site::at(url)),
        Some(command) => Site::start(&["sh".into(), "-c".into(), format!("exec {command}").into()]),
    }
}

/// A benchmark that is under way.
struct Bench {
    args: Args,
    config: BrowserConfig,
    site: Site,
    playwright: Option<Playwright>,
    report: Report,
}

impl Bench {
    async fn measure(&mut self) -> anyhow::Result<()> {
        let demo = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/demo"));
        let recordings = self.args.recordings.clone().unwrap_or(demo);
        let shop = Suite::of(&recordings, &self.site.url)?;
        for suite in [Suite::empty()?, shop] {
            if !self.args.suite.iter().any(|name| name == suite.name) {
                continue;
            }
            for workers in self.args.workers.clone() {
                self.side_by_side(&suite, workers).await?;
                self.write()?;
            }
        }
        if self.args.aborts > 0 {
            note(&format!("{} aborts …", self.args.aborts));
            self.report.aborts = hurt::aborts(&self.config, self.args.aborts).await?;
        }
        if self.args.kill_tests > 0 {
            note(&format!("{} tests with random kills …", self.args.kill_tests));
            let tests = Suite::of(&recordings, &self.site.url)?.repeated(self.args.kill_tests);
            let kills = hurt::kills(&self.config, self.site.pid(), &tests, 2).await?;
            self.report.kills = Some(kills);
        }
        self.write()
    }

    /// Runs every tool once, again and again, so that what else the machine does meets all of them alike.
    async fn side_by_side(&mut self, suite: &Suite, workers: usize) -> anyhow::Result<()> {
        let tests = suite.repeated(self.args.tests);
        let mut costs: BTreeMap<&'static str, Vec<Cost>> = BTreeMap::new();
        for repeat in 1..=self.args.repeats {
            note(&format!("{}, {workers} workers, repeat {repeat} …", suite.name));
            for (tool, isolation) in [(CONTEXT, Isolation::Context), (RESET, Isolation::Reset)] {
                let cost = gauntlet::run(&self.config, self.site.pid(), &tests, workers, isolation);
                costs.entry(tool).or_default().push(cost.await.context(tool)?);
            }
            if let Some(playwright) = &self.playwright {
                for (tool, way) in [(RUNNER, Way::Runner), (BARE, Way::Bare)] {
                    let cost = playwright.run(way, self.site.pid(), &tests, workers);
                    costs.entry(tool).or_default().push(cost.context(tool)?);
                }
            }
        }
        self.compare(suite.name, workers, &costs);
        Ok(())
    }

    fn compare(
        &mut self,
        suite: &'static str,
        workers: usize,
        costs: &BTreeMap<&'static str, Vec<Cost>>,
    ) {
        let each =
            |costs: &[Cost], of: &dyn Fn(&Cost) -> f64| Spread::of(costs.iter().map(of).collect());
        for (tool, costs) in costs {
            let tests_per_s = each(costs, &|cost| cost.tests_per_s(workers));
            let mut failed: Vec<_> = costs.iter().flat_map(Cost::failed).collect();
            failed.sort();
            failed.dedup();
            self.report.rates.push(Rate {
                suite,
                tool,
                workers,
                tests_per_s,
                ms_per_test: workers as f64 * 1_000.0 / tests_per_s.median,
                cpu_s_per_test: each(costs, &Cost::cpu_s_per_test),
                peak_mib: each(costs, &|cost| cost.peak_mib),
                failed,
            });
        }
        for (tool, to) in
            [(RESET, CONTEXT), (CONTEXT, RUNNER), (RESET, RUNNER), (CONTEXT, BARE), (RESET, BARE)]
        {
            let (Some(ours), Some(theirs)) = (costs.get(tool), costs.get(to)) else { continue };
            let both = ours.iter().zip(theirs);
            let ratios =
                both.map(|(ours, theirs)| ours.tests_per_s(workers) / theirs.tests_per_s(workers));
            let ratio = Spread::of(ratios.collect());
            self.report.ratios.push(Ratio { suite, tool, to, workers, ratio });
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        let Some(path) = &self.args.json else { return Ok(()) };
        Ok(fs::write(path, serde_json::to_string_pretty(&self.report)? + "\n")?)
    }
}
