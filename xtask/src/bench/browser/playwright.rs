//! The same tests under Playwright: below its own test runner, and as bare scripts without one.
//!
//! It is installed by npm into a folder that goes with the benchmark; no browser is downloaded, it drives the one that
//! Gauntlet drives.

use super::{
    rate::{Cost, Ended},
    suite::Test,
    tree::{self, Watch},
};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the tests of one round may take.
const ROUND_LIMIT: Duration = Duration::from_secs(900);
const FILES: [(&str, &str); 4] = [
    ("playwright.mjs", include_str!("playwright.mjs")),
    ("playwright.spec.mjs", include_str!("playwright.spec.mjs")),
    ("playwright.config.mjs", include_str!("playwright.config.mjs")),
    ("playwright.reporter.mjs", include_str!("playwright.reporter.mjs")),
];

/// An installation.
pub(super) struct Playwright {
    folder: tempfile::TempDir,
    browser: PathBuf,
    pub(super) version: String,
}

/// How the tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `npx playwright test`.
    Runner,
    /// A script for each worker.
    Bare,
}

impl Playwright {
    /// Installs it.
    pub(super) fn install(browser: PathBuf) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let status = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"])
            .arg(folder.path())
            .arg("@playwright/test")
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            .stdout(Stdio::null())
            .status()
            .context("npm does not start")?;
        if !status.success() {
            bail!("npm install @playwright/test: {status}");
        }
        for (name, text) in FILES {
            fs::write(folder.path().join(name), text)?;
        }
        let package = folder.path().join("node_modules/@playwright/test/package.json");
        let package: Value = serde_json::from_slice(&fs::read(package)?)?;
        let version = package["version"].as_str().unwrap_or_default().to_owned();
        Ok(Self { folder, browser, version })
    }

    /// Runs every test once.
    pub(super) fn run(
        &self,
        way: Way,
        site: Option<u32>,
        tests: &[Test],
        workers: usize,
    ) -> anyhow::Result<Cost> {
        let this = std::process::id();
        let shares: Vec<Vec<&Value>> = match way {
            Way::Runner => vec![tests.iter().map(|test| &test.recording).collect()],
            // Nobody deals the tests out, so each worker has its share from the beginning.
            Way::Bare => (0..workers)
                .map(|worker| tests.iter().skip(worker).step_by(workers))
                .map(|share| share.map(|test| &test.recording).collect())
                .collect(),
        };
        // It kills its browsers, and leaves their processes to whoever takes them.
        let _orphanage = tree::Orphanage::open()?;
        let cpu = tree::cpu_s(this, site);
        let mut children = Vec::new();
        for (worker, share) in shares.iter().enumerate() {
            children.push(self.start(way, worker, workers, share)?);
        }
        let mut outputs = Vec::new();
        for child in &mut children {
            let mut output = BufReader::new(child.stdout.take().context("it has an output")?);
            let mut line = String::new();
            output.read_line(&mut line)?;
            if line.trim() != "ready" {
                bail!("Playwright says {line:?} instead of being ready");
            }
            outputs.push(output);
        }
        let began = Instant::now();
        let watch = Watch::begin(this, site);
        for child in &mut children {
            child.stdin.take().context("it has an input")?.write_all(b"begin\n")?;
        }
        let readers: Vec<_> = outputs
            .into_iter()
            .map(|output| std::thread::spawn(move || read(output, began)))
            .collect();
        let ended: Vec<Ended> =
            readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect();
        let peak_mib = watch.peak_mib();
        for child in &mut children {
            // Its exit says that a test has failed, which its lines have said before.
            let _ = child.wait()?;
        }
        if ended.len() != tests.len() {
            bail!("Playwright has told of {} of {} tests", ended.len(), tests.len());
        }
        Ok(Cost { ended, cpu_s: tree::cpu_s(this, site) - cpu, peak_mib })
    }

    fn start(
        &self,
        way: Way,
        worker: usize,
        workers: usize,
        share: &[&Value],
    ) -> anyhow::Result<Child> {
        let at = |name: &str| self.folder.path().join(name);
        let recordings = at(&format!("recordings-{worker}.json"));
        fs::write(&recordings, serde_json::to_vec(share)?)?;
        let mut command = Command::new("timeout");
        command.arg(ROUND_LIMIT.as_secs().to_string()).arg("node");
        match way {
            Way::Runner => command.arg(at("node_modules/@playwright/test/cli.js")).arg("test"),
            Way::Bare => command.arg(at("playwright.mjs")).arg("worker"),
        };
        command
            .current_dir(self.folder.path())
            .env("BENCH_BROWSER", &self.browser)
            .env("BENCH_RECORDINGS", recordings)
            .env("BENCH_WORKERS", workers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node does not start")
    }
}

fn read(output: impl std::io::BufRead, began: Instant) -> Vec<Ended> {
    let told = output.lines().map_while(Result::ok).filter_map(|line| {
        let at_s = began.elapsed().as_secs_f64();
        let told: Value = serde_json::from_str(&line).ok()?;
        let title = told["title"].as_str()?.to_owned();
        Some(Ended { title, passed: told["passed"] == true, at_s })
    });
    told.collect()
}

/// Returns the program that both drive.
pub(super) fn browser_of(config: &gauntlet_browser::BrowserConfig) -> anyhow::Result<PathBuf> {
    let programs = gauntlet_browser::Programs::find(config)?;
    Ok(Path::new(&programs.browser).to_owned())
}
