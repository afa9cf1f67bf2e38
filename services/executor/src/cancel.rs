//! Why work stops, as an in-process token that only escalates.
//!
//! Owns the order of severity: a drain lets running tests finish, a lost lease and an abort kill their browsers at once.
//! It decides nothing about runs; the scheduler's row does. A crash loses the token together with the work it guards.

use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Why the work on a shard stops. Declaration order is severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopReason {
    /// The executor takes no new work: what runs may finish, the rest is handed back.
    Drain,
    /// The time that a drain gives to running tests is over: browsers are killed, the rest is handed back.
    DrainOver,
    /// The lease is not held any more: nothing of it counts, browsers are killed.
    LeaseLost,
    /// The run was aborted or stopped: browsers are killed.
    Abort,
}

impl StopReason {
    /// Returns whether browsers are killed for it.
    #[must_use]
    pub fn kills(self) -> bool {
        self >= Self::DrainOver
    }
}

/// Stops the work on one shard. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reason: Mutex<Option<StopReason>>,
    any: CancellationToken,
    kill: CancellationToken,
    void: CancellationToken,
}

impl Stop {
    /// Returns a token that nothing has tripped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trips the token; returns whether that was news. A milder reason than the one present changes nothing.
    pub fn trip(&self, reason: StopReason) -> bool {
        let mut held = self.0.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some_and(|held| held >= reason) {
            return false;
        }
        *held = Some(reason);
        self.0.any.cancel();
        if reason.kills() {
            self.0.kill.cancel();
        }
        if reason >= StopReason::LeaseLost {
            self.0.void.cancel();
        }
        true
    }

    /// Returns why the work stops; none while it goes on.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        *self.0.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether nothing of this lease counts any more.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.0.void.is_cancelled()
    }

    /// Returns whether browsers must die.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.0.kill.is_cancelled()
    }

    /// Waits for any reason.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn stopped(&self) {
        self.0.any.cancelled().await;
    }

    /// Waits for a reason that kills browsers.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn killed(&self) {
        self.0.kill.cancelled().await;
    }

    /// Waits until nothing of this lease counts any more.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn voided(&self) {
        self.0.void.cancelled().await;
    }

    /// Returns the token that is cancelled with the first reason that kills.
    #[must_use]
    pub fn kill_token(&self) -> &CancellationToken {
        &self.0.kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_only_escalates() {
        let stop = Stop::new();
        assert!(stop.trip(StopReason::Drain));
        assert!(!stop.is_killed());
        assert!(stop.trip(StopReason::DrainOver));
        assert!(stop.is_killed() && !stop.is_void());
        assert!(stop.trip(StopReason::Abort));
        assert!(!stop.trip(StopReason::LeaseLost));
        assert_eq!(stop.reason(), Some(StopReason::Abort));
        assert!(stop.is_void());
    }
}
