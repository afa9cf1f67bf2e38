//! What came of one test.

use std::{path::PathBuf, time::Duration};

use gauntlet_core::flow::FailureClass;

use crate::{Film, Logs, StorageState};

/// Steps of one test that are recorded: a loop may perform many more.
pub const STEP_RECORDS_MAX: usize = 2_000;

/// What came of one test.
#[derive(Debug, Clone)]
pub struct TestOutcome {
    /// Whether it passed, and if not, where and why.
    pub result: TestResult,
    /// The steps that were started, in order; a loop repeats them. At most
    /// [`STEP_RECORDS_MAX`] are kept, and after that only as many again that failed.
    pub steps: Vec<StepRecord>,
    /// The page when a step failed, as PNG; `None` if it could not be taken in time.
    pub screenshot: Option<Vec<u8>>,
    /// Its HTML at that time, without secrets; of a long page the first part.
    pub page_source: Option<String>,
    /// The frames of the test, if [`crate::Capture`] asks for a film.
    pub film: Option<Film>,
    /// How long it all took.
    pub duration: Duration,
    /// How many dialogs opened.
    pub dialog_count: u32,
    /// How many connections of its pages the egress policy denied.
    pub egress_denied_count: u64,
    /// Console and network, if [`crate::TestOptions::logs`] asks for them.
    pub logs: Logs,
    /// What sites have stored, if [`crate::TestOptions::keep_state`] asks for it and the test passed.
    pub state: Option<StorageState>,
}

impl TestOutcome {
    /// Returns an outcome of which nothing else is known.
    #[must_use]
    pub fn bare(result: TestResult, duration: Duration) -> Self {
        Self {
            result,
            steps: Vec::new(),
            screenshot: None,
            page_source: None,
            film: None,
            duration,
            dialog_count: 0,
            egress_denied_count: 0,
            logs: Logs::default(),
            state: None,
        }
    }
}

/// Whether a test passed.
#[derive(Debug, Clone, PartialEq)]
pub enum TestResult {
    /// Every step did what it should.
    Passed,
    /// A step failed; the first, if soft steps let the test go on.
    Failed(StepFailure),
    /// The test ran into its own time limit, or a command hung.
    TimedOut(StepFailure),
    /// The browser or the driver failed, which says nothing about the test.
    Errored(StepFailure),
    /// The caller cancelled; the browser was killed.
    Cancelled,
}

impl TestResult {
    /// Returns the failure, if there is one.
    #[must_use]
    pub fn failure(&self) -> Option<&StepFailure> {
        match self {
            Self::Failed(failure) | Self::TimedOut(failure) | Self::Errored(failure) => {
                Some(failure)
            }
            Self::Passed | Self::Cancelled => None,
        }
    }

    /// Tells whether the test passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }
}

/// Where and why a step failed. Never holds the value of a sensitive step or a secret variable.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFailure {
    /// 0-based.
    pub step_index: usize,
    /// As recordings spell it.
    pub step_type: &'static str,
    /// Where the step stands in its source.
    pub label: Option<String>,
    /// All alternatives of the step's selector.
    pub selector: Option<String>,
    /// What should have been.
    pub expected: Option<String>,
    /// What was instead.
    pub found: Option<String>,
    /// Why, in one word.
    pub class: FailureClass,
    /// Why, in one sentence.
    pub message: String,
}

/// One step that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// 0-based.
    pub index: usize,
    /// As recordings spell it.
    pub step_type: &'static str,
    /// Where the step stands in its source.
    pub label: Option<String>,
    /// When it started, after the start of the test.
    pub started_offset: Duration,
    /// How long it took.
    pub duration: Duration,
    /// 0-based index of the selector alternative that won (G3).
    pub selector_index: Option<usize>,
    /// That alternative as text.
    pub selector_used: Option<String>,
    /// Whether it did what it should.
    pub passed: bool,
    /// Why not. The test may have gone on: after a soft step as failed, after an optional one as if it had been skipped.
    pub failure: Option<StepFailure>,
    /// Whether it failed and was optional: it counts as skipped, for the reason that `failure` gives.
    pub skipped: bool,
    /// Whether it may fail without ending the test.
    pub soft: bool,
    /// What the test itself says (`echo`).
    pub note: Option<String>,
    /// The page after it, as PNG.
    pub screenshot: Option<PathBuf>,
}
