//! How far a generation is, as its watchers see it: what it finished stands in the place of what the one before said (A10).
//!
//! The first generation is the sum of its fences, whatever its size. A later one is counted anew when its fences changed:
//! what it replaces is known test by test only.

use crate::store::{Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_core::seal::TestEnd;
use gauntlet_core::verdict::Counts;

/// One watcher's view of a generation.
pub(crate) struct Progress {
    store: Store,
    run_id: RunId,
    generation: i32,
    /// What the generation before said; none when it is not needed, or not sealed yet.
    former: Option<Vec<TestEnd>>,
    /// What the fences summed up to at the last look, and what that meant for the run.
    seen: Option<(Counts, Counts)>,
}

impl Progress {
    pub(crate) fn new(store: Store, run_id: RunId, generation: i32) -> Self {
        Self { store, run_id, generation, former: None, seen: None }
    }

    /// Returns how many tests ended how, and whether that is final.
    pub(crate) async fn look(&mut self) -> Result<(Counts, bool), StoreError> {
        let Self { run_id, generation, .. } = *self;
        if let Some(seal) = self.store.find_seal(run_id, generation).await? {
            let ends = self.store.list_ends(run_id, &seal).await?;
            return Ok((Counts::of(ends.iter().map(|test| test.outcome)), true));
        }
        if self.former.is_none()
            && let Some(seal) = self.store.find_seal(run_id, generation - 1).await?
        {
            self.former = Some(self.store.list_ends(run_id, &seal).await?);
        }
        let fences = self.store.progress(run_id, generation).await?;
        let Some(former) = &self.former else { return Ok((fences, false)) };
        match self.seen {
            Some((seen, merged)) if seen == fences => Ok((merged, false)),
            _ => {
                let merged = self.store.merged_progress(run_id, generation, former).await?;
                self.seen = Some((fences, merged));
                Ok((merged, false))
            }
        }
    }
}
