//! What the call being served carries: its request id and when it must be done.
//!
//! Owns two task-local values, set by the server and read by statuses and clients. They do not follow a task that a
//! handler spawns: such a task has its own life and its own deadlines.

use std::time::Duration;
use tokio::time::Instant;

/// Metadata key of the request id.
pub(crate) const REQUEST_ID_KEY: &str = "x-request-id";

/// The call being served.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) deadline: Option<Instant>,
}

tokio::task_local! {
    static CALL: Call;
}

/// Runs `work` as part of `call`.
pub(crate) async fn within<F: Future>(call: Call, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// Returns the id of the call being served, if any; log it, and callers can find the lines.
#[must_use]
pub fn request_id() -> Option<String> {
    CALL.try_with(|call| call.request_id.clone()).ok()
}

/// Returns how long the call being served may still take; none outside a call or for a stream.
#[must_use]
pub fn time_left() -> Option<Duration> {
    let deadline = CALL.try_with(|call| call.deadline).ok().flatten()?;
    Some(deadline.saturating_duration_since(Instant::now()))
}
