//! Keeps the leases of all finalizations of this process, in one call a beat.
//!
//! Owns who is told of a loss: only the finalization that lost its lease. A renewal that fails is repeated at the next
//! beat, and until then the work goes on: the epoch protects the close. A crash lets the leases expire.

use gauntlet_core::ReplicaId;
use gauntlet_core::limits::LEASE_TTL;
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, finalization_service_client::FinalizationServiceClient};
use gauntlet_rpc::{Peer, with_deadline};
use gauntlet_runtime::Lifecycle;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Leases in one call.
const RENEWED_MAX: usize = 256;

/// Names a lease: run, generation, epoch.
type Key = (String, i32, i64);

fn key_of(held: &v1::HeldFinalization) -> Key {
    (held.run_id.clone(), held.generation, held.finalizer_epoch)
}

struct Kept {
    ttl: Duration,
    /// Dropped when the lease is lost.
    _alive: oneshot::Sender<()>,
}

/// The leases held by this process. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Leases {
    kept: Arc<Mutex<HashMap<Key, Kept>>>,
    added: Arc<Notify>,
}

/// A lease while somebody works under it.
pub(super) struct Lease {
    leases: Leases,
    key: Key,
    lost: oneshot::Receiver<()>,
}

impl Lease {
    /// Waits until the lease is lost.
    pub(super) async fn lost(&mut self) {
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.key);
    }
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a claim's lease for as long as the returned value lives.
    pub(super) fn keep(&self, claim: &v1::FinalizationClaim) -> Lease {
        let ttl = claim.lease_ttl.as_ref().and_then(|ttl| edge::duration("lease_ttl", ttl).ok());
        let (alive, lost) = oneshot::channel();
        let key = (claim.run_id.clone(), claim.generation, claim.finalizer_epoch);
        let kept = Kept { ttl: ttl.unwrap_or(LEASE_TTL), _alive: alive };
        self.lock().insert(key.clone(), kept);
        self.added.notify_one();
        Lease { leases: self.clone(), key, lost }
    }

    /// Returns the time between two renewals; none when nothing is held.
    fn interval(&self) -> Option<Duration> {
        self.lock().values().map(|kept| kept.ttl / 3).min()
    }

    /// Renews until the drain has begun and nothing is held any more.
    pub(super) async fn run(
        self,
        replica: ReplicaId,
        scheduler: FinalizationServiceClient<Peer>,
        lifecycle: Lifecycle,
    ) {
        loop {
            while let Some(interval) = self.interval() {
                tokio::time::sleep(interval).await;
                self.renew(replica, &scheduler, interval).await;
            }
            tokio::select! {
                () = self.added.notified() => {}
                () = lifecycle.draining() => return,
            }
        }
    }

    async fn renew(
        &self,
        replica: ReplicaId,
        scheduler: &FinalizationServiceClient<Peer>,
        deadline: Duration,
    ) {
        let keys: Vec<Key> = self.lock().keys().cloned().collect();
        let held = keys.into_iter().map(|(run_id, generation, finalizer_epoch)| {
            v1::HeldFinalization { run_id, generation, finalizer_epoch }
        });
        let held: Vec<_> = held.collect();
        for held in held.chunks(RENEWED_MAX) {
            let request = v1::RenewFinalizationsRequest {
                replica_id: replica.to_string(),
                held: held.to_vec(),
            };
            let renewed =
                scheduler.clone().renew_finalizations(with_deadline(request, deadline)).await;
            let Ok(renewed) = renewed else { continue };
            let renewed: Vec<Key> = renewed.into_inner().renewed.iter().map(key_of).collect();
            let lost = held.iter().map(key_of).filter(|key| !renewed.contains(key));
            // Those that have ended meanwhile are not here any more.
            lost.for_each(|key| drop(self.lock().remove(&key)));
        }
    }
}
