//! Asking for work: one long poll while slots are free.
//!
//! Owns the pace of that: never while draining, never with no slot free, never in a busy loop. A poll that is dropped may
//! have been answered; the next renewal lists such grants, so the heartbeat is woken and a lost reply costs no attempt.

use crate::{
    app::Executor,
    fault::FaultPoint,
    peer::{Failed, Patience},
    session::{Job, Session},
};
use gauntlet_core::limits::POLL_TIMEOUT_MAX;
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::Lifecycle;
use std::time::Duration;
use tokio::{sync::mpsc, time::Instant};

/// How much longer than the poll the call may take.
const POLL_SLACK: Duration = Duration::from_secs(5);
/// An empty answer that came sooner is followed by a pause as long.
const EMPTY_POLL_MIN: Duration = Duration::from_millis(200);

/// Why claiming ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimEnd {
    /// The executor drains.
    Draining,
    /// The session is lost.
    SessionLost,
}

/// Claims until the drain begins or the session is lost.
pub(crate) async fn run(
    executor: &Executor,
    session: &Session,
    lifecycle: &Lifecycle,
    jobs: mpsc::Sender<Job>,
) -> ClaimEnd {
    tokio::select! {
        () = lifecycle.draining() => {
            session.renew.notify_one();
            ClaimEnd::Draining
        }
        end = claim_on(executor, session, &jobs) => end,
    }
}

async fn claim_on(executor: &Executor, session: &Session, jobs: &mpsc::Sender<Job>) -> ClaimEnd {
    executor.fault.reached(FaultPoint::Idle).await;
    let mut patience = Patience::new();
    loop {
        let free = session.leases.more_free_slots(0).await;
        let begun = Instant::now();
        let answer = tokio::select! {
            answer = poll(executor, session, free) => answer,
            // A shard that needs more slots than this poll offers could be waiting.
            _ = session.leases.more_free_slots(free) => {
                session.renew.notify_one();
                continue;
            }
        };
        match answer {
            Ok(grants) => {
                patience.reset();
                if grants.is_empty() && begun.elapsed() < EMPTY_POLL_MIN {
                    tokio::time::sleep(EMPTY_POLL_MIN).await;
                }
                session.take(grants, jobs).await;
            }
            Err(status) => match patience.after(Some(&status)).await {
                Failed::SessionLost => return ClaimEnd::SessionLost,
                Failed::Refused | Failed::LeaseLost => {
                    tracing::error!(code = ?status.code(), message = status.message(), "claim was refused");
                    tokio::time::sleep(POLL_SLACK).await;
                }
                Failed::Unavailable | Failed::Bug => {
                    tracing::debug!(code = ?status.code(), "claim failed, asking again");
                }
            },
        }
    }
}

async fn poll(
    executor: &Executor,
    session: &Session,
    free_slots: u32,
) -> Result<Vec<v1::ShardGrant>, tonic::Status> {
    let request = v1::ClaimShardsRequest {
        session_id: session.id.to_string(),
        free_slots: i32::try_from(free_slots).unwrap_or(i32::MAX),
        poll_timeout: Some(edge::wire_duration(POLL_TIMEOUT_MAX)),
    };
    let request = gauntlet_rpc::with_deadline(request, POLL_TIMEOUT_MAX + POLL_SLACK);
    Ok(executor.peers.leases.clone().claim_shards(request).await?.into_inner().grants)
}
