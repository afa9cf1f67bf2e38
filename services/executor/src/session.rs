//! The executor's session at the scheduler: opened, kept alive, lost, opened again.
//!
//! Owns the order of a session's life and the tasks inside it. Promises: when the session is lost, or nothing was heard of
//! the scheduler for almost a lease's life (measured in time that also passes while the machine or the process stands
//! still, B11), every browser dies and nothing of its leases is reported; a new session begins. Nothing is durable: after
//! a crash the scheduler reaps the session.

use crate::{
    app::Executor,
    beat,
    cancel::StopReason,
    claim::{self, ClaimEnd},
    leases::{Arrival, GrantKey, Lease, Leases},
    peer::{Failed, Patience},
    shard,
};
use gauntlet_core::{
    ids::SessionId,
    limits::{BEAT_INTERVAL, LEASE_TTL, PROTOCOL_VERSION},
};
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::{Lifecycle, ids};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// What is held back of a lease's life, so that browsers are dead before anybody else may start.
const SILENCE_MARGIN_MAX: Duration = Duration::from_secs(1);
/// How often silence is looked for.
const SILENCE_TICK: Duration = Duration::from_millis(100);
/// Grants between their arrival and their task.
const JOBS_MAX: usize = 64;
/// How long tasks of a lost session get to see their browsers dead.
const LOST_WAIT: Duration = Duration::from_secs(5);
/// How long the last word of a session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) beat_interval: Duration,
    pub(crate) leases: Leases,
    /// Makes the next renewal happen now.
    pub(crate) renew: Notify,
    /// Renewals answered so far.
    pub(crate) beats: watch::Sender<u64>,
    lease_ttl: Duration,
    heard_at: Mutex<Duration>,
}

/// Why serving a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The scheduler does not know it any more.
    Lost,
    /// Nothing was heard for too long.
    Silent,
    /// Drained: nothing is held.
    Drained,
}

/// Why no session could be had.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler refuses this executor: {message}")]
pub(crate) struct SessionError {
    message: String,
}

/// What arrived and needs a task.
#[derive(Debug)]
pub(crate) enum Job {
    /// A new grant.
    Run(Arc<Lease>, Box<v1::ShardGrant>),
    /// A grant given up before: the scheduler shall take it back.
    HandBack(GrantKey),
}

/// Returns the time since boot, suspension included.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Session {
    fn new(id: SessionId, slots: u32, reply: &v1::OpenSessionResponse, asked_at: Duration) -> Self {
        let read = |wire: &Option<pbjson_types::Duration>, default| {
            let given = wire.as_ref().and_then(|wire| edge::duration("", wire).ok());
            given.filter(|given| !given.is_zero()).unwrap_or(default)
        };
        Self {
            id,
            beat_interval: read(&reply.beat_interval, BEAT_INTERVAL),
            leases: Leases::new(slots),
            renew: Notify::new(),
            beats: watch::Sender::new(0),
            lease_ttl: read(&reply.lease_ttl, LEASE_TTL),
            heard_at: Mutex::new(asked_at),
        }
    }

    /// Returns the instant to pass to [`Session::hear`] once a call made now is answered: the lease counts from when the
    /// scheduler wrote it, which is not before the call.
    pub(crate) fn asking(&self) -> Duration {
        since_boot()
    }

    /// Notes that the scheduler answered a call made at `asked_at`.
    pub(crate) fn hear(&self, asked_at: Duration) {
        let mut heard_at = self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        *heard_at = asked_at.max(*heard_at);
    }

    /// Returns whether so little was heard that the leases must be taken as lost.
    pub(crate) fn is_silent(&self) -> bool {
        let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        let margin = SILENCE_MARGIN_MAX.min(self.lease_ttl / 4);
        since_boot().saturating_sub(heard_at) >= self.lease_ttl.saturating_sub(margin)
    }

    async fn silence(&self) {
        let mut ticks = tokio::time::interval(SILENCE_TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_silent() {
            ticks.tick().await;
        }
    }

    /// Takes grants that arrived, by whichever reply, and queues what is new.
    pub(crate) async fn take(&self, grants: Vec<v1::ShardGrant>, jobs: &mpsc::Sender<Job>) {
        for grant in grants {
            let job = match self.leases.arrive(&grant) {
                Ok(Arrival::New(lease)) => Job::Run(lease, Box::new(grant)),
                Ok(Arrival::Known) => continue,
                Ok(Arrival::GivenUp(key)) => Job::HandBack(key),
                Err(violation) => {
                    tracing::error!(
                        field = violation.field,
                        "scheduler granted something malformed, ignored"
                    );
                    continue;
                }
            };
            // Fails only when the session is over, and then nothing of it counts.
            let _ = jobs.send(job).await;
        }
    }
}

