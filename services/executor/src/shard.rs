//! One grant from its arrival to its completion.
//!
//! Owns the order: open at results, run what has no final result, have every report acknowledged, and only then tell the
//! scheduler (B6). A shard that stops early is handed back, which consumes no attempt (B9); one whose infrastructure failed
//! says so with its class; one whose lease is void says nothing at all. A crash anywhere here leaves what was acknowledged,
//! and the next holder goes on from there.

use crate::{
    app::Executor,
    complete,
    fault::FaultPoint,
    leases::{Ended, GrantKey, Lease},
    peer::{Failed, Patience},
    plan::Plan,
    report::{self, ReportError},
    session::Session,
    tests_of_shard::{self, WorkEnd},
};
use futures_util::FutureExt as _;
use gauntlet_core::flow::FailureClass;
use gauntlet_proto::v1;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tracing::Instrument as _;

/// How the work on a shard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShardEnd {
    /// Every test has a final result that results acknowledged, or is deferred.
    Done {
        /// Rows that results acknowledged.
        reported_count: i32,
        /// Tests whose last retry is another executor's.
        deferred_ordinals: Vec<i32>,
    },
    /// Stopped before its end; what was reported is acknowledged.
    HandBack,
    /// The infrastructure failed.
    Failed {
        /// What failed.
        class: FailureClass,
        /// For people.
        message: String,
    },
    /// Nothing of this lease counts any more.
    Void,
}

impl ShardEnd {
    fn refused(message: String) -> Self {
        Self::Failed { class: FailureClass::Unknown, message }
    }
}

/// Works on a grant to its end, and ends its lease.
pub(crate) async fn run(
    executor: Arc<Executor>,
    session: Arc<Session>,
    lease: Arc<Lease>,
    grant: v1::ShardGrant,
) {
    let key = lease.key;
    let span = tracing::info_span!("shard", run.id = %key.run_id, shard.index = key.shard_index, epoch = %key.epoch);
    gauntlet_rpc::link(&span, &grant.traceparent);
    async {
        let worked =
            AssertUnwindSafe(work(&executor, &session, &lease, grant)).catch_unwind().await;
        let end = worked.unwrap_or_else(|_| {
            ShardEnd::refused("the executor has a bug: its work panicked".to_owned())
        });
        tracing::info!(?end, "shard ended");
        if lease.stop.is_killed() {
            executor.slots.kill_run(key.run_id).await;
        }
        let ended = match complete::completion(&lease, end) {
            Some(completion) => {
                complete::complete(&executor, &session, completion, &lease.stop).await
            }
            None => Ended::Dropped,
        };
        executor.fault.reached(FaultPoint::AfterCompleteSent).await;
        session.leases.end(key, ended);
        if !session.leases.has_sibling(&key) {
            executor.sign_ins.forget(key.run_id);
            executor.slots.kill_run(key.run_id).await;
        }
    }
    .instrument(span)
    .await;
}

/// Gives back a grant that was given up here and that the scheduler still names.
pub(crate) async fn hand_back(executor: Arc<Executor>, session: Arc<Session>, key: GrantKey) {
    let stop = crate::cancel::Stop::new();
    let completion = complete::handed_back(&key);
    complete::complete(&executor, &session, completion, &stop).await;
}

async fn work(
    executor: &Executor,
    session: &Session,
    lease: &Lease,
    grant: v1::ShardGrant,
) -> ShardEnd {
    executor.fault.reached(FaultPoint::AfterGrant).await;
    let opened = match open(executor, lease, &grant).await {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    let (spool, courier, reporter) = report::spool(lease.shard(), opened.acknowledged_count);
    let plan = match Plan::new(grant, &opened, &executor.config) {
        Ok(plan) => plan,
        Err(message) => return ShardEnd::refused(message),
    };
    let tests = tests_of_shard::run(executor, session, lease, plan, spool);
    let reports = reporter.run(executor.peers.ingest.clone(), &lease.stop);
    let artifacts = courier.run(executor.peers.ingest.clone(), &lease.stop);
    // The spool is dropped with the last test, which lets the courier end, and then the reporter.
    let (worked, (), reported) = tokio::join!(tests, artifacts, reports);
    executor.fault.reached(FaultPoint::AfterReportAck).await;
    if session.is_silent() {
        return ShardEnd::Void;
    }
    match (worked, reported) {
        _ if lease.stop.is_void() => ShardEnd::Void,
        (_, Err(ReportError::LeaseVoid)) => ShardEnd::Void,
        (_, Err(error @ ReportError::Refused { .. })) => ShardEnd::refused(error.to_string()),
        (WorkEnd::Failed { class, message }, Ok(_)) => ShardEnd::Failed { class, message },
        (WorkEnd::Stopped, Ok(_)) => ShardEnd::HandBack,
        (WorkEnd::Ended { deferred_ordinals }, Ok(reported_count)) => {
            ShardEnd::Done { reported_count, deferred_ordinals }
        }
    }
}

/// Raises the fence at results, for as long as the lease lives and the work goes on. The first report of a fresh shard raises
/// it as well, and nothing is known about its tests; but only this tells results at how many failures the run stops.
async fn open(
    executor: &Executor,
    lease: &Lease,
    grant: &v1::ShardGrant,
) -> Result<v1::OpenShardResponse, ShardEnd> {
    let ordinals = grant.tests.iter().map(|test| test.ordinal).collect();
    let stop_after_failures = grant.options.as_ref().map_or(0, |o| o.stop_after_failures);
    if grant.fresh && stop_after_failures == 0 {
        return Ok(v1::OpenShardResponse::default());
    }
    let shard = Some(lease.shard());
    let request = v1::OpenShardRequest { shard, ordinals, stop_after_failures };
    let mut patience = Patience::new();
    loop {
        let mut ingest = executor.peers.ingest.clone();
        let attempt = async {
            match ingest.open_shard(request.clone()).await {
                Ok(reply) => Ok(reply.into_inner()),
                Err(status) => Err((patience.after(Some(&status)).await, status)),
            }
        };
        let answer = tokio::select! {
            biased;
            () = lease.stop.stopped() => None,
            answer = attempt => Some(answer),
        };
        match answer {
            None if lease.stop.is_void() => return Err(ShardEnd::Void),
            None => return Err(ShardEnd::HandBack),
            Some(Ok(opened)) => return Ok(opened),
            Some(Err((Failed::LeaseLost | Failed::SessionLost, _))) => return Err(ShardEnd::Void),
            Some(Err((Failed::Refused, status))) => {
                return Err(ShardEnd::refused(format!(
                    "results did not open the shard: {}",
                    status.message()
                )));
            }
            Some(Err((Failed::Unavailable | Failed::Bug, status))) => {
                tracing::warn!(code = ?status.code(), message = status.message(), "results does not open the shard yet");
            }
        }
    }
}
