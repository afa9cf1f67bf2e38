//! A run from trigger to verdict, and how often each step may be repeated.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind, CompletionResult, RunState};
use gauntlet_rpc::{Reason, reason_of};

#[tokio::test]
async fn a2_b3_b4_a_run_goes_from_queued_to_passed_and_is_counted_once() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(5, v1::RunOptions { shards: 2, ..Default::default() }).await;
    assert_eq!((run.state(), run.shard_count, run.test_count), (RunState::Queued, 2, 5));
    let mut executor = mesh.open_session(4).await;
    let mut grants = executor.claim(5).await;
    while grants.len() < 2 {
        grants.extend(executor.claim(5).await);
    }
    let planned: Vec<i32> = grants.iter().flat_map(|g| &g.tests).map(|t| t.ordinal).collect();
    assert_eq!(planned.len(), 5, "every test is granted once: {planned:?}");
    for (grant, first) in
        [(&grants[0], CompletionResult::Counted), (&grants[1], CompletionResult::Counted)]
    {
        assert_eq!(executor.complete(grant, CompletionKind::Done).await, first);
        assert_eq!(
            executor.complete(grant, CompletionKind::Done).await,
            CompletionResult::Duplicate
        );
    }
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Finalizing);

    let replica = fresh_id();
    let claim = mesh.claim_finalization(&replica).await.expect("a claim");
    assert_eq!((claim.test_count, claim.shards.len()), (5, 2));
    let closed = mesh.close(&claim, RunState::Passed, 'a').await.unwrap();
    assert!(!closed.already_closed);
    let again = mesh.close(&claim, RunState::Passed, 'a').await.unwrap();
    assert!(again.already_closed, "an identical close is a repeat");
    let other = mesh.close(&claim, RunState::Failed, 'b').await.unwrap_err();
    assert_eq!(reason_of(&other), Some(Reason::RunTerminal));

    let run = mesh.run(&run.run_id).await;
    assert_eq!(run.state(), RunState::Passed);
    assert!(run.start_time.is_some() && run.finish_time.is_some());
    let events = mesh.events(&run.run_id).await;
    let revisions: Vec<i64> = events.iter().map(|e| e.revision).collect();
    assert_eq!(revisions, (1..=run.revision).collect::<Vec<_>>(), "RN-4: no gap");
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1, "RN-2");
}

#[tokio::test]
async fn b4_a_waiting_finalizer_is_elected_by_the_last_completion() {
    let mut mesh = Mesh::start().await;
    let replica = fresh_id();
    let mut waiting = mesh.finalizations.clone();
    let request = v1::ClaimFinalizationsRequest {
        replica_id: replica,
        claims_max: 1,
        poll_timeout: Some(crate::support::seconds(8)),
    };
    let poll =
        async move { waiting.claim_finalizations(request).await.unwrap().into_inner().claims };
    let work = async {
        let run = mesh.trigger(1, v1::RunOptions::default()).await;
        let mut executor = mesh.open_session(1).await;
        let grants = executor.claim(5).await;
        executor.complete(&grants[0], CompletionKind::Done).await;
        run.run_id
    };
    let (claims, run_id) = tokio::join!(poll, work);
    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].run_id.as_str(), claims[0].finalizer_epoch), (run_id.as_str(), 1));
    mesh.close(&claims[0], RunState::Passed, 'a').await.unwrap();
}

#[tokio::test]
async fn b4_a_finalizer_that_died_is_replaced_and_can_close_nothing_later() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grants = executor.claim(5).await;
    executor.complete(&grants[0], CompletionKind::Done).await;
    let dead = mesh.claim_finalization(&fresh_id()).await.expect("a claim");
    let sql = mesh.sql().await;
    let expire = "UPDATE runs SET finalizer_expires_at = now() - interval '1 s' WHERE finalizer_id IS NOT NULL";
    assert_eq!(sql.execute(expire, &[]).await.unwrap(), 1);
    let next = mesh.claim_finalization(&fresh_id()).await.expect("re-elected");
    assert!(next.finalizer_epoch > dead.finalizer_epoch);
    let late = mesh.close(&dead, RunState::Passed, 'a').await.unwrap_err();
    assert_eq!(reason_of(&late), Some(Reason::FinalizationLost));
    mesh.close(&next, RunState::Failed, 'b').await.unwrap();
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Failed);
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
}

#[tokio::test]
async fn b9_a_hand_back_is_granted_again_at_once_under_a_higher_epoch() {
    let mut mesh = Mesh::start().await;
    mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let first = executor.claim(5).await.remove(0);
    assert_eq!(
        executor.complete(&first, CompletionKind::HandedBack).await,
        CompletionResult::Requeued
    );
    let second = executor.claim(5).await.remove(0);
    assert!(second.epoch > first.epoch);
    assert_eq!(second.infra_attempt, 1, "no attempt was consumed");
    assert_eq!(executor.complete(&first, CompletionKind::Done).await, CompletionResult::LeaseLost);
}

#[tokio::test]
async fn an_executor_whose_session_expired_is_not_listed_even_before_it_is_reaped() {
    let mut mesh = Mesh::start().await;
    mesh.open_session(1).await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let listed = mesh.scheduler.list_executors(v1::ListExecutorsRequest {}).await.unwrap();
    assert_eq!(listed.into_inner().executors.len(), 1);
    // As during the time of grace after an outage.
    let sql = mesh.sql().await;
    let expire = "UPDATE reaper_ticks SET reap_after = now() + interval '1 h';
                  UPDATE executor_sessions SET expires_at = now() - interval '1 ms'";
    sql.batch_execute(expire).await.unwrap();
    let listed = mesh.scheduler.list_executors(v1::ListExecutorsRequest {}).await.unwrap();
    assert!(listed.into_inner().executors.is_empty());
    assert_eq!(mesh.run(&run.run_id).await.waiting_reason, "no executor is connected");
    let unreaped = "SELECT count(*) FROM executor_sessions WHERE NOT reaped";
    assert_eq!(sql.query_one(unreaped, &[]).await.unwrap().get::<_, i64>(0), 1);
}
