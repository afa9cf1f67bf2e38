//! What a proxy could not, or would not, connect to: browsers do not tell why, so steps ask here.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use gauntlet_core::egress::Denial;

/// Failures that are remembered; the newest.
const FAILURES_MAX: usize = 64;

/// One connection that did not come about.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// As the page names it.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) why: Why,
}

/// Why a connection did not come about.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Why {
    /// The policy says so.
    #[error("{0}")]
    Denied(Denial),
    /// It has no address.
    #[error("the name has no address")]
    Unresolved,
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    TooSlow,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, why } = self;
        match why {
            Why::Denied(denial) => write!(f, "the egress policy denies {host}:{port}: {denial}"),
            why => write!(f, "{host}:{port} cannot be reached: {why}"),
        }
    }
}

impl Failure {
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self.why, Why::Denied(_))
    }
}

/// The newest failures of one browser, in order.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    newest: VecDeque<Failure>,
    count: u64,
    denied: u64,
}

impl Failures {
    pub(super) fn add(&self, failure: Failure) {
        let mut kept = self.lock();
        kept.count += 1;
        kept.denied += u64::from(failure.is_denial());
        if kept.newest.len() == FAILURES_MAX {
            kept.newest.pop_front();
        }
        kept.newest.push_back(failure);
    }

    /// Returns how many there were so far.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Returns how many connections were denied so far.
    pub(super) fn denied_count(&self) -> u64 {
        self.lock().denied
    }

    /// Returns the newest failure after the first `count` that `fits`.
    pub(super) fn since(&self, count: u64, fits: impl Fn(&Failure) -> bool) -> Option<Failure> {
        let kept = self.lock();
        let new = usize::try_from(kept.count.saturating_sub(count)).unwrap_or(usize::MAX);
        kept.newest.iter().rev().take(new).find(|failure| fits(failure)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
