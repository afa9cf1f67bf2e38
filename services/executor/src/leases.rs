//! The leases of one session, as their holder knows them.
//!
//! Owns which grants were taken, which are running, and how each ended, so that no grant is ever run twice however often it
//! arrives: by the reply to a claim, by the reply to a renewal, or by both (B1). A crash forgets all of it; the next process
//! opens a session of its own, and the scheduler's row decides what becomes of these leases.

use crate::cancel::{Stop, StopReason};
use gauntlet_browser::Control;
use gauntlet_core::ids::{LeaseEpoch, RunId};
use gauntlet_proto::{FieldViolation, edge, v1};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Grants whose end is remembered, so that a late repeat is recognised.
const ENDED_GRANTS_MAX: usize = 4_096;

/// The name of one grant, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GrantKey {
    /// The run.
    pub(crate) run_id: RunId,
    /// The shard.
    pub(crate) shard_index: i32,
    /// Fencing number of the grant.
    pub(crate) epoch: LeaseEpoch,
}

impl GrantKey {
    /// Returns the name of a grant of the wire.
    ///
    /// # Errors
    /// A violation when the run id or the epoch is malformed.
    pub(crate) fn of(run_id: &str, shard_index: i32, epoch: i64) -> Result<Self, FieldViolation> {
        let run_id = RunId(edge::uuid("run_id", run_id)?);
        let epoch = u64::try_from(epoch)
            .map_err(|_| FieldViolation::new("epoch", "must not be negative"))?;
        Ok(Self { run_id, shard_index, epoch: LeaseEpoch(epoch) })
    }

    pub(crate) fn wire_epoch(&self) -> i64 {
        i64::try_from(self.epoch.0).unwrap_or(i64::MAX)
    }
}

/// One lease that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) key: GrantKey,
    pub(crate) generation: i32,
    /// Slots it costs.
    pub(crate) cost: u32,
    pub(crate) stop: Stop,
    /// Attempt and handle of each running test.
    running: Mutex<BTreeMap<i32, (i32, Arc<Control>)>>,
}

impl Lease {
    /// Names an attempt of a test as running until the guard is dropped.
    pub(crate) fn run(&self, ordinal: i32, attempt: i32, control: &Arc<Control>) -> Running<'_> {
        lock(&self.running).insert(ordinal, (attempt, Arc::clone(control)));
        Running { lease: self, ordinal }
    }

    /// Returns the running tests and how far they are.
    pub(crate) fn running(&self) -> Vec<v1::RunningTest> {
        let test = |(ordinal, (attempt, control)): (&i32, &(i32, Arc<Control>))| v1::RunningTest {
            ordinal: *ordinal,
            step_index: control.step_index(),
            attempt: *attempt,
        };
        lock(&self.running).iter().map(test).collect()
    }

    pub(crate) fn shard(&self) -> v1::ShardRef {
        v1::ShardRef {
            run_id: self.key.run_id.to_string(),
            generation: self.generation,
            shard_index: self.key.shard_index,
            epoch: self.key.wire_epoch(),
        }
    }
}

/// A test that is named as running while this lives.
#[derive(Debug)]
pub(crate) struct Running<'l> {
    lease: &'l Lease,
    ordinal: i32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.lease.running).remove(&self.ordinal);
    }
}

/// How a lease ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The scheduler answered its completion.
    Answered,
    /// Given up without an answer: lost, or the scheduler refused.
    Dropped,
}

/// What a grant that arrived is.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// New: run it.
    New(Arc<Lease>),
    /// Running already, or ended with an answer: nothing to do.
    Known,
    /// Given up here, and the scheduler still believes us to hold it: hand it back.
    GivenUp(GrantKey),
}

/// All leases of one session.
#[derive(Debug)]
pub(crate) struct Leases {
    slots: u32,
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<GrantKey, Arc<Lease>>,
    ended: HashMap<GrantKey, Ended>,
    ended_order: VecDeque<GrantKey>,
}

impl Leases {
    pub(crate) fn new(slots: u32) -> Self {
        Self { slots, table: Mutex::default(), changed: Notify::new() }
    }

