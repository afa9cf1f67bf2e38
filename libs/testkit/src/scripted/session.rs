//! One session: opened, kept alive by a beat of its own, fed by long polls, lost or drained.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use gauntlet_core::limits::{BEAT_INTERVAL, LEASE_TTL, POLL_TIMEOUT_MAX};
use gauntlet_proto::{edge, v1};
use gauntlet_rpc::with_deadline;
use gauntlet_runtime::{Backoff, Lifecycle, jitter};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use super::leases::{GrantKey, Lease, Leases};
use super::peer::{self, Failed};
use super::trace::{Traced, What};
use super::{Executor, complete, shard};

/// How much longer than the poll the call may take.
const POLL_SLACK: Duration = Duration::from_secs(5);
/// Shortest time between renewals, however many hints arrive; the real executor's.
const GAP_MIN: Duration = Duration::from_millis(5);
/// Held back of a lease's life, so that work has stopped before anybody else may start.
const SILENCE_MARGIN: Duration = Duration::from_secs(1);
/// A poll and the one that replaces it.
const POLLS_MAX: usize = 2;
/// How long a poll may offer fewer slots than are free: a busy executor's poll is answered sooner anyway.
const OUTGROWN_AFTER: Duration = Duration::from_millis(10);
/// Grants between their arrival and their task.
const JOBS_MAX: usize = 64;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The scheduler does not know it any more, or was not heard of for too long.
    Lost,
    /// This process drains.
    Drained,
}

type Job = (Arc<Lease>, v1::ShardGrant);

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) leases: Leases,
    /// Makes the next renewal happen now.
    pub(crate) renew: Notify,
    id: String,
    beat_interval: Duration,
    lease_ttl: Duration,
    heard_at: Mutex<Instant>,
}

impl Session {
    /// Opens a session.
    pub(crate) async fn open(executor: &Executor, id: Uuid) -> Result<Self, Status> {
        let asked_at = Instant::now();
        let request = v1::OpenSessionRequest {
            session_id: id.to_string(),
            name: executor.config.name.clone(),
            protocol_version: i32::try_from(executor.manner.protocol_version).unwrap_or(i32::MAX),
            browsers: vec![executor.manner.browser.into()],
            slots: i32::try_from(executor.config.slots).unwrap_or(i32::MAX),
            films: true,
            filters_egress: true,
            attributes: Vec::new(),
        };
        let reply = executor.peers.leases.clone().open_session(request).await?.into_inner();
        let read = |wire: &Option<pbjson_types::Duration>, default| {
            let given = wire.as_ref().and_then(|wire| edge::duration("", wire).ok());
            given.filter(|given| !given.is_zero()).unwrap_or(default)
        };
        Ok(Self {
            leases: Leases::new(executor.config.slots),
            renew: Notify::new(),
            id: id.to_string(),
            beat_interval: read(&reply.beat_interval, BEAT_INTERVAL),
            lease_ttl: read(&reply.lease_ttl, LEASE_TTL),
            heard_at: Mutex::new(asked_at),
        })
    }

    /// Renews now if a lease of the run is held.
    pub(crate) fn hint(&self, run_id: Uuid) {
        if self.leases.holds_run(run_id) {
            self.renew.notify_one();
        }
    }

