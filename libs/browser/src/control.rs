//! What the owner of a running test shares with it: a way to cancel it, and the step it is at.

use std::sync::atomic::{AtomicI32, Ordering};
use tokio_util::sync::CancellationToken;

/// No step has begun.
const NO_STEP: i32 = -1;

/// The handle of one running test. Reading it never waits for the browser, so a heartbeat can.
#[derive(Debug)]
pub struct Control {
    cancel: CancellationToken,
    step_index: AtomicI32,
}

impl Control {
    /// Returns the handle of a test that is cancelled with `cancel`.
    #[must_use]
    pub fn new(cancel: CancellationToken) -> Self {
        Self { cancel, step_index: AtomicI32::new(NO_STEP) }
    }

    /// Returns the 0-based index of the step that began last; -1 before the first.
    #[must_use]
    pub fn step_index(&self) -> i32 {
        self.step_index.load(Ordering::Relaxed)
    }

    /// Notes that a step begins.
    pub fn begin_step(&self, index: usize) {
        self.step_index.store(i32::try_from(index).unwrap_or(i32::MAX), Ordering::Relaxed);
    }

    /// Waits until the test is cancelled.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }
}

impl Default for Control {
    /// Returns the handle of a test that nobody cancels.
    fn default() -> Self {
        Self::new(CancellationToken::new())
    }
}