/// Opens sessions and serves them until the drain is done.
pub(crate) async fn run(executor: Arc<Executor>, lifecycle: Lifecycle) -> Result<(), SessionError> {
    let mut silent: Option<SessionId> = None;
    while let Some(session) = open(&executor, &lifecycle).await? {
        if let Some(old) = silent.take() {
            // The scheduler may still believe in it: what it holds need not wait for the reaper.
            close(&executor, old).await;
        }
        let session = Arc::new(session);
        executor.enter(&session);
        tracing::info!(session.id = %session.id, "session opened");
        let end = serve(&executor, &session, &lifecycle).await;
        tracing::info!(session.id = %session.id, ?end, "session ended");
        match end {
            SessionEnd::Lost => {}
            SessionEnd::Silent => silent = Some(session.id),
            SessionEnd::Drained => {
                close(&executor, session.id).await;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Opens a session, for as long as it takes; none when the drain begins first.
async fn open(executor: &Executor, lifecycle: &Lifecycle) -> Result<Option<Session>, SessionError> {
    let id = SessionId(ids::v4());
    let request = v1::OpenSessionRequest {
        session_id: id.to_string(),
        name: executor.config.name.clone(),
        protocol_version: i32::try_from(PROTOCOL_VERSION).unwrap_or(i32::MAX),
        browsers: executor.browsers.iter().map(|browser| i32::from(*browser)).collect(),
        slots: i32::try_from(executor.config.slots).unwrap_or(i32::MAX),
        films: executor.encoder.is_some(),
        filters_egress: executor.runner.filters_egress(),
        attributes: executor.attributes.clone(),
    };
    let mut patience = Patience::new();
    loop {
        let mut leases = executor.peers.leases.clone();
        let asked_at = since_boot();
        let attempt = async {
            match leases.open_session(request.clone()).await {
                Ok(reply) => Ok(reply.into_inner()),
                Err(status) => Err((patience.after(Some(&status)).await, status)),
            }
        };
        let answer = tokio::select! {
            () = lifecycle.draining() => return Ok(None),
            answer = attempt => answer,
        };
        match answer {
            Ok(reply) => {
                return Ok(Some(Session::new(id, executor.config.slots, &reply, asked_at)));
            }
            Err((Failed::Refused, status)) => {
                return Err(SessionError { message: status.message().to_owned() });
            }
            Err((_, status)) => {
                tracing::warn!(code = ?status.code(), message = status.message(), "scheduler does not open a session yet");
            }
        }
    }
}

async fn close(executor: &Executor, id: SessionId) {
    let request = v1::CloseSessionRequest { session_id: id.to_string() };
    let request = gauntlet_rpc::with_deadline(request, CLOSE_TIMEOUT);
    if let Err(status) = executor.peers.leases.clone().close_session(request).await {
        tracing::warn!(code = ?status.code(), "session could not be closed, it will expire");
    }
}

async fn serve(
    executor: &Arc<Executor>,
    session: &Arc<Session>,
    lifecycle: &Lifecycle,
) -> SessionEnd {
    let mut shards = JoinSet::new();
    let end = work(executor, session, lifecycle, &mut shards).await;
    if end != SessionEnd::Drained {
        session.leases.trip_all(StopReason::LeaseLost);
    }
    executor.slots.kill_idle().await;
    let all_ended = async { while shards.join_next().await.is_some() {} };
    if tokio::time::timeout(LOST_WAIT, all_ended).await.is_err() {
        tracing::error!(
            shards = shards.len(),
            "shards of an ended session do not stop, cutting them off"
        );
    }
    shards.shutdown().await;
    executor.slots.kill_idle().await;
    end
}

async fn work(
    executor: &Arc<Executor>,
    session: &Arc<Session>,
    lifecycle: &Lifecycle,
    shards: &mut JoinSet<()>,
) -> SessionEnd {
    let (sender, mut jobs) = mpsc::channel(JOBS_MAX);
    let heart = beat::run(executor, session, lifecycle, sender.clone());
    let claimer = claim::run(executor, session, lifecycle, sender);
    let silence = session.silence();
    tokio::pin!(heart, claimer, silence);
    let (mut draining, mut claims, mut over_at) = (false, true, Instant::now());
    loop {
        if draining && !claims && shards.is_empty() && jobs.is_empty() && session.leases.is_empty()
        {
            return SessionEnd::Drained;
        }
        tokio::select! {
            () = lifecycle.draining(), if !draining => {
                draining = true;
                over_at = Instant::now() + executor.config.grace.mul_f64(0.9);
                session.leases.trip_all(StopReason::Drain);
                session.renew.notify_one();
            }
            () = tokio::time::sleep_until(over_at), if draining && !shards.is_empty() => {
                session.leases.trip_all(StopReason::DrainOver);
                over_at += executor.config.grace;
            }
            end = &mut heart => return end,
            () = &mut silence => return SessionEnd::Silent,
            end = &mut claimer, if claims => match end {
                ClaimEnd::Draining => claims = false,
                ClaimEnd::SessionLost => return SessionEnd::Lost,
            },
            Some(job) = jobs.recv() => start(executor, session, job, draining, shards),
            Some(_) = shards.join_next() => {}
        }
    }
}

/// Shards run on tasks of their own, so that no work holds up the beat (B11).
fn start(
    executor: &Arc<Executor>,
    session: &Arc<Session>,
    job: Job,
    draining: bool,
    shards: &mut JoinSet<()>,
) {
    let (executor, session) = (Arc::clone(executor), Arc::clone(session));
    match job {
        Job::Run(lease, grant) => {
            if draining {
                lease.stop.trip(StopReason::Drain);
            }
            shards.spawn(shard::run(executor, session, lease, *grant));
        }
        Job::HandBack(key) => {
            shards.spawn(shard::hand_back(executor, session, key));
        }
    }
}