    /// Works until the session is lost or the process drains. Whatever it holds then is void.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        executor: &Arc<Executor>,
        lifecycle: &Lifecycle,
    ) -> SessionEnd {
        let (jobs, mut arrived) = mpsc::channel::<Job>(JOBS_MAX);
        let (completions, pending) = mpsc::channel(JOBS_MAX);
        // Apart from the shards, so that no work holds up the beat.
        let mut parts = JoinSet::new();
        parts.spawn(Arc::clone(self).beat(Arc::clone(executor), jobs.clone()));
        parts.spawn(Arc::clone(self).claim(Arc::clone(executor), jobs));
        parts.spawn(Arc::clone(self).silence());
        let mut completer = JoinSet::new();
        completer.spawn(complete::run(self.id.clone(), executor.peers.clone(), pending));
        let mut shards = JoinSet::new();
        loop {
            tokio::select! {
                () = lifecycle.draining() => {
                    self.close(executor).await;
                    return SessionEnd::Drained;
                }
                _ = parts.join_next() => return SessionEnd::Lost,
                Some((lease, grant)) = arrived.recv() => {
                    let (session, executor) = (Arc::clone(self), Arc::clone(executor));
                    let completions = completions.clone();
                    shards.spawn(async move {
                        shard::run(&executor, &lease, grant, &completions).await;
                        session.leases.end(&lease.key);
                    });
                }
                Some(_) = shards.join_next() => {}
            }
        }
    }

    async fn beat(self: Arc<Self>, executor: Arc<Executor>, jobs: mpsc::Sender<Job>) {
        let mut wait = self.beat_interval;
        loop {
            tokio::select! {
                () = tokio::time::sleep(jitter(wait.mul_f64(0.95), 0.05)) => {}
                () = self.renew.notified() => {}
            }
            let asked_at = Instant::now();
            let request = v1::RenewLeasesRequest {
                session_id: self.id.clone(),
                held: self.leases.named(executor.manner.protocol_version),
                draining: false,
            };
            let request = with_deadline(request, self.beat_interval);
            match executor.peers.leases.clone().renew_leases(request).await {
                Ok(reply) => {
                    let reply = reply.into_inner();
                    *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
                    self.trip(&executor, &reply.leases);
                    self.take(reply.unnamed_grants, &jobs).await;
                    wait = self.beat_interval;
                }
                Err(status) if peer::judge(&status) == Failed::SessionLost => return,
                Err(_) => wait = self.beat_interval / 4,
            }
            tokio::time::sleep(GAP_MIN).await;
        }
    }

    fn trip(&self, executor: &Executor, renewed: &[v1::RenewedLease]) {
        for told in renewed.iter().filter(|told| told.abort_requested || told.lost) {
            let key = GrantKey::of(&told.run_id, told.shard_index, told.epoch);
            let Some(lease) = key.and_then(|key| self.leases.find(&key)) else { continue };
            lease.stop.cancel();
            if lease.script.traced {
                let GrantKey { run_id, shard_index, .. } = lease.key;
                (executor.trace)(Traced::now(What::Tripped, run_id, shard_index));
            }
        }
    }

    /// Keeps one poll open while slots are free. Once more slots are free than it offers, a second one replaces it: the
    /// scheduler answers the first one then, so nothing is lost between the two.
    async fn claim(self: Arc<Self>, executor: Arc<Executor>, jobs: mpsc::Sender<Job>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut polls = FuturesUnordered::new();
        loop {
            let free = self.leases.more_free_slots(0).await;
            polls.push(self.poll(&executor, free));
            while !polls.is_empty() {
                let answer = tokio::select! {
                    Some(answer) = polls.next() => answer,
                    () = self.outgrown(free), if polls.len() < POLLS_MAX => break,
                };
                match answer {
                    Ok(grants) => {
                        backoff.reset();
                        self.take(grants, &jobs).await;
                    }
                    Err(status) if peer::judge(&status) == Failed::SessionLost => return,
                    Err(_) => {
                        backoff.sleep().await;
                    }
                }
            }
        }
    }

    async fn poll(&self, executor: &Executor, free: u32) -> Result<Vec<v1::ShardGrant>, Status> {
        let request = v1::ClaimShardsRequest {
            session_id: self.id.clone(),
            free_slots: i32::try_from(free).unwrap_or(i32::MAX),
            poll_timeout: Some(edge::wire_duration(POLL_TIMEOUT_MAX)),
        };
        let request = with_deadline(request, POLL_TIMEOUT_MAX + POLL_SLACK);
        Ok(executor.peers.leases.clone().claim_shards(request).await?.into_inner().grants)
    }

    /// Waits until a poll that offers `free` slots has offered too few for a while.
    async fn outgrown(&self, free: u32) {
        self.leases.more_free_slots(free).await;
        tokio::time::sleep(OUTGROWN_AFTER).await;
    }

    async fn take(&self, grants: Vec<v1::ShardGrant>, jobs: &mpsc::Sender<Job>) {
        for grant in grants {
            if let Some(lease) = self.leases.take(&grant) {
                // Fails only when the session is over, and then nothing of it counts.
                let _ = jobs.send((lease, grant)).await;
            }
        }
    }

    /// Returns when so little was heard that the leases must be taken as lost.
    async fn silence(self: Arc<Self>) {
        let patience = self.lease_ttl.saturating_sub(SILENCE_MARGIN);
        loop {
            let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
            if heard_at.elapsed() >= patience {
                return;
            }
            tokio::time::sleep_until(heard_at + patience).await;
        }
    }

    async fn close(&self, executor: &Executor) {
        let request = v1::CloseSessionRequest { session_id: self.id.clone() };
        // A session that cannot be closed expires.
        let _ = executor.peers.leases.clone().close_session(request).await;
    }
}
