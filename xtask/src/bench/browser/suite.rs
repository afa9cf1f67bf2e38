//! What is run: recordings and the site they are aimed at, or the test that does nothing.

use anyhow::{Context as _, bail};
use gauntlet_core::flow::{Flow, Step, StepKind, origin_of};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long a site may take to say where it is.
const SITE_LIMIT: Duration = Duration::from_secs(20);

/// One test, as Gauntlet takes it and as the script for Playwright takes it.
#[derive(Clone)]
pub(super) struct Test {
    pub(super) flow: Flow,
    pub(super) recording: Value,
}

/// Some tests that are run again and again.
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) tests: Vec<Test>,
}

impl Suite {
    /// The test that does nothing: what is left is what a test costs before its first step and after its last.
    pub(super) fn empty() -> anyhow::Result<Self> {
        let recording =
            json!({ "title": "empty", "steps": [{ "type": "navigate", "url": "about:blank" }] });
        let mut flow = parse(&recording, "empty")?;
        flow.steps = vec![Step::new(StepKind::Navigate { url: "about:blank".to_owned() })];
        Ok(Self { name: "empty", tests: vec![Test { flow, recording }] })
    }

    /// The recordings of a folder (Recorder JSON), aimed at a site.
    pub(super) fn of(folder: &Path, site: &str) -> anyhow::Result<Self> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .with_context(|| format!("no recordings in {}", folder.display()))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        let tests = files.iter().map(|file| {
            let recording = serde_json::from_slice(&fs::read(file)?)?;
            let recording = aimed(recording, site);
            let flow = parse(&recording, &file.display().to_string())?;
            Ok(Test { flow, recording })
        });
        let tests: Vec<Test> = tests.collect::<anyhow::Result<_>>()?;
        if tests.is_empty() {
            bail!("no recordings (*.json) in {}", folder.display());
        }
        Ok(Self { name: "shop", tests })
    }

    /// Returns `count` tests, one after the other, and again from the first.
    pub(super) fn repeated(&self, count: usize) -> Vec<Test> {
        self.tests.iter().cycle().take(count).cloned().collect()
    }
}

fn parse(recording: &Value, name: &str) -> anyhow::Result<Flow> {
    let flow = gauntlet_recordings::parse(recording.to_string().as_bytes(), name);
    flow.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Replaces the origin of every URL that a recording goes to.
fn aimed(mut recording: Value, site: &str) -> Value {
    for step in recording["steps"].as_array_mut().into_iter().flatten() {
        let Some(url) = step["url"].as_str() else { continue };
        if let Some((_, path)) = origin_of(url) {
            step["url"] = json!(format!("{site}{path}"));
        }
    }
    recording
}

/// A site that is served as long as this lives.
pub(super) struct Site {
    pub(super) url: String,
    child: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Site {
    /// Uses the site at a URL.
    pub(super) fn at(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), child: None }
    }

    /// Starts a site by a command that says in its output where it is.
    pub(super) fn start(command: &[OsString]) -> anyhow::Result<Self> {
        let (program, args) = command.split_first().context("no command for the site")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let output = child.stdout.take().context("the site has an output")?;
        let mut site = Self { url: String::new(), child: Some(child) };
        let (said, hears) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            use std::io::{BufRead as _, BufReader};
            // Reads on, so that the site never waits for room in the pipe.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        while site.url.is_empty() {
            let line =
                hears.recv_timeout(SITE_LIMIT).context("the site does not say where it is")?;
            let url = line.find("http").map(|at| &line[at..]);
            let end = |url: &str| url.find([' ', ';', ',']).unwrap_or(url.len());
            site.url =
                url.map(|url| url[..end(url)].trim_end_matches('/').to_owned()).unwrap_or_default();
        }
        Ok(site)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}
