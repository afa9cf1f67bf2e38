//! The transition tables: which state may follow which, by which command. One table gives the picture in `docs/` and the
//! test that no decision leaves it.

use super::{RunState, ShardState};
use std::fmt::Write as _;

/// Returns every legal change of a run's state: (from, command, to).
#[must_use]
pub fn run_transitions() -> Vec<(RunState, &'static str, RunState)> {
    use RunState::{Aborted, Errored, Failed, Finalizing, Passed, Queued, Running};
    vec![
        (Queued, "mark_granted", Running),
        // The end of a lease may overtake the idempotent step that writes RUNNING.
        (Queued, "complete", Running),
        (Queued, "lose", Running),
        (Queued, "complete", Finalizing),
        (Running, "complete", Finalizing),
        (Running, "lose", Finalizing),
        (Queued, "lose", Finalizing),
        // on_infra_failure = STOP_RUN.
        (Queued, "complete", Errored),
        (Running, "complete", Errored),
        (Queued, "lose", Errored),
        (Running, "lose", Errored),
        (Queued, "abort", Aborted),
        (Running, "abort", Aborted),
        (Finalizing, "abort", Aborted),
        (Queued, "stop", Finalizing),
        (Running, "stop", Finalizing),
        (Finalizing, "lose_finalization", Errored),
        (Finalizing, "close", Passed),
        (Finalizing, "close", Failed),
        (Finalizing, "close", Errored),
        // The next generation of the run; the one before it stays terminal.
        (Passed, "retry", Queued),
        (Failed, "retry", Queued),
        (Errored, "retry", Queued),
        (Aborted, "retry", Queued),
    ]
}

/// Returns every legal change of a shard's state: (from, command, to).
#[must_use]
pub fn shard_transitions() -> Vec<(ShardState, &'static str, ShardState)> {
    use ShardState::{Cancelled, Done, Leased, Queued};
    vec![
        (Queued, "claim", Leased),
        (Leased, "complete", Done),
        (Leased, "complete", Queued),
        (Leased, "lose", Queued),
        (Leased, "lose", Done),
        (Queued, "abort", Cancelled),
        (Leased, "abort", Cancelled),
        (Queued, "stop", Cancelled),
        (Leased, "stop", Cancelled),
    ]
}

/// Returns both tables as Mermaid state diagrams, as `docs/protocol-states.md` shows them.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from(
        "# States of a run and of a shard\n\nWritten by a test from the transition tables.\n",
    );
    text.push_str("\n```mermaid\nstateDiagram-v2\n    [*] --> QUEUED: admit\n");
    for (from, command, to) in run_transitions() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {} --> {}: {command}", from.name(), to.name());
    }
    text.push_str("```\n\n```mermaid\nstateDiagram-v2\n    [*] --> QUEUED: admit\n");
    for (from, command, to) in shard_transitions() {
        let _ = writeln!(text, "    {} --> {}: {command}", from.name(), to.name());
    }
    text.push_str("```\n");
    text
}
