//! What happened on the bus, counted.
//!
//! Owns atomics that only grow and are lost with the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusStats {
    /// Hints that Redis took.
    pub published: u64,
    /// Hints that Redis did not take in time.
    pub publish_failed: u64,
    /// Hints received from other processes.
    pub received: u64,
    /// Own hints that came back and were dropped.
    pub echoes: u64,
    /// Payloads that were not a hint.
    pub malformed: u64,
    /// Signals that a handler failed or panicked on.
    pub handler_failed: u64,
    /// Signals that a slow handler missed; it was told to read the truth.
    pub lagged: u64,
    /// Subscriptions made, the first and every one after a lost connection.
    pub subscriptions: u64,
    /// Attempts to subscribe that failed, and connections that were lost.
    pub connection_failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) published: AtomicU64,
    pub(crate) publish_failed: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) echoes: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) handler_failed: AtomicU64,
    pub(crate) lagged: AtomicU64,
    pub(crate) subscriptions: AtomicU64,
    pub(crate) connection_failed: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn snapshot(&self) -> BusStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusStats {
            published: read(&self.published),
            publish_failed: read(&self.publish_failed),
            received: read(&self.received),
            echoes: read(&self.echoes),
            malformed: read(&self.malformed),
            handler_failed: read(&self.handler_failed),
            lagged: read(&self.lagged),
            subscriptions: read(&self.subscriptions),
            connection_failed: read(&self.connection_failed),
        }
    }
}
