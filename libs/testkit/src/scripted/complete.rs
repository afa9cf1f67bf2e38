//! Ends leases, many with one call: while one call is answered, the next batch gathers.

use std::time::Duration;

use gauntlet_proto::v1;
use gauntlet_runtime::Backoff;
use tokio::sync::{mpsc, oneshot};

use super::peer::{self, Failed, Peers};

/// Items of one call, by contract.
const COMPLETIONS_MAX: usize = 256;

/// A completion and who waits for its answer.
pub(crate) type Pending = (v1::ShardCompletion, oneshot::Sender<()>);

/// Sends completions of a session until it is over; each is repeated until it is answered.
pub(crate) async fn run(
    session_id: String,
    mut peers: Peers,
    mut pending: mpsc::Receiver<Pending>,
) {
    let mut batch: Vec<Pending> = Vec::new();
    while pending.recv_many(&mut batch, COMPLETIONS_MAX).await > 0 {
        let completions = batch.iter().map(|(completion, _)| completion.clone()).collect();
        let request = v1::CompleteShardsRequest { session_id: session_id.clone(), completions };
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        while let Err(status) = peers.leases.complete_shards(request.clone()).await {
            match peer::judge(&status) {
                Failed::Again => {
                    backoff.sleep().await;
                }
                Failed::LeaseVoid | Failed::SessionLost => break,
                Failed::Refused => {
                    tracing::error!(message = status.message(), "completions were refused");
                    break;
                }
            }
        }
        for (_, waiting) in batch.drain(..) {
            // Nobody waits for a lease that became void.
            let _ = waiting.send(());
        }
    }
}
