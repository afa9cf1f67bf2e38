//! Promises of the finalizer, against a scheduler that does what a test tells it.

use super::{FAILED, PASSED, World, attempt};
use crate::finalize::Finalizer;
use crate::store::Fence;
use gauntlet_core::seal::Rest;
use gauntlet_core::verdict::{SkipReason, TestOutcome};
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_proto::edge;
use gauntlet_proto::v1::finalization_service_server::{
    FinalizationService, FinalizationServiceServer,
};
use gauntlet_proto::v1::{self, ClaimFinalizationsRequest, ClaimFinalizationsResponse};
use gauntlet_rpc::{Details, Peer, Reason, Server, ToStatus, limited};
use gauntlet_runtime::{Lifecycle, ids};
use gauntlet_testkit::wait_until;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

const WITHIN: Duration = Duration::from_secs(20);
const LEASE_TTL: Duration = Duration::from_millis(300);

#[derive(Debug, thiserror::Error)]
#[error("scripted {0:?}")]
struct Scripted(Reason);

impl ToStatus for Scripted {
    fn reason(&self) -> Reason {
        self.0
    }
    fn details(&self, d: &mut Details) {
        d.retry_after(Duration::from_millis(10));
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    // --- what to do
    claimable: VecDeque<v1::FinalizationClaim>,
    lost: Vec<String>,
    close_answers: VecDeque<Reason>,
    pub(super) stop_answers: VecDeque<Reason>,
    pub(super) plan_answers: VecDeque<Reason>,
    /// Tests of every generation.
    pub(super) planned: Vec<i32>,
    // --- what was seen
    asked: Vec<i32>,
    renewals: Vec<usize>,
    closes: Vec<v1::CloseRunRequest>,
    pub(super) stops: Vec<v1::StopRunRequest>,
}

#[derive(Clone, Default)]
pub(super) struct Scheduler {
    state: Arc<Mutex<State>>,
    offered: Arc<Notify>,
    pub(super) lifecycle: Lifecycle,
}

#[tonic::async_trait]
impl FinalizationService for Scheduler {
    async fn claim_finalizations(
        &self,
        request: Request<ClaimFinalizationsRequest>,
    ) -> Result<Response<ClaimFinalizationsResponse>, Status> {
        let most = usize::try_from(request.get_ref().claims_max).unwrap();
        self.state.lock().unwrap().asked.push(request.get_ref().claims_max);
        loop {
            let claims = self.see(|state| {
                let most = most.min(state.claimable.len());
                state.claimable.drain(..most).collect::<Vec<_>>()
            });
            if !claims.is_empty() {
                return Ok(Response::new(ClaimFinalizationsResponse { claims }));
            }
            tokio::select! {
                () = self.offered.notified() => {}
                () = self.lifecycle.draining() => return Err(gauntlet_rpc::draining()),
            }
        }
    }

    async fn renew_finalizations(
        &self,
        request: Request<v1::RenewFinalizationsRequest>,
    ) -> Result<Response<v1::RenewFinalizationsResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        let mut renewed = request.into_inner().held;
        state.renewals.push(renewed.len());
        renewed.retain(|held| !state.lost.contains(&held.run_id));
        Ok(Response::new(v1::RenewFinalizationsResponse { renewed }))
    }

    async fn stop_run(
        &self,
        request: Request<v1::StopRunRequest>,
    ) -> Result<Response<v1::StopRunResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        if let Some(reason) = state.stop_answers.pop_front() {
            return Err(gauntlet_rpc::status(&Scripted(reason)));
        }
        state.stops.push(request.into_inner());
        Ok(Response::new(v1::StopRunResponse { stopped: true }))
    }

    async fn close_run(
        &self,
        request: Request<v1::CloseRunRequest>,
    ) -> Result<Response<v1::CloseRunResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        if let Some(reason) = state.close_answers.pop_front() {
            return Err(gauntlet_rpc::status(&Scripted(reason)));
        }
        let request = request.into_inner();
        let answer = v1::CloseRunResponse {
            state: request.verdict.as_ref().unwrap().state,
            already_closed: state.closes.iter().any(|close| close.run_id == request.run_id),
        };
        state.closes.push(request);
        Ok(Response::new(answer))
    }

    async fn get_generation(
        &self,
        _: Request<v1::GetGenerationRequest>,
    ) -> Result<Response<v1::GetGenerationResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        match state.plan_answers.pop_front() {
            Some(reason) => Err(gauntlet_rpc::status(&Scripted(reason))),
            None => {
                Ok(Response::new(v1::GetGenerationResponse { ordinals: state.planned.clone() }))
            }
        }
    }
}

