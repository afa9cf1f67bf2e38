//! One attempt as results stores it, made of what a browser said.
//!
//! Owns the translation and the size limit of an attempt. Pure. Values typed into pages never get here: the browser's
//! outcome does not hold them. Secrets are covered before anything is cut, so that no half of one is left.

use crate::mask::Mask;
use gauntlet_browser::{StepFailure, StepRecord, TestOutcome, TestResult};
use gauntlet_core::{flow::FailureClass, limits::ATTEMPT_BYTES_MAX};
use gauntlet_proto::{edge, v1};
use jiff::Timestamp;
use prost::Message as _;
use std::sync::Arc;

/// Room left for the names of artifacts, which are known last.
const ARTIFACTS_BYTES: usize = 64 * 1024;
/// Longest text of one field once an attempt is too big, in characters.
const TEXT_CHARS_MAX: usize = 1_000;

/// What all attempts of one test share.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) ordinal: i32,
    pub(crate) attempt: i32,
    pub(crate) is_final: bool,
    pub(crate) started_at: Timestamp,
    pub(crate) executor: String,
    pub(crate) mask: Arc<Mask>,
}

/// Returns how an attempt ended; the browser did not cancel.
pub(crate) fn ending(result: &TestResult) -> v1::AttemptOutcome {
    match result {
        TestResult::Passed => v1::AttemptOutcome::Passed,
        TestResult::Failed(_) => v1::AttemptOutcome::Failed,
        TestResult::TimedOut(_) => v1::AttemptOutcome::TimedOut,
        TestResult::Errored(_) | TestResult::Cancelled => v1::AttemptOutcome::Errored,
    }
}

/// Returns the attempt for what a browser said. Its artifacts are named once they are stored.
pub(crate) fn ran(header: &Header, outcome: &TestOutcome) -> v1::Attempt {
    let ended = ending(&outcome.result);
    let mut attempt = v1::Attempt {
        duration: Some(edge::wire_duration(outcome.duration)),
        failure: outcome.result.failure().map(failure),
        steps: outcome.steps.iter().map(step).collect(),
        ..blank(header, ended)
    };
    header.mask.cover(&mut attempt);
    fit(attempt)
}

/// Returns the attempt of a test that was not run because of an error of ours or of its recording.
pub(crate) fn errored(header: &Header, class: FailureClass, message: &str) -> v1::Attempt {
    let failure = v1::Failure {
        step_index: -1,
        failure_class: class.as_str().to_owned(),
        message: message.to_owned(),
        ..v1::Failure::default()
    };
    let mut attempt = v1::Attempt {
        failure: Some(failure),
        duration: Some(edge::wire_duration(std::time::Duration::ZERO)),
        ..blank(header, v1::AttemptOutcome::Errored)
    };
    header.mask.cover(&mut attempt);
    fit(attempt)
}

fn blank(header: &Header, outcome: v1::AttemptOutcome) -> v1::Attempt {
    v1::Attempt {
        ordinal: header.ordinal,
        attempt: header.attempt,
        outcome: outcome.into(),
        r#final: header.is_final,
        start_time: Some(edge::timestamp(header.started_at)),
        executor: header.executor.clone(),
        ..v1::Attempt::default()
    }
}

fn failure(failure: &StepFailure) -> v1::Failure {
    v1::Failure {
        step_index: index(failure.step_index),
        step_type: failure.step_type.to_owned(),
        selector: failure.selector.clone().unwrap_or_default(),
        expected: failure.expected.clone().unwrap_or_default(),
        found: failure.found.clone().unwrap_or_default(),
        failure_class: failure.class.as_str().to_owned(),
        message: failure.message.clone(),
    }
}

fn step(step: &StepRecord) -> v1::StepResult {
    v1::StepResult {
        index: index(step.index),
        r#type: step.step_type.to_owned(),
        offset: Some(edge::wire_duration(step.started_offset)),
        duration: Some(edge::wire_duration(step.duration)),
        selector_used: step.selector_used.clone().unwrap_or_default(),
        label: step.label.clone().unwrap_or_default(),
        outcome: step_outcome(step).into(),
        soft: step.soft && !step.passed,
        note: step.note.clone().unwrap_or_default(),
        problem: step.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default(),
        alternative: step.selector_index.map_or(0, |won| index(won.saturating_add(1))),
    }
}

/// Returns whether a step did what it should.
pub(crate) fn step_outcome(step: &StepRecord) -> v1::StepOutcome {
    match (step.passed, step.skipped) {
        (true, _) => v1::StepOutcome::Passed,
        (false, true) => v1::StepOutcome::Skipped,
        (false, false) => v1::StepOutcome::Failed,
    }
}

fn index(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// Cuts texts, then steps from the end, until the attempt is within its limit, and flags it.
fn fit(mut attempt: v1::Attempt) -> v1::Attempt {
    let bytes_max = ATTEMPT_BYTES_MAX - ARTIFACTS_BYTES;
    if attempt.encoded_len() <= bytes_max {
        return attempt;
    }
    attempt.truncated = true;
    if let Some(failure) = &mut attempt.failure {
        let v1::Failure { selector, expected, found, message, .. } = failure;
        [selector, expected, found, message].into_iter().for_each(cut);
    }
    for v1::StepResult { selector_used, label, note, problem, .. } in &mut attempt.steps {
        [selector_used, label, note, problem].into_iter().for_each(cut);
    }
    while attempt.encoded_len() > bytes_max && !attempt.steps.is_empty() {
        let half = attempt.steps.len() / 2;
        attempt.steps.truncate(half);
    }
    attempt
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_over_its_limit_is_cut_and_says_so() {
        let header = Header {
            ordinal: 1,
            attempt: 1,
            is_final: true,
            started_at: Timestamp::UNIX_EPOCH,
            executor: String::new(),
            mask: Arc::default(),
        };
        let attempt = errored(&header, FailureClass::ImportError, &"ä".repeat(ATTEMPT_BYTES_MAX));
        assert!(attempt.truncated && attempt.encoded_len() <= ATTEMPT_BYTES_MAX);
        assert!(!errored(&header, FailureClass::ImportError, "short").truncated);
    }
}
