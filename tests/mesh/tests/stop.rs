//! Runs that end before their last test: fail-fast and deadlines, as `StopRun`.

use crate::support::{Mesh, fresh_id, seconds};
use gauntlet_proto::v1::{self, CompletionKind, CompletionResult, RunState, StopReason};
use gauntlet_testkit::wait_until;
use std::time::Duration;

fn stop(run_id: &str, generation: i32) -> v1::StopRunRequest {
    let reason = StopReason::FailFast.into();
    v1::StopRunRequest { run_id: run_id.to_owned(), generation, reason }
}

#[tokio::test]
async fn a_stopped_run_is_finalized_with_what_there_is() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(4, v1::RunOptions { shards: 4, ..Default::default() }).await;
    let mut executor = mesh.open_session(2).await;
    let mut grants = executor.claim(5).await;
    while grants.len() < 2 {
        grants.extend(executor.claim(5).await);
    }
    executor.complete(&grants[0], CompletionKind::Done).await;
    let stopped = mesh.finalizations.stop_run(stop(&run.run_id, 1)).await.unwrap().into_inner();
    assert!(stopped.stopped);
    let again = mesh.finalizations.stop_run(stop(&run.run_id, 1)).await.unwrap().into_inner();
    assert!(!again.stopped, "a repeat changes nothing");
    let late = executor.complete(&grants[1], CompletionKind::Done).await;
    assert_eq!(late, CompletionResult::RunClosed);
    let beat = executor.renew(&[&grants[1]], &[]).await.unwrap();
    assert!(beat.leases[0].abort_requested, "its holder kills its browser");

    let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
    assert_eq!(claim.stop_reason(), StopReason::FailFast);
    let cancelled = claim.shards.iter().filter(|shard| shard.cancelled).count();
    assert_eq!((claim.shards.len(), cancelled), (4, 3));
    mesh.close(&claim, RunState::Failed, 'a').await.unwrap();
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
}

#[tokio::test]
async fn a_stop_of_an_earlier_generation_leaves_the_retry_alone() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    mesh.abort(&run.run_id).await.unwrap();
    let run_id = run.run_id.clone();
    let retry = v1::RetryRunRequest { run_id, generation: 1, ordinals: vec![0], shards: 0 };
    mesh.scheduler.retry_run(retry).await.unwrap();
    let late = mesh.finalizations.stop_run(stop(&run.run_id, 1)).await.unwrap().into_inner();
    assert!(!late.stopped);
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Queued);
}

/// Defect 13: only a limit that somebody set ends a long run.
#[tokio::test]
async fn a_run_past_its_deadline_is_stopped_and_one_without_a_deadline_is_not() {
    let mut mesh = Mesh::start().await;
    let limited = v1::RunOptions { run_timeout: Some(seconds(1)), ..Default::default() };
    let limited = mesh.trigger(1, limited).await.run_id;
    let free = mesh.trigger(1, v1::RunOptions::default()).await.run_id;
    let age = "UPDATE runs SET created_at = created_at - interval '30 days', started_at = created_at - interval '30 days'";
    mesh.sql().await.batch_execute(age).await.unwrap();
    let runs = mesh.scheduler.clone();
    wait_until(Duration::from_secs(10), "the stop", async || {
        let request = v1::GetRunRequest { run_id: limited.clone() };
        let run = runs.clone().get_run(request).await.unwrap().into_inner().run.unwrap();
        if run.state() == RunState::Finalizing { Ok(()) } else { Err(run.state()) }
    })
    .await;
    let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
    assert_eq!((claim.run_id, claim.stop_reason), (limited, StopReason::Deadline.into()));
    assert_eq!(mesh.run(&free).await.state(), RunState::Queued);
}
