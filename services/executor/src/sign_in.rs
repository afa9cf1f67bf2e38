//! Signing in once for all tests of a run at this executor (H5): what the sign-in flow left in its context is where tests begin.
//!
//! Owns those states, in memory only: whoever has one is signed in. A run's is forgotten with the run's last lease here. A
//! crash costs signing in again.

use gauntlet_browser::StorageState;
use gauntlet_core::ids::RunId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

/// What came of signing in: a state, or why there is none. Neither is tried again for the run.
pub(crate) type SignedIn = Result<Arc<StorageState>, String>;

/// All runs that have a sign-in flow.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    runs: Mutex<HashMap<RunId, Arc<OnceCell<SignedIn>>>>,
}

impl SignIns {
    /// Returns where the run's state is kept; the first who asks fills it, and others wait for that.
    pub(crate) fn of_run(&self, run_id: RunId) -> Arc<OnceCell<SignedIn>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(runs.entry(run_id).or_default())
    }

    /// Forgets the run.
    pub(crate) fn forget(&self, run_id: RunId) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&run_id);
    }
}