impl Scheduler {
    /// Serves on an address and returns it; port 0 takes a free one.
    pub(super) fn serve(&self, addr: &str) -> String {
        let mut routes = tonic::service::Routes::builder();
        routes.add_service(limited!(FinalizationServiceServer::new(self.clone())));
        let bound = Server::new(routes.routes()).bind(addr.parse().unwrap()).unwrap();
        let addr = bound.addr().to_string();
        self.lifecycle.spawn("scheduler", bound.serve(self.lifecycle.clone()));
        addr
    }

    pub(super) fn see<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub(super) async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        wait_until(WITHIN, what, async || {
            let state = self.state.lock().unwrap();
            if condition(&state) { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
    }
}

/// A finalizer on a real store.
struct Stage {
    world: World,
    scheduler: Scheduler,
    addr: String,
    lifecycle: Lifecycle,
}

impl Stage {
    async fn start() -> Self {
        let world = World::with_lock_timeout(Duration::from_millis(100)).await;
        let (scheduler, lifecycle) = (Scheduler::default(), Lifecycle::new());
        let addr = scheduler.serve("127.0.0.1:0");
        let peer = Peer::connect_lazy(&format!("http://{addr}")).unwrap();
        let store = world.store.clone();
        let finalizer = Finalizer::run(store, peer, ReplicaId(ids::v4()), lifecycle.clone());
        lifecycle.spawn("finalize", finalizer);
        Self { world, scheduler, addr, lifecycle }
    }

    fn claim(run_id: RunId, reported_count: i32) -> v1::FinalizationClaim {
        v1::FinalizationClaim {
            run_id: run_id.to_string(),
            generation: 1,
            finalizer_epoch: 1,
            test_count: 1,
            shards: vec![v1::ShardSummary {
                ordinals: vec![0],
                reported_count,
                ..Default::default()
            }],
            lease_ttl: Some(edge::wire_duration(LEASE_TTL)),
            ..Default::default()
        }
    }

    fn offer(&self, claims: impl IntoIterator<Item = v1::FinalizationClaim>) {
        self.scheduler.see(|state| state.claimable.extend(claims));
        self.scheduler.offered.notify_one();
    }

    /// Returns how often a run was closed and as what.
    fn closes_of(&self, run_id: RunId) -> Vec<v1::RunState> {
        let of_run = |close: &&v1::CloseRunRequest| close.run_id == run_id.to_string();
        let state = |close: &v1::CloseRunRequest| close.verdict.as_ref().unwrap().state();
        self.scheduler.see(|s| s.closes.iter().filter(of_run).map(state).collect())
    }

    /// Drains: whatever is in progress has ended, and nothing was cut off.
    async fn stop(&self) {
        self.lifecycle.drain();
        let exit = self.lifecycle.run_to_end(WITHIN).await;
        assert_eq!(exit, gauntlet_runtime::Exit::Clean);
    }
}

#[tokio::test]
async fn fn1_a_claim_is_sealed_judged_and_closed_once_and_lost_rows_are_an_error() {
    let stage = Stage::start().await;
    let (run_id, short) = (stage.world.run_id, RunId(ids::v7()));
    stage.world.report(stage.world.fence(0, 1), &[attempt(0, 1, PASSED, true)]).await;
    stage.offer([Stage::claim(run_id, 1), Stage::claim(short, 1)]);
    stage.scheduler.until("both are closed", |s| s.closes.len() == 2).await;
    stage.stop().await;
    assert_eq!(stage.closes_of(run_id), [v1::RunState::Passed]);
    assert_eq!(stage.closes_of(short), [v1::RunState::Errored]);
    assert_eq!(stage.world.closed_count().await, 2);
}

#[tokio::test]
async fn b4_a_finalization_waits_for_its_store_under_its_lease_and_a_lost_lease_ends_only_its_own()
{
    let stage = Stage::start().await;
    let (run_id, other) = (stage.world.run_id, RunId(ids::v7()));
    // Nothing of these runs can be sealed: every try runs into the limit of a lock.
    let lock = "SELECT pg_advisory_lock(7431, $1)";
    let locks = [stage.world.hold(lock, run_id).await, stage.world.hold(lock, other).await];
    stage.offer([Stage::claim(run_id, 0), Stage::claim(other, 0)]);
    stage
        .scheduler
        .until("renewals of both in one call", |s| {
            s.renewals.iter().filter(|held| **held == 2).count() > 3
        })
        .await;
    stage.scheduler.see(|s| s.lost.push(other.to_string()));
    stage.scheduler.until("the other is given up", |s| s.renewals.last() == Some(&1)).await;
    assert!(stage.scheduler.see(|s| s.closes.is_empty()));
    for lock in locks {
        lock.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    }
    stage.scheduler.until("the kept one is closed", |s| !s.closes.is_empty()).await;
    stage.stop().await;
    assert_eq!(stage.closes_of(run_id).len(), 1);
    assert_eq!(stage.closes_of(other), []);
}

#[tokio::test]
async fn b4_a_scheduler_that_restarts_in_the_middle_gets_its_close_once() {
    let stage = Stage::start().await;
    let away = [Reason::StoreUnavailable; 3];
    stage.scheduler.see(|s| s.close_answers.extend(away));
    stage.offer([Stage::claim(stage.world.run_id, 0)]);
    stage.scheduler.until("closes are asked for", |s| s.close_answers.len() < 3).await;
    stage.scheduler.lifecycle.kill();
    stage.scheduler.lifecycle.run_to_end(WITHIN).await;
    let again = Scheduler { state: Arc::clone(&stage.scheduler.state), ..Scheduler::default() };
    again.serve(&stage.addr);
    again.until("the close", |s| !s.closes.is_empty()).await;
    stage.stop().await;
    assert_eq!(stage.closes_of(stage.world.run_id).len(), 1);
}

#[tokio::test]
async fn c1_a_run_that_ended_otherwise_is_no_failure_and_its_verdict_is_frozen() {
    let stage = Stage::start().await;
    stage.scheduler.see(|s| s.close_answers.push_back(Reason::RunTerminal));
    stage.offer([Stage::claim(stage.world.run_id, 0)]);
    stage.scheduler.until("the answer", |s| s.close_answers.is_empty()).await;
    stage.stop().await;
    assert_eq!(stage.closes_of(stage.world.run_id), []);
    assert_eq!(stage.world.closed_count().await, 1);
}

#[tokio::test]
async fn a_stopped_run_is_failed_with_the_reason_and_shows_what_was_skipped_for_it() {
    let stage = Stage::start().await;
    stage.world.report(stage.world.fence(0, 1), &[attempt(0, 1, PASSED, true)]).await;
    let stopped = v1::FinalizationClaim {
        test_count: 2,
        stop_reason: v1::StopReason::Deadline.into(),
        ..Stage::claim(stage.world.run_id, 1)
    };
    stage.offer([stopped]);
    stage.scheduler.until("the close", |s| s.closes.len() == 1).await;
    stage.stop().await;
    let verdict = stage.scheduler.see(|s| s.closes[0].verdict.clone().unwrap());
    assert_eq!((verdict.state(), verdict.error.as_str()), (v1::RunState::Failed, "DEADLINE"));
    let page = stage.world.page(-1, 10, 1024).await;
    let shown: Vec<_> = page.results.iter().map(|t| (t.outcome, t.skip_reason)).collect();
    let skipped = (TestOutcome::Skipped, Some(SkipReason::Deadline));
    assert_eq!(shown, [(TestOutcome::Passed, None), skipped]);
}

#[tokio::test]
async fn a10_a_retry_is_judged_over_all_tests_once_the_generation_before_is_sealed() {
    let stage = Stage::start().await;
    let run_id = stage.world.run_id;
    stage.world.report(stage.world.fence(0, 1), &[attempt(1, 1, FAILED, true)]).await;
    let again = Fence { run_id, generation: 2, shard_index: 1, epoch: 1 };
    stage.world.report(again, &[attempt(0, 1, PASSED, true)]).await;
    let shards = vec![v1::ShardSummary { shard_index: 1, ordinals: vec![0], ..Default::default() }];
    let claim = Stage::claim(run_id, 0);
    stage.offer([v1::FinalizationClaim { generation: 2, test_count: 2, shards, ..claim }]);
    // The abort of the first generation is still on its way.
    stage.scheduler.until("renewals while it waits", |s| s.renewals.len() > 3).await;
    assert!(stage.scheduler.see(|s| s.closes.is_empty()));
    stage.world.seal(2, &Rest::Aborted).await.unwrap();
    stage.scheduler.until("the close", |s| s.closes.len() == 1).await;
    stage.stop().await;
    let verdict = stage.scheduler.see(|s| s.closes[0].verdict.clone().unwrap());
    let counts = v1::OutcomeCounts { passed: 1, failed: 1, ..Default::default() };
    assert_eq!((verdict.state(), verdict.counts), (v1::RunState::Failed, Some(counts)));
}

#[tokio::test]
async fn finalizations_in_progress_are_bounded_and_none_is_asked_for_when_none_is_free() {
    let stage = Stage::start().await;
    let lock = stage.world.hold("SELECT pg_advisory_lock(7431, $1)", stage.world.run_id).await;
    // Runs that share the lock of one run: all of them wait.
    let mut bytes = *stage.world.run_id.0.as_bytes();
    let runs = (0..65).map(|n| {
        bytes[8] = 0x80 | n;
        Stage::claim(RunId(uuid::Uuid::from_bytes(bytes)), 0)
    });
    stage.offer(runs);
    stage.scheduler.until("64 leases are kept", |s| s.renewals.last() == Some(&64)).await;
    stage.scheduler.see(|s| {
        assert_eq!(s.asked, [64], "no permit, no poll");
        assert_eq!(s.claimable.len(), 1);
    });
    lock.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    stage.scheduler.until("all are closed", |s| s.closes.len() == 65).await;
    stage.stop().await;
}
