//! The heartbeat: renews every lease, and hears what became of them.
//!
//! It is the one reliable way by which an abort arrives (C3); a hint only makes it come sooner. It runs apart from the work.
//! A crash ends the beats, and the scheduler reaps the session when its lease has run out.

use crate::{
    app::Executor,
    cancel::StopReason,
    leases::GrantKey,
    peer::{self, Failed},
    session::{Job, Session, SessionEnd},
};
use gauntlet_proto::v1;
use gauntlet_runtime::{Lifecycle, jitter};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Bounds of how long one renewal may take.
const CALL_TIMEOUT_MIN: Duration = Duration::from_millis(500);
const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// Shortest time between renewals, however many hints arrive.
const GAP_MIN: Duration = Duration::from_millis(5);

/// Renews until the session is lost.
pub(crate) async fn run(
    executor: &Executor,
    session: &Session,
    lifecycle: &Lifecycle,
    jobs: mpsc::Sender<Job>,
) -> SessionEnd {
    let mut wait = session.beat_interval;
    loop {
        tokio::select! {
            // Spread, but never later than the beat: without hints an abort waits for it.
            () = tokio::time::sleep(jitter(wait.mul_f64(0.95), 0.05)) => {}
            () = session.renew.notified() => {}
        }
        let asked_at = session.asking();
        match renew(executor, session, lifecycle.is_draining()).await {
            Ok(reply) => {
                session.hear(asked_at);
                apply(session, &reply.leases);
                session.take(reply.unnamed_grants, &jobs).await;
                session.beats.send_modify(|beats| *beats += 1);
                wait = session.beat_interval;
            }
            Err(status) => {
                if peer::judge(&status) == Failed::SessionLost {
                    return SessionEnd::Lost;
                }
                if peer::is_store_down(&status) {
                    session.hear(asked_at);
                }
                tracing::warn!(code = ?status.code(), message = status.message(), "renewal failed, trying sooner");
                wait = session.beat_interval / 4;
            }
        }
        tokio::time::sleep(GAP_MIN).await;
    }
}

async fn renew(
    executor: &Executor,
    session: &Session,
    draining: bool,
) -> Result<v1::RenewLeasesResponse, tonic::Status> {
    let request = v1::RenewLeasesRequest {
        session_id: session.id.to_string(),
        held: session.leases.named(),
        draining,
    };
    let timeout = session.beat_interval.clamp(CALL_TIMEOUT_MIN, CALL_TIMEOUT_MAX);
    let request = gauntlet_rpc::with_deadline(request, timeout);
    Ok(executor.peers.leases.clone().renew_leases(request).await?.into_inner())
}

/// Trips what the scheduler took away; a word on a lease that is gone here changes nothing.
fn apply(session: &Session, renewed: &[v1::RenewedLease]) {
    for lease in renewed {
        let reason = match (lease.abort_requested, lease.lost) {
            (true, _) => StopReason::Abort,
            (false, true) => StopReason::LeaseLost,
            (false, false) => continue,
        };
        let Ok(key) = GrantKey::of(&lease.run_id, lease.shard_index, lease.epoch) else { continue };
        if let Some(lease) = session.leases.trip(&key, reason) {
            tracing::info!(run.id = %key.run_id, shard.index = key.shard_index, ?reason,
                running = ?lease.running(), "lease taken away, killing its browsers");
        }
    }
}

/// Wakes the heartbeat of the present session, if it holds a lease of `run_id` (none: whatever it holds).
pub(crate) fn hint(session: Option<Arc<Session>>, run_id: Option<uuid::Uuid>) {
    let Some(session) = session else { return };
    let is_ours = |lease: &Arc<crate::leases::Lease>| {
        run_id.is_none_or(|run_id| lease.key.run_id.0 == run_id)
    };
    if session.leases.all().iter().any(is_ours) {
        session.renew.notify_one();
    }
}
