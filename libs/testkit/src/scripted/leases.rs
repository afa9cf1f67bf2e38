//! The leases of one session: which grants were taken, which are running. No grant is taken twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gauntlet_proto::v1;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::script::Script;

/// Grants remembered after their end, so that a repeat is recognised.
const SEEN_GRANTS_MAX: usize = 8_192;
/// No test is running.
const IDLE: i32 = -1;

/// The name of a grant, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GrantKey {
    pub(crate) run_id: Uuid,
    pub(crate) shard_index: i32,
    pub(crate) epoch: i64,
}

impl GrantKey {
    pub(crate) fn of(run_id: &str, shard_index: i32, epoch: i64) -> Option<Self> {
        Some(Self { run_id: run_id.parse().ok()?, shard_index, epoch })
    }
}

/// One lease that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) key: GrantKey,
    pub(crate) generation: i32,
    pub(crate) script: Script,
    /// Tripped when the lease is void: aborted, lost, or the session is over.
    pub(crate) stop: CancellationToken,
    cost: u32,
    running: AtomicI32,
}

impl Lease {
    /// Names `ordinal` as the running test; none is running without one.
    pub(crate) fn set_running(&self, ordinal: Option<i32>) {
        self.running.store(ordinal.unwrap_or(IDLE), Ordering::Relaxed);
    }

    pub(crate) fn shard(&self) -> v1::ShardRef {
        v1::ShardRef {
            run_id: self.key.run_id.to_string(),
            generation: self.generation,
            shard_index: self.key.shard_index,
            epoch: self.key.epoch,
        }
    }
}

/// All leases of a session.
#[derive(Debug)]
pub(crate) struct Leases {
    slots: u32,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<GrantKey, Arc<Lease>>,
    seen: HashSet<GrantKey>,
    seen_order: VecDeque<GrantKey>,
}

impl Leases {
    pub(crate) fn new(slots: u32) -> Self {
        Self { slots, table: Mutex::default(), freed: Notify::new() }
    }

    /// Takes a grant; none when it was taken before.
    pub(crate) fn take(&self, grant: &v1::ShardGrant) -> Option<Arc<Lease>> {
        let key = GrantKey::of(&grant.run_id, grant.shard_index, grant.epoch)?;
        let options = grant.options.clone().unwrap_or_default();
        let mut table = self.lock();
        if !table.seen.insert(key) {
            return None;
        }
        table.seen_order.push_back(key);
        if table.seen_order.len() > SEEN_GRANTS_MAX {
            let oldest = table.seen_order.pop_front();
            oldest.map(|key| table.seen.remove(&key));
        }
        let lease = Arc::new(Lease {
            key,
            generation: grant.generation,
            script: Script::of(&options).in_generation(grant.generation),
            stop: CancellationToken::new(),
            cost: options.workers.unsigned_abs().clamp(1, self.slots),
            running: AtomicI32::new(IDLE),
        });
        table.held.insert(key, Arc::clone(&lease));
        Some(lease)
    }

    /// Forgets a lease that has ended.
    pub(crate) fn end(&self, key: &GrantKey) {
        self.lock().held.remove(key);
        self.freed.notify_waiters();
    }

    pub(crate) fn find(&self, key: &GrantKey) -> Option<Arc<Lease>> {
        self.lock().held.get(key).cloned()
    }

    pub(crate) fn holds_run(&self, run_id: Uuid) -> bool {
        self.lock().held.keys().any(|key| key.run_id == run_id)
    }

    /// Returns the leases as a renewal of this protocol version names them.
    pub(crate) fn named(&self, protocol_version: u32) -> Vec<v1::HeldLease> {
        let held = |lease: &Arc<Lease>| {
            let running = match lease.running.load(Ordering::Relaxed) {
                IDLE => None,
                ordinal => Some(ordinal),
            };
            let test = |ordinal| v1::RunningTest { ordinal, step_index: -1, attempt: 0 };
            v1::HeldLease {
                run_id: lease.key.run_id.to_string(),
                shard_index: lease.key.shard_index,
                epoch: lease.key.epoch,
                running_ordinals: running.filter(|_| protocol_version < 2).into_iter().collect(),
                running: running.filter(|_| protocol_version >= 2).map(test).into_iter().collect(),
            }
        };
        self.lock().held.values().map(held).collect()
    }

    /// Waits until more than `than` slots are free and returns how many are.
    pub(crate) async fn more_free_slots(&self, than: u32) -> u32 {
        loop {
            // Interest first, then the look: a lease that ends in between is not missed.
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let used: u32 = self.lock().held.values().map(|lease| lease.cost).sum();
            let free = self.slots.saturating_sub(used);
            if free > than {
                return free;
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_taken_once_and_holds_its_slots_until_it_ends() {
        let leases = Leases::new(4);
        let grant = v1::ShardGrant {
            run_id: Uuid::max().to_string(),
            epoch: 1,
            options: Some(v1::RunOptions { workers: 10, ..Default::default() }),
            ..Default::default()
        };
        let lease = leases.take(&grant).unwrap();
        assert!(lease.cost == 4 && leases.holds_run(Uuid::max()));
        leases.end(&lease.key);
        assert!(leases.take(&grant).is_none() && !leases.holds_run(Uuid::max()));
    }
}
