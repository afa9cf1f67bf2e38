//! Keeps the partitions of the coming days ready. Takes no input; runs on a timer. A missed day is made when it is needed.

use crate::store::Store;
use gauntlet_runtime::{Lifecycle, error_chain};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(3_600);

/// Runs the loop until the drain.
pub(crate) async fn run(store: Store, lifecycle: Lifecycle) {
    loop {
        tokio::select! {
            () = lifecycle.draining() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = store.ensure_partitions().await {
            tracing::warn!(error = %error_chain(&error), "partitions not made, next try in an hour");
        }
    }
}
