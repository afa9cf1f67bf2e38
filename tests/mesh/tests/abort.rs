//! Abort: one terminal event, whatever races.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind, CompletionResult, RunState};
use gauntlet_rpc::{Reason, reason_of};

#[tokio::test]
async fn c1_c5_aborting_a_queued_run_ends_it_with_one_event_and_is_idempotent() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(2, v1::RunOptions { shards: 2, ..Default::default() }).await;
    let aborted = mesh.abort(&run.run_id).await.unwrap();
    assert_eq!((aborted.state(), aborted.open_shard_count), (RunState::Aborted, 0));
    assert_eq!(mesh.abort(&run.run_id).await.unwrap().state(), RunState::Aborted);
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
    let mut executor = mesh.open_session(4).await;
    assert!(executor.claim(0).await.is_empty(), "nothing of an aborted run is granted (B6)");
}

#[tokio::test]
async fn c3_an_abort_reaches_the_executor_with_the_next_renewal_without_redis() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grant = executor.claim(5).await.remove(0);
    mesh.abort(&run.run_id).await.unwrap();
    let beat = executor.renew(&[&grant], &[0]).await.unwrap();
    assert!(beat.leases[0].abort_requested && beat.leases[0].lost);
    assert_eq!(executor.complete(&grant, CompletionKind::Done).await, CompletionResult::RunClosed);
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
}

#[tokio::test]
async fn b5_an_abort_after_the_verdict_changes_nothing() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grant = executor.claim(5).await.remove(0);
    executor.complete(&grant, CompletionKind::Done).await;
    let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
    mesh.close(&claim, RunState::Passed, 'a').await.unwrap();
    let refused = mesh.abort(&run.run_id).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RunTerminal));
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Passed);
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
}

#[tokio::test]
async fn b5_abort_close_and_completion_race_to_exactly_one_terminal_event() {
    let mut mesh = Mesh::start().await;
    for _ in 0..10 {
        let run = mesh.trigger(1, v1::RunOptions::default()).await;
        let mut executor = mesh.open_session(1).await;
        let grant = executor.claim(5).await.remove(0);
        let (mut aborter, mut other) = (mesh.scheduler.clone(), mesh.scheduler.clone());
        let (run_id, reason) = (run.run_id.clone(), "race".into());
        let request = v1::AbortRunRequest { run_id, reason, generation: 1 };
        let (_, first, second) = tokio::join!(
            executor.complete(&grant, CompletionKind::Done),
            aborter.abort_run(request.clone()),
            other.abort_run(request),
        );
        first.unwrap();
        second.unwrap();
        assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Aborted);
        assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
    }
}
