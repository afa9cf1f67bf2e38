//! What happens when executors die, replies get lost and infrastructure fails.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind, CompletionResult, RunState};
use gauntlet_rpc::{Reason, reason_of};
use gauntlet_testkit::wait_until;
use std::time::Duration;

async fn expire_sessions(mesh: &Mesh) {
    let expire =
        "UPDATE executor_sessions SET expires_at = now() - interval '1 s' WHERE NOT reaped";
    mesh.sql().await.execute(expire, &[]).await.unwrap();
}

#[tokio::test]
async fn b1_b6_a_lost_executors_shard_is_leased_again_and_its_late_writes_count_nothing() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(2, v1::RunOptions::default()).await;
    let mut dead = mesh.open_session(1).await;
    let first = dead.claim(5).await.remove(0);
    dead.renew(&[&first], &[1]).await.unwrap();
    let mut heir = mesh.open_session(1).await;
    let expire = "UPDATE executor_sessions SET expires_at = now() - interval '1 s' WHERE session_id = $1::text::uuid";
    mesh.sql().await.execute(expire, &[&dead.session_id]).await.unwrap();
    let second = heir.claim(8).await.remove(0);
    assert!(second.epoch > first.epoch);
    assert_eq!(second.infra_attempt, 2, "a lost lease consumes an attempt");
    assert_eq!(dead.complete(&first, CompletionKind::Done).await, CompletionResult::LeaseLost);
    let renewal = dead.renew(&[&first], &[]).await.unwrap_err();
    assert_eq!(reason_of(&renewal), Some(Reason::SessionLost));
    assert_eq!(heir.complete(&second, CompletionKind::Done).await, CompletionResult::Counted);
    // B10: what it was doing stays visible.
    let lost = mesh.events(&run.run_id).await.into_iter().find_map(|e| match e.event {
        Some(v1::run_event::Event::ShardLost(lost)) => Some(lost),
        _ => None,
    });
    let lost = lost.expect("the loss is in the log");
    assert_eq!((lost.reason.as_str(), lost.running_ordinals), ("EXECUTOR_LOST", vec![1]));
}

#[tokio::test]
async fn a_grant_whose_reply_was_lost_turns_up_as_unnamed_and_costs_no_attempt() {
    let mut mesh = Mesh::start().await;
    mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let lost_reply = executor.claim(5).await.remove(0);
    let beat = executor.renew(&[], &[]).await.unwrap();
    let found = &beat.unnamed_grants[0];
    assert_eq!((found.epoch, found.infra_attempt), (lost_reply.epoch, 1));
    assert_eq!(found.tests, lost_reply.tests);
    let beat = executor.renew(&[found], &[]).await.unwrap();
    assert!(beat.unnamed_grants.is_empty() && !beat.leases[0].lost);
}

#[tokio::test]
async fn b7_a_shard_out_of_attempts_is_closed_with_its_reason_and_its_siblings_go_on() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(2, v1::RunOptions { shards: 2, ..Default::default() }).await;
    let mut executor = mesh.open_session(2).await;
    let mut grants = executor.claim(5).await;
    while grants.len() < 2 {
        grants.extend(executor.claim(5).await);
    }
    let mut failing = grants.remove(0);
    for _ in 0..2 {
        assert_eq!(
            executor.complete(&failing, CompletionKind::Failed).await,
            CompletionResult::Requeued
        );
        failing = executor.claim(8).await.remove(0);
    }
    assert_eq!(
        executor.complete(&failing, CompletionKind::Failed).await,
        CompletionResult::Counted
    );
    assert_eq!(
        executor.complete(&grants[0], CompletionKind::Done).await,
        CompletionResult::Counted
    );
    let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
    let failed = claim.shards.iter().find(|s| s.shard_index == failing.shard_index).unwrap();
    assert_eq!(failed.failure_class, "BROWSER_LAUNCH");
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Finalizing);
}

