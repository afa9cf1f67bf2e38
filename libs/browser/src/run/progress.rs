//! What is known of a test while it runs; it outlives the test's future, so that a time limit still can say where it was.

use std::path::PathBuf;

use gauntlet_core::flow::{Flow, Scope, Step, StepKind};
use tokio::time::Instant;

use crate::{
    STEP_RECORDS_MAX, StepFailure, StepRecord, StorageState, error::cut, session::Stop, step::Done,
};

/// What stands for what a sensitive step saw.
const HIDDEN: &str = "•••";

/// What is known of a running test.
pub(super) struct Progress {
    pub(super) began: Instant,
    pub(super) steps: Vec<StepRecord>,
    pub(super) screenshot: Option<Vec<u8>>,
    pub(super) page_source: Option<String>,
    pub(super) state: Option<StorageState>,
    /// The variables when the test ended; while it runs the session has them.
    pub(super) scope: Scope,
    /// The step that was started last, and when.
    at: usize,
    since: Option<Instant>,
    first_failure: Option<StepFailure>,
    /// Pictures of steps taken so far.
    pub(super) pictures: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            steps: Vec::new(),
            screenshot: None,
            page_source: None,
            state: None,
            scope: Scope::default(),
            at: 0,
            since: None,
            first_failure: None,
            pictures: 0,
        }
    }

    /// Returns the first failure that is not forgiven.
    pub(super) fn first_failure(&self) -> Option<&StepFailure> {
        self.first_failure.as_ref()
    }

    pub(super) fn start(&mut self, index: usize) {
        (self.at, self.since) = (index, Some(Instant::now()));
    }

    fn record(&self, step: &Step) -> StepRecord {
        let since = self.since.unwrap_or(self.began);
        StepRecord {
            index: self.at,
            step_type: step.type_name(),
            label: step.label.clone(),
            started_offset: since - self.began,
            duration: since.elapsed(),
            selector_index: None,
            selector_used: None,
            passed: false,
            failure: None,
            skipped: false,
            soft: step.soft,
            note: None,
            screenshot: None,
        }
    }

    /// Records that the step did what it should.
    pub(super) fn pass(&mut self, step: &Step, done: &Done, scope: &Scope) {
        if self.steps.len() >= STEP_RECORDS_MAX {
            return;
        }
        let chain = done.alternative.and_then(|won| step.selectors()?.0.get(won));
        let record = StepRecord {
            passed: true,
            selector_index: done.alternative,
            selector_used: chain.map(|chain| scope.redact(&chain.to_string())),
            note: done.note.as_deref().map(|note| scope.redact(&cut(note))),
            ..self.record(step)
        };
        self.steps.push(record);
    }

    /// Adds a picture of the page to the step that was recorded last.
    pub(super) fn picture(&mut self, screenshot: Option<PathBuf>) {
        if let Some(step) = self.steps.last_mut().filter(|_| screenshot.is_some()) {
            step.screenshot = screenshot;
            self.pictures += 1;
        }
    }

    fn keep(&mut self, failed: StepRecord) {
        if self.steps.len() < 2 * STEP_RECORDS_MAX {
            self.steps.push(failed);
        }
    }

    /// Records that an optional step failed, which counts as skipping it.
    pub(super) fn forgive(&mut self, step: &Step, failure: StepFailure) {
        let record = StepRecord { failure: Some(failure), skipped: true, ..self.record(step) };
        self.keep(record);
    }

    /// Records a failure of which the test will have failed at its end.
    pub(super) fn fail_later(&mut self, step: &Step, failure: StepFailure) {
        self.first_failure.get_or_insert_with(|| failure.clone());
        let record = StepRecord { failure: Some(failure), ..self.record(step) };
        self.keep(record);
    }

    /// Records the stop at which the test ends, and describes it.
    pub(super) fn fail(&mut self, flow: &Flow, stop: Stop) -> StepFailure {
        let nothing = Step::new(StepKind::Close);
        let step = flow.steps.get(self.at).unwrap_or(&nothing);
        let failure = self.describe(step, stop, &self.scope);
        if self.since.is_some() {
            self.fail_later(step, failure.clone());
        }
        failure
    }

    /// Describes a stop at the step that was started last.
    pub(super) fn describe(&self, step: &Step, stop: Stop, scope: &Scope) -> StepFailure {
        let (class, message, expected, found) = match stop {
            Stop::Failure(problem) => {
                (problem.class, problem.message, problem.expected, problem.found)
            }
            Stop::Driver(error) => (error.class(), error.to_string(), None, None),
        };
        // What is said about a control never quotes what is put into it.
        let about_control = matches!(
            step.kind,
            StepKind::Type(_)
                | StepKind::Change { .. }
                | StepKind::SetContent { .. }
                | StepKind::SelectOption(_)
        );
        let hide = |text: String| match step.sensitive && !about_control {
            true => HIDDEN.to_owned(),
            false => scope.redact(&text),
        };
        StepFailure {
            step_index: self.at,
            step_type: step.type_name(),
            label: step.label.clone(),
            selector: step.selectors().map(|all| scope.redact(&cut(&all.to_string()))),
            expected: expected.map(hide),
            found: found.map(hide),
            class,
            message: scope.redact(&message),
        }
    }
}
