//! Wake-ups inside the process: look again. Hints only; every waiter also looks on a timer.
//!
//! A waiter that subscribes before it reads misses nothing, and many changes while it reads are one wake-up.

use gauntlet_core::RunId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Who may be waiting for what.
pub(crate) struct Wake {
    /// Runs that somebody watches.
    runs: Mutex<HashMap<RunId, watch::Sender<()>>>,
    events: watch::Sender<()>,
    terminal_events: watch::Sender<()>,
    work: Notify,
    polls: Notify,
    finalization: Notify,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            runs: Mutex::default(),
            events: watch::Sender::default(),
            terminal_events: watch::Sender::default(),
            work: Notify::new(),
            polls: Notify::new(),
            finalization: Notify::new(),
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, watch::Sender<()>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run has a new event; `terminal` when it ended.
    pub(crate) fn run_changed(&self, run_id: RunId, terminal: bool) {
        if let Some(watchers) = self.runs().get(&run_id) {
            watchers.send_replace(());
        }
        self.events.send_replace(());
        if terminal {
            self.terminal_events.send_replace(());
        }
    }

    /// Returns the changes of one run from now on. Subscribe before reading, or the change between is lost.
    pub(crate) fn watch_run(self: &Arc<Self>, run_id: RunId) -> RunChanges {
        let changes = self.runs().entry(run_id).or_default().subscribe();
        RunChanges { wake: self.clone(), run_id, changes }
    }

    /// Returns the changes of the feed from now on, or only the ends of runs.
    pub(crate) fn feed(&self, terminal_only: bool) -> watch::Receiver<()> {
        if terminal_only { self.terminal_events.subscribe() } else { self.events.subscribe() }
    }

    /// There may be shards to claim.
    pub(crate) fn work(&self) {
        self.work.notify_one();
    }

    /// Waits for work to be announced. One dispatcher per process waits here; an announcement before the wait is kept.
    pub(crate) async fn until_work(&self) {
        self.work.notified().await;
    }

    /// Somebody waits for work.
    pub(crate) fn poll(&self) {
        self.polls.notify_one();
    }

    /// Waits for somebody to wait for work; a poll before the wait is kept.
    pub(crate) async fn until_poll(&self) {
        self.polls.notified().await;
    }

    /// There may be a run to finalize.
    pub(crate) fn finalization(&self) {
        self.finalization.notify_waiters();
    }

    /// Returns a waiter for finalizations; enable it before looking.
    pub(crate) fn finalizations(&self) -> tokio::sync::futures::Notified<'_> {
        self.finalization.notified()
    }
}

/// The changes of one run, for as long as somebody watches it.
pub(crate) struct RunChanges {
    wake: Arc<Wake>,
    run_id: RunId,
    changes: watch::Receiver<()>,
}

impl RunChanges {
    /// Waits for a change that came after the last one waited for.
    ///
    /// # Cancel safety
    /// Safe: a change that was not returned is returned by the next call.
    pub(crate) async fn changed(&mut self) {
        // The sender lives in the map for as long as this receiver does.
        let _ = self.changes.changed().await;
    }
}

impl Drop for RunChanges {
    fn drop(&mut self) {
        let mut runs = self.wake.runs();
        if runs.get(&self.run_id).is_some_and(|watchers| watchers.receiver_count() <= 1) {
            runs.remove(&self.run_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_runtime::ids;

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed_and_the_last_watcher_leaves_nothing() {
        let wake = Arc::new(Wake::new());
        let (run, other) = (RunId(ids::v7()), RunId(ids::v7()));
        let (mut one, two) = (wake.watch_run(run), wake.watch_run(run));
        wake.run_changed(run, false);
        wake.run_changed(run, false);
        one.changed().await;
        wake.run_changed(other, false);
        assert!(
            !one.changes.has_changed().unwrap(),
            "two changes are one wake-up, others' are none"
        );
        drop(two);
        wake.run_changed(run, false);
        one.changed().await;
        drop(one);
        assert!(wake.runs().is_empty());
    }

    #[tokio::test]
    async fn a_reader_of_ends_sleeps_through_everything_else() {
        let wake = Wake::new();
        let (all, ends) = (wake.feed(false), wake.feed(true));
        wake.run_changed(RunId(ids::v7()), false);
        assert!(all.has_changed().unwrap() && !ends.has_changed().unwrap());
        wake.run_changed(RunId(ids::v7()), true);
        assert!(ends.has_changed().unwrap());
    }
}