#[tokio::test]
async fn b7_stop_run_errors_the_run_at_once_and_stops_its_siblings() {
    let mut mesh = Mesh::start().await;
    let options = v1::RunOptions {
        shards: 2,
        on_infra_failure: v1::OnInfraFailure::StopRun.into(),
        ..Default::default()
    };
    let run = mesh.trigger(2, options).await;
    let mut executor = mesh.open_session(2).await;
    let mut grants = executor.claim(5).await;
    while grants.len() < 2 {
        grants.extend(executor.claim(5).await);
    }
    let mut failing = grants.remove(0);
    for _ in 0..2 {
        executor.complete(&failing, CompletionKind::Failed).await;
        failing = executor.claim(8).await.remove(0);
    }
    assert_eq!(
        executor.complete(&failing, CompletionKind::Failed).await,
        CompletionResult::RunClosed
    );
    let ended = mesh.run(&run.run_id).await;
    assert_eq!(ended.state(), RunState::Errored);
    assert!(ended.state_reason.contains("BROWSER_LAUNCH"), "{}", ended.state_reason);
    let beat = executor.renew(&[&grants[0]], &[]).await.unwrap();
    assert!(beat.leases[0].abort_requested && beat.leases[0].lost);
    assert_eq!(mesh.terminal_events(&run.run_id).await, 1);
}

#[tokio::test]
async fn a_test_running_in_two_lost_leases_is_handed_on_as_poisoned() {
    let mut mesh = Mesh::start().await;
    mesh.trigger(3, v1::RunOptions::default()).await;
    for expected in [vec![], vec![], vec![2]] {
        let mut executor = mesh.open_session(1).await;
        let grant = executor.claim(8).await.remove(0);
        assert_eq!(grant.poisoned_ordinals, expected);
        executor.renew(&[&grant], &[2]).await.unwrap();
        expire_sessions(&mesh).await;
    }
}

/// B10: what the lost executor was doing stays visible on the run.
#[tokio::test]
async fn b10_the_log_names_the_test_the_try_and_the_step_that_a_lost_executor_was_at() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(2, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grants = executor.claim(5).await;
    executor.renew(&[&grants[0]], &[1]).await.unwrap();
    expire_sessions(&mesh).await;
    let lost = wait_until(Duration::from_secs(10), "the loss", async || {
        let events = mesh.events(&run.run_id).await;
        let lost = events.into_iter().find_map(|event| match event.event {
            Some(v1::run_event::Event::ShardLost(lost)) => Some(lost),
            _ => None,
        });
        lost.ok_or("no loss in the log")
    })
    .await;
    assert_eq!((lost.reason.as_str(), lost.executor.as_str()), ("EXECUTOR_LOST", "scripted"));
    assert_eq!(lost.running, [crate::support::running_test(1)]);
}

#[tokio::test]
async fn an_outage_reaps_nobody_for_one_lease_time() {
    let mut mesh = Mesh::start().await;
    mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grant = executor.claim(5).await.remove(0);
    // What an outage leaves: an old tick, and a session that could not renew.
    let sql = mesh.sql().await;
    let outage = "UPDATE reaper_ticks SET touched_at = now() - interval '1 hour'; \
                  UPDATE executor_sessions SET expires_at = now() - interval '30 s'";
    sql.batch_execute(outage).await.unwrap();
    wait_until(Duration::from_secs(5), "a tick after the gap", async || {
        let row = sql.query_one(
            "SELECT touched_at > now() - interval '5 s' AND reap_after > now() FROM reaper_ticks",
            &[],
        );
        let seen: bool = row.await.unwrap().get(0);
        if seen { Ok(()) } else { Err("not ticked yet") }
    })
    .await;
    let beat = executor.renew(&[&grant], &[]).await.expect("the session lives");
    assert!(!beat.leases[0].lost);
    assert_eq!(executor.complete(&grant, CompletionKind::Done).await, CompletionResult::Counted);
}
