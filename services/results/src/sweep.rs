//! Keeps the store of artifacts small: gives up what is too old, and removes what nobody names. Takes no input; runs on a timer.
//!
//! Every replica runs it: rows are locked while they are settled, and what one has locked the others pass over. Content
//! without a row, which a crash leaves between the two, is found by listing a 256th part of all hashes at a time.

use crate::artifacts::Artifacts;
use crate::grpc::wire;
use crate::store::{SettleError, Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_runtime::{Clock, Lifecycle, error_chain};
use std::io;
use std::time::{Duration, SystemTime};

const INTERVAL: Duration = Duration::from_secs(60);
/// Age at which content without a row belongs to nobody: no upload takes that long between the two.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Transactions of one kind in one round: what is left waits for the next.
const BATCHES_MAX: u32 = 100;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error("rows of artifacts could not be changed")]
    Store(#[source] StoreError),
    #[error("artifacts could not be settled")]
    Settle(#[source] SettleError),
    #[error("artifacts could not be listed")]
    List(#[source] io::Error),
}

/// The loop's state.
pub(crate) struct Sweeper {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) clock: Clock,
    /// How long artifacts are kept after their run was admitted.
    pub(crate) keep: Duration,
    /// Which part of all hashes is listed next.
    pub(crate) part: u8,
}

impl Sweeper {
    /// Runs rounds until the drain.
    pub(crate) async fn run(mut self, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = lifecycle.draining() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(error = %error_chain(&error), "artifacts not swept, next try in a minute");
            }
        }
    }

    /// Does what there is to do; returns how many contents were removed.
    pub(crate) async fn round(&mut self) -> Result<usize, SweepError> {
        let now = SystemTime::from(self.clock.now());
        let before = first_run_of(now.checked_sub(self.keep).unwrap_or(SystemTime::UNIX_EPOCH));
        for _ in 0..BATCHES_MAX {
            if self.store.expire_artifacts(before).await.map_err(SweepError::Store)? == 0 {
                break;
            }
        }
        let part = self.part;
        self.part = part.wrapping_add(1);
        let old = self.artifacts.list_old(part, now, ORPHAN_AGE).await.map_err(SweepError::List)?;
        let old: Vec<_> = old.iter().filter_map(|hash| wire::sha256(hash)).collect();
        for some in old.chunks(1_000) {
            self.store.adopt_artifacts(some).await.map_err(SweepError::Store)?;
        }
        let mut removed = 0;
        for _ in 0..BATCHES_MAX {
            let settled = self.store.settle_artifacts(&self.artifacts).await;
            let settled = settled.map_err(SweepError::Settle)?;
            removed += settled.removed;
            if settled.looked_at == 0 {
                break;
            }
        }
        Ok(removed)
    }
}

/// Returns the smallest id of a run admitted at `at`: ids begin with their time in milliseconds.
fn first_run_of(at: SystemTime) -> RunId {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    RunId(uuid::Uuid::from_u128((since.as_millis() & 0xFFFF_FFFF_FFFF) << 80))
}