    /// Takes a grant that arrived.
    pub(crate) fn arrive(&self, grant: &v1::ShardGrant) -> Result<Arrival, FieldViolation> {
        let key = GrantKey::of(&grant.run_id, grant.shard_index, grant.epoch)?;
        let mut table = lock(&self.table);
        if table.held.contains_key(&key) {
            return Ok(Arrival::Known);
        }
        match table.ended.get(&key) {
            Some(Ended::Answered) => return Ok(Arrival::Known),
            Some(Ended::Dropped) => return Ok(Arrival::GivenUp(key)),
            None => {}
        }
        let workers = grant.options.as_ref().map_or(1, |options| options.workers.max(1));
        let lease = Arc::new(Lease {
            key,
            generation: grant.generation,
            cost: u32::try_from(workers).unwrap_or(1).min(self.slots),
            stop: Stop::new(),
            running: Mutex::default(),
        });
        table.held.insert(key, Arc::clone(&lease));
        Ok(Arrival::New(lease))
    }

    /// Forgets a lease, and remembers how it ended.
    pub(crate) fn end(&self, key: GrantKey, ended: Ended) {
        let mut table = lock(&self.table);
        table.held.remove(&key);
        if table.ended.insert(key, ended).is_none() {
            table.ended_order.push_back(key);
        }
        if table.ended_order.len() > ENDED_GRANTS_MAX {
            let oldest = table.ended_order.pop_front();
            oldest.and_then(|key| table.ended.remove(&key));
        }
        drop(table);
        self.changed.notify_waiters();
    }

    /// Trips the lease that a renewal spoke of; returns it when that was news.
    pub(crate) fn trip(&self, key: &GrantKey, reason: StopReason) -> Option<Arc<Lease>> {
        let lease = lock(&self.table).held.get(key).cloned()?;
        lease.stop.trip(reason).then_some(lease)
    }

    pub(crate) fn trip_all(&self, reason: StopReason) {
        for lease in self.all() {
            lease.stop.trip(reason);
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Lease>> {
        lock(&self.table).held.values().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.table).held.is_empty()
    }

    /// Returns whether another lease of `key`'s run is held here.
    pub(crate) fn has_sibling(&self, key: &GrantKey) -> bool {
        lock(&self.table).held.keys().any(|held| held.run_id == key.run_id && held != key)
    }

    /// Returns the leases as a renewal names them.
    pub(crate) fn named(&self) -> Vec<v1::HeldLease> {
        self.all()
            .iter()
            .map(|lease| v1::HeldLease {
                run_id: lease.key.run_id.to_string(),
                shard_index: lease.key.shard_index,
                epoch: lease.key.wire_epoch(),
                running_ordinals: Vec::new(),
                running: lease.running(),
            })
            .collect()
    }

    /// Returns how many slots no lease costs.
    pub(crate) fn free_slots(&self) -> u32 {
        let used = lock(&self.table).held.values().map(|lease| lease.cost).sum();
        self.slots.saturating_sub(used)
    }

    /// Waits until more than `than` slots are free.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub(crate) async fn more_free_slots(&self, than: u32) -> u32 {
        loop {
            // Interest first, then the look: a lease that ends in between is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let free = self.free_slots();
            if free > than {
                return free;
            }
            changed.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(shard_index: i32, workers: i32) -> v1::ShardGrant {
        v1::ShardGrant {
            run_id: "0198a8a0-0000-7000-8000-000000000001".to_owned(),
            shard_index,
            epoch: 1,
            options: Some(v1::RunOptions { workers, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn a_grant_costs_its_workers_but_never_more_than_the_executor_has() {
        let leases = Leases::new(4);
        assert!(matches!(leases.arrive(&grant(0, 3)), Ok(Arrival::New(_))));
        assert_eq!(leases.free_slots(), 1);
        assert!(matches!(leases.arrive(&grant(1, 10)), Ok(Arrival::New(_))));
        assert_eq!(leases.free_slots(), 0);
    }

    #[test]
    fn a_grant_that_ended_is_never_new_again() {
        let leases = Leases::new(4);
        let Ok(Arrival::New(lease)) = leases.arrive(&grant(0, 1)) else { panic!("not new") };
        assert!(matches!(leases.arrive(&grant(0, 1)), Ok(Arrival::Known)));
        leases.end(lease.key, Ended::Answered);
        assert!(matches!(leases.arrive(&grant(0, 1)), Ok(Arrival::Known)));
        let Ok(Arrival::New(other)) = leases.arrive(&grant(1, 1)) else { panic!("not new") };
        leases.end(other.key, Ended::Dropped);
        assert!(matches!(leases.arrive(&grant(1, 1)), Ok(Arrival::GivenUp(_))));
    }
}
