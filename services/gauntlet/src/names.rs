//! How the contract's enums are spelt for people and machines, and which exit code a state means.

use crate::failure::{EXIT_ABORTED, EXIT_INFRASTRUCTURE};
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;

/// Returns the state as the contract spells it, without its prefix: `PASSED`.
pub(crate) fn state(state: v1::RunState) -> &'static str {
    state.as_str_name().trim_start_matches("RUN_STATE_")
}

/// Returns the reason to stop as the contract spells it, without its prefix: `FAIL_FAST`.
pub(crate) fn stop_reason(reason: v1::StopReason) -> &'static str {
    reason.as_str_name().trim_start_matches("STOP_REASON_")
}

/// Returns the outcome in lower case: `timed_out`.
pub(crate) fn outcome(outcome: v1::TestOutcome) -> &'static str {
    match outcome {
        v1::TestOutcome::Passed => "passed",
        v1::TestOutcome::Flaky => "flaky",
        v1::TestOutcome::Failed => "failed",
        v1::TestOutcome::TimedOut => "timed_out",
        v1::TestOutcome::Skipped => "skipped",
        v1::TestOutcome::Errored => "errored",
        v1::TestOutcome::NotRun => "not_run",
        v1::TestOutcome::Unspecified => "pending",
    }
}

/// Returns whether a run in this state never changes again.
pub(crate) fn is_terminal(state: v1::RunState) -> bool {
    match state {
        v1::RunState::Passed
        | v1::RunState::Failed
        | v1::RunState::Errored
        | v1::RunState::Aborted => true,
        v1::RunState::Unspecified
        | v1::RunState::Queued
        | v1::RunState::Running
        | v1::RunState::Finalizing => false,
    }
}

/// Returns the exit code that a finished run means; a run that is not finished says nothing, as an ERRORED one does.
pub(crate) fn exit_of(state: v1::RunState) -> Exit {
    match state {
        v1::RunState::Passed => Exit::Code(0),
        v1::RunState::Failed => Exit::Code(1),
        v1::RunState::Aborted => Exit::Code(EXIT_ABORTED),
        v1::RunState::Errored
        | v1::RunState::Unspecified
        | v1::RunState::Queued
        | v1::RunState::Running
        | v1::RunState::Finalizing => Exit::Code(EXIT_INFRASTRUCTURE),
    }
}

/// Returns the counts as a person reads them, those that are zero left out: `18 passed, 2 failed`.
pub(crate) fn counts(counts: &v1::OutcomeCounts) -> String {
    let parts = [
        (counts.passed, "passed"),
        (counts.flaky, "flaky"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.errored, "errored"),
        (counts.skipped, "skipped"),
        (counts.not_run, "not run"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if parts.is_empty() { "no results".to_owned() } else { parts.join(", ") }
}

/// Returns how many tests have ended.
pub(crate) fn ended(counts: &v1::OutcomeCounts) -> i32 {
    let v1::OutcomeCounts { passed, flaky, failed, timed_out, skipped, errored, not_run } = counts;
    passed + flaky + failed + timed_out + skipped + errored + not_run
}

/// Returns a number with its noun: `1 test`, `2 tests`.
pub(crate) fn counted(count: impl Into<i64>, noun: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
/// Returns a kind of artifact as flags spell it.
pub(crate) fn artifact(kind: v1::ArtifactKind) -> &'static str {
    match kind {
        v1::ArtifactKind::Screenshot => "screenshot",
        v1::ArtifactKind::PageSource => "page-source",
        v1::ArtifactKind::ConsoleLog => "console",
        v1::ArtifactKind::NetworkLog => "network",
        v1::ArtifactKind::StepScreenshot => "step-screenshot",
        v1::ArtifactKind::Video => "video",
        v1::ArtifactKind::Timeline => "timeline",
        v1::ArtifactKind::Unspecified => "unknown",
    }
}
