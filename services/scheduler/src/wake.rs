//! Wake-ups inside the process: look again. Hints only; every waiter also looks on a timer.

use gauntlet_core::RunId;
use tokio::sync::{Notify, broadcast};

/// Runs announced to watchers before a slow one is told to look anyway.
const CHANGES_BUFFERED_MAX: usize = 1_024;

/// Who may be waiting for what.
pub(crate) struct Wake {
    runs: broadcast::Sender<RunId>,
    work: Notify,
    finalization: Notify,
}

impl Wake {
    pub(crate) fn new() -> Self {
        let (runs, _) = broadcast::channel(CHANGES_BUFFERED_MAX);
        Self { runs, work: Notify::new(), finalization: Notify::new() }
    }

    /// A run has a new event.
    pub(crate) fn run_changed(&self, run_id: RunId) {
        // No receiver means that nobody watches.
        let _ = self.runs.send(run_id);
    }

    /// Returns the changes from now on. Subscribe before reading, or the change between is lost.
    pub(crate) fn changes(&self) -> broadcast::Receiver<RunId> {
        self.runs.subscribe()
    }

    /// There may be shards to claim.
    pub(crate) fn work(&self) {
        self.work.notify_one();
    }

    /// Waits for work to be announced. One claimer per process waits here; an announcement before the wait is kept.
    pub(crate) async fn until_work(&self) {
        self.work.notified().await;
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
