//! Browsers that do what the title of a test says.
//!
//! `pass`, `fail`, `flaky` (fails first), `crash` (the browser dies), `crash-once`, `hang` (until killed), `slow` (until let
//! go), each with any suffix.

use futures_util::future::BoxFuture;
use gauntlet_browser::{
    ConsoleEntry, Control, Film, LaunchError, Logs, Request, StepFailure, StepRecord, TestOptions,
    TestOutcome, TestResult,
};
use gauntlet_core::flow::{FailureClass, Flow, StepKind};
use gauntlet_executor::{BrowserSpec, LiveBrowser, TestRunner};
use gauntlet_proto::v1;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

#[derive(Debug, Default)]
pub struct Seen {
    pub launches: u32,
    pub alive: u32,
    pub ran: Vec<String>,
    /// Each test that ran, and whether it began signed in.
    pub began: Vec<(String, bool)>,
    pub urls: Vec<String>,
    pub files_dir: Option<PathBuf>,
    pub last_death: Option<Instant>,
    pub no_browser: bool,
}

#[derive(Clone)]
pub struct Scripts {
    pub seen: Arc<Mutex<Seen>>,
    /// One permit lets one `slow` test go.
    pub go: Arc<Semaphore>,
}

impl Scripts {
    pub fn new() -> Self {
        Self { seen: Arc::default(), go: Arc::new(Semaphore::new(0)) }
    }

    pub fn ran(&self) -> Vec<String> {
        self.seen.lock().unwrap().ran.clone()
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + crate::mesh::WITHIN;
        while !condition(&self.seen.lock().unwrap()) {
            assert!(
                Instant::now() < end,
                "not in time: {what}; seen {:?}",
                self.seen.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl TestRunner for Scripts {
    fn browsers(&self) -> Vec<v1::Browser> {
        vec![v1::Browser::Chromium]
    }

    fn attributes(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { vec!["scripted".to_owned()] })
    }

    fn launch(&self, _: BrowserSpec) -> BoxFuture<'_, Result<Box<dyn LiveBrowser>, LaunchError>> {
        Box::pin(async {
            let mut seen = self.seen.lock().unwrap();
            if seen.no_browser {
                let (program, package) = ("chromium-headless-shell", "chromium-headless-shell");
                return Err(LaunchError::ProgramMissing { program, package });
            }
            seen.launches += 1;
            seen.alive += 1;
            drop(seen);
            Ok(Box::new(Scripted { scripts: self.clone(), alive: true }) as Box<dyn LiveBrowser>)
        })
    }
}

struct Scripted {
    scripts: Scripts,
    alive: bool,
}

impl Scripted {
    fn die(&mut self) {
        if std::mem::take(&mut self.alive) {
            let mut seen = self.scripts.seen.lock().unwrap();
            seen.alive -= 1;
            seen.last_death = Some(Instant::now());
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.die();
    }
}

impl LiveBrowser for Scripted {
    fn run_test<'b>(
        &'b mut self,
        flow: &'b Flow,
        options: &'b TestOptions,
        control: &'b Control,
    ) -> BoxFuture<'b, TestOutcome> {
        Box::pin(async move {
            let before = {
                let mut seen = self.scripts.seen.lock().unwrap();
                let before = seen.ran.iter().filter(|title| **title == flow.title).count();
                seen.files_dir.clone_from(&options.files_dir);
                seen.ran.push(flow.title.clone());
                seen.began.push((flow.title.clone(), options.state.is_some()));
                if let Some(StepKind::Navigate { url }) = flow.steps.first().map(|step| &step.kind)
                {
                    seen.urls.push(url.clone());
                }
                before
            };
            let first = before == 0;
            control.begin_step(0);
            let result = match flow.title.split('.').next().unwrap() {
                "fail" => TestResult::Failed(failure(FailureClass::Assertion)),
                "flaky" if first => TestResult::Failed(failure(FailureClass::Assertion)),
                "crash" => TestResult::Errored(failure(FailureClass::BrowserCrash)),
                "crash-once" if first => TestResult::Errored(failure(FailureClass::BrowserCrash)),
                "hang" => {
                    control.cancelled().await;
                    TestResult::Cancelled
                }
                "slow" => tokio::select! {
                    () = control.cancelled() => TestResult::Cancelled,
                    permit = self.scripts.go.acquire() => {
                        permit.unwrap().forget();
                        TestResult::Passed
                    }
                },
                _ => TestResult::Passed,
            };
            if matches!(result, TestResult::Errored(_) | TestResult::Cancelled) {
                self.die();
            }
            let failed = matches!(result, TestResult::Failed(_));
            let seen = failed && options.screenshot_on_failure;
            let passed = options.keep_state && result.is_passed();
            let outcome = TestOutcome::bare(result, Duration::from_millis(1));
            TestOutcome {
                screenshot: seen.then(|| picture(flow)),
                page_source: seen.then(|| format!("<p>{}</p>", leak(flow))),
                steps: vec![step(flow, options)],
                logs: logs(flow, options),
                film: options.capture.as_ref().filter(|c| c.film).map(|_| Film::default()),
                state: passed.then(gauntlet_browser::StorageState::default),
                ..outcome
            }
        })
    }

    fn is_healthy(&self) -> bool {
        self.alive
    }

    fn kill(&mut self) -> BoxFuture<'_, ()> {
        self.die();
        Box::pin(std::future::ready(()))
    }
}

/// The picture of a `fail.big` is 2 MiB.
fn picture(flow: &Flow) -> Vec<u8> {
    let mut picture = format!("png of {}", flow.title).into_bytes();
    if flow.title.contains(".big") {
        picture.resize(2 * 1024 * 1024, 0);
    }
    picture
}

/// What the page shows of what it was given: its URL.
fn leak(flow: &Flow) -> String {
    match flow.steps.first().map(|step| &step.kind) {
        Some(StepKind::Navigate { url }) => url.clone(),
        _ => String::new(),
    }
}

fn step(flow: &Flow, options: &TestOptions) -> StepRecord {
    let pictured = options.capture.as_ref().filter(|capture| capture.every_step);
    let screenshot = pictured.map(|capture| {
        let file = capture.folder.join("step-0000.png");
        std::fs::write(&file, format!("step of {}", flow.title)).unwrap();
        file
    });
    StepRecord {
        index: 0,
        step_type: "navigate",
        label: Some("first".to_owned()),
        started_offset: Duration::ZERO,
        duration: Duration::from_millis(1),
        selector_index: Some(1),
        selector_used: Some("#second".to_owned()),
        passed: false,
        failure: Some(failure(FailureClass::ElementNotFound)),
        skipped: true,
        soft: false,
        note: Some(leak(flow)),
        screenshot,
    }
}

fn logs(flow: &Flow, options: &TestOptions) -> Logs {
    let mut logs = Logs::default();
    if options.logs {
        let offset = Duration::from_millis(1);
        logs.console.push(ConsoleEntry { level: "warn".to_owned(), text: leak(flow), offset });
        logs.requests.push(Request {
            method: "GET".to_owned(),
            url: leak(flow),
            status: 200,
            error: None,
            duration: offset,
            offset,
        });
    }
    logs
}

fn failure(class: FailureClass) -> StepFailure {
    StepFailure {
        step_index: 0,
        step_type: "navigate",
        label: None,
        selector: None,
        expected: None,
        found: None,
        class,
        message: "scripted".to_owned(),
    }
}
