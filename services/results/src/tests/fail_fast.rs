//! Promises of fail-fast, from an executor's report to the scheduler's stop.

use super::finalizer::Scheduler;
use super::{FAILED, PASSED, World};
use crate::artifacts::{Artifacts, Folder};
use crate::grpc::Handlers;
use gauntlet_core::limits::RUN_ARTIFACT_BYTES_MAX;
use gauntlet_proto::v1::ingest_service_client::IngestServiceClient;
use gauntlet_proto::v1::{self, AttemptOutcome};
use gauntlet_rpc::{Peer, Reason, Server, limited};
use gauntlet_runtime::{Clock, Lifecycle};

/// Results as executors reach them, beside a scheduler that a test scripts.
struct Served {
    world: World,
    scheduler: Scheduler,
    ingest: IngestServiceClient<Peer>,
    lifecycle: Lifecycle,
    _artifacts: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let (world, lifecycle) = (World::start().await, Lifecycle::new());
        let scheduler = Scheduler::default();
        let peer = |addr: &str| Peer::connect_lazy(&format!("http://{addr}")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Folder::open(folder.path(), &Clock::system()).await.unwrap();
        let artifacts = (Artifacts::Folder(artifacts), RUN_ARTIFACT_BYTES_MAX);
        let to_scheduler = peer(&scheduler.serve("127.0.0.1:0"));
        let handlers =
            Handlers::new(world.store.clone(), artifacts, to_scheduler, lifecycle.clone());
        let bound = Server::new(handlers.routes()).bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let ingest = limited!(IngestServiceClient::new(peer(&bound.addr().to_string())));
        lifecycle.spawn("results", bound.serve(lifecycle.clone()));
        Self { world, scheduler, ingest, lifecycle, _artifacts: folder }
    }

    fn shard(&self, shard_index: i32) -> Option<v1::ShardRef> {
        let run_id = self.world.run_id.to_string();
        Some(v1::ShardRef { run_id, generation: 1, shard_index, epoch: 1 })
    }

    async fn open(&mut self, shard_index: i32, stop_after_failures: i32) {
        let shard = self.shard(shard_index);
        let request = v1::OpenShardRequest { shard, ordinals: vec![], stop_after_failures };
        self.ingest.open_shard(request).await.unwrap();
    }

    /// Reports one test of a shard that ended so.
    async fn report(&mut self, shard_index: i32, ordinal: i32, outcome: AttemptOutcome) {
        let attempt = v1::Attempt {
            ordinal,
            attempt: 1,
            outcome: outcome.into(),
            r#final: true,
            ..Default::default()
        };
        let shard = self.shard(shard_index);
        let report = v1::ReportAttemptsRequest { shard, sequence: 1, attempts: vec![attempt] };
        let answers = self.ingest.report_attempts(tokio_stream::once(report)).await.unwrap();
        answers.into_inner().message().await.unwrap().expect("an answer");
    }

    /// Returns what was stopped, once nobody looks any more.
    async fn stops(self) -> Vec<v1::StopRunRequest> {
        self.lifecycle.drain();
        self.lifecycle.run_to_end(std::time::Duration::from_secs(10)).await;
        self.scheduler.see(|state| state.stops.clone())
    }
}

#[tokio::test]
async fn a_run_is_stopped_once_its_shards_together_have_seen_enough_failed_tests() {
    let mut served = Served::start().await;
    for shard in [0, 1] {
        served.open(shard, 3).await;
    }
    served.scheduler.see(|state| state.stop_answers.push_back(Reason::StoreUnavailable));
    served.report(0, 0, FAILED).await;
    served.report(0, 1, PASSED).await;
    served.report(1, 2, AttemptOutcome::TimedOut).await;
    served.report(1, 3, AttemptOutcome::Errored).await;
    assert!(served.scheduler.see(|state| state.stops.is_empty()), "two failed, one errored");
    served.report(0, 4, FAILED).await;
    served.report(0, 4, FAILED).await;
    let run_id = served.world.run_id.to_string();
    let reason = v1::StopReason::FailFast.into();
    // A look that an earlier failure began may have seen the last one too, and asks as well.
    let mut stops = served.stops().await;
    stops.dedup();
    assert_eq!(stops, [v1::StopRunRequest { run_id, generation: 1, reason }]);
}

#[tokio::test]
async fn a_run_that_does_not_ask_for_it_is_never_stopped() {
    let mut served = Served::start().await;
    served.open(0, 0).await;
    for ordinal in 0..5 {
        served.report(0, ordinal, FAILED).await;
    }
    assert_eq!(served.stops().await, []);
}
