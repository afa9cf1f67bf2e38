//! Grants, leases, sessions, drain: what the executor does when the scheduler speaks, and when it does not.

use crate::Stage;
use gauntlet_core::limits::BEAT_INTERVAL;
use gauntlet_proto::v1;
use gauntlet_rpc::Reason;
use gauntlet_runtime::Exit;
use std::time::Duration;

#[tokio::test]
async fn g9_what_sets_an_executor_apart_is_told_to_the_scheduler_and_to_whoever_asks() {
    let mut stage = Stage::start(|_| {}).await;
    stage.mesh.until("a session is open", |s| s.last_session.is_some()).await;
    let opened = stage.mesh.set(|s| s.last_session.clone()).unwrap();
    assert_eq!(opened.attributes, ["scripted"]);
    assert!(opened.filters_egress);
    let told = stage.grpc.get_executor(v1::GetExecutorRequest {}).await.unwrap();
    assert_eq!(told.into_inner().attributes, ["scripted"]);
    stage.stop().await;
}

#[tokio::test]
async fn b1_a_grant_that_arrives_by_claim_and_by_renewal_runs_once() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["slow.a"]);
        mesh.set(|s| {
            s.unnamed.push(grant.clone());
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    let renewals = stage.mesh.set(|s| s.renewals);
    stage.mesh.until("it arrived again", |s| s.renewals > renewals + 2).await;
    stage.scripts.go.add_permits(2);
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.ran(), ["slow.a"]);
    assert_eq!(stage.mesh.set(|s| s.opened), 1);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b1_a_grant_whose_claim_reply_was_lost_is_started_by_the_renewal() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a"]);
        mesh.set(|s| s.unnamed.push(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn c4_an_abort_in_the_renewal_reply_kills_before_the_next_renewal() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["hang.a", "pass.b"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    stage.mesh.set(|s| s.abort = true);
    stage.scripts.until("the browser is dead", |seen| seen.alive == 0).await;
    let told = stage.mesh.set(|s| s.abort_told_at).unwrap();
    let died = stage.scripts.seen.lock().unwrap().last_death.unwrap();
    assert!(died.duration_since(told) < BEAT_INTERVAL, "{:?}", died - told);
    assert_eq!(stage.scripts.ran(), ["hang.a"]);
    let mesh = stage.mesh.clone();
    assert_eq!(stage.stop().await, Exit::Clean);
    mesh.set(|s| assert!(s.attempts.is_empty() && s.completions.is_empty(), "{s:?}"));
}

#[tokio::test]
async fn b1_a_lost_session_kills_everything_and_a_new_one_is_opened() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["hang.a"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    stage.mesh.set(|s| s.renew_error = Some(Reason::SessionLost));
    stage.mesh.until("a new session", |s| s.sessions.len() == 2).await;
    assert_eq!(stage.scripts.seen.lock().unwrap().alive, 0);
    let again = stage.mesh.grant(1, &["pass.b"]);
    stage.mesh.set(|s| s.claimable.push_back(again));
    stage.mesh.until("the new session works", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_ne!(s.sessions[0], s.sessions[1]);
        assert_eq!(stage.sessions.id().map(|id| id.to_string()), s.sessions.last().cloned());
        assert_eq!(s.completions[0].shard_index, 1);
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b11_silence_longer_than_the_lease_kills_and_nothing_of_it_is_reported() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["hang.a"]);
        mesh.set(|s| {
            s.lease_ttl = Duration::from_millis(800);
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    stage.mesh.set(|s| s.renew_error = Some(Reason::Draining));
    stage.mesh.until("a new session", |s| s.sessions.len() == 2).await;
    assert_eq!(stage.scripts.seen.lock().unwrap().alive, 0);
    stage.mesh.until("the silent session is given back", |s| s.closed == s.sessions[..1]).await;
    stage.mesh.set(|s| assert!(s.attempts.is_empty() && s.completions.is_empty(), "{s:?}"));
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b11_a_scheduler_without_its_database_is_not_silent() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["slow.a"]);
        mesh.set(|s| {
            s.lease_ttl = Duration::from_millis(800);
            s.renew_error = Some(Reason::StoreUnavailable);
            s.claimable.push_back(grant);
        });
    })
    .await;
    // Renewals fail about every 35 ms: sixty of them outlast the lease by far.
    stage.mesh.until("more than two lease times", |s| s.renewals > 60).await;
    stage.scripts.go.add_permits(1);
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.mesh.set(|s| s.sessions.len()), 1);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b9_a_drain_finishes_what_runs_and_hands_back_the_rest() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["slow.a", "pass.b"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    let mut grpc = stage.grpc.clone();
    let seen = grpc.get_executor(v1::GetExecutorRequest {}).await.unwrap().into_inner();
    assert_eq!((seen.used_slots, seen.active_tests.len(), seen.draining), (1, 1, false));
    grpc.drain_executor(v1::DrainExecutorRequest {}).await.unwrap();
    stage.mesh.until("renewals say so", |s| s.drains_seen > 0).await;
    stage.scripts.go.add_permits(1);
    let (mesh, scripts) = (stage.mesh.clone(), stage.scripts.clone());
    assert_eq!(stage.stop().await, Exit::Clean);
    assert_eq!(scripts.ran(), ["slow.a"]);
    mesh.set(|s| {
        assert_eq!(s.attempts.len(), 1);
        assert_eq!(s.completions[0].kind(), v1::CompletionKind::HandedBack);
        assert_eq!(s.closed, s.sessions);
    });
}

#[tokio::test]
async fn j2_a_drain_whose_time_is_over_kills_the_test_and_hands_it_back() {
    let stage = Stage::with_grace(Duration::from_secs(2), |mesh| {
        let grant = mesh.grant(0, &["hang.a"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    let mesh = stage.mesh.clone();
    assert_eq!(stage.stop().await, Exit::Clean);
    mesh.set(|s| {
        assert!(s.attempts.is_empty());
        assert_eq!(s.completions[0].kind(), v1::CompletionKind::HandedBack);
    });
}

#[tokio::test]
async fn b7_a_browser_that_is_missing_fails_the_shard_and_names_the_package() {
    let stage = Stage::start(|_| {}).await;
    stage.scripts.seen.lock().unwrap().no_browser = true;
    let grant = stage.mesh.grant(0, &["pass.a"]);
    stage.mesh.set(|s| s.claimable.push_back(grant));
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        let completion = &s.completions[0];
        assert_eq!(completion.kind(), v1::CompletionKind::Failed);
        assert_eq!(completion.failure_class, "browser_launch");
        assert!(completion.message.contains("install the Debian package"), "{completion:?}");
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn c3_a_hint_only_makes_the_renewal_come_now() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["hang.a"]);
        mesh.set(|s| {
            s.lease_ttl = Duration::from_secs(600);
            s.beat_interval = Duration::from_secs(300);
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("the test runs", |seen| !seen.ran.is_empty()).await;
    let run_id = stage.mesh.grant(0, &[]).run_id.parse().unwrap();
    // The row does not say abort: the hint alone changes nothing.
    stage.bus.publish(stage.bus.hint(run_id, 1)).await;
    stage.mesh.until("a renewal", |s| s.renewals == 1).await;
    assert_eq!(stage.scripts.seen.lock().unwrap().alive, 1);
    stage.mesh.set(|s| s.abort = true);
    stage.bus.publish(stage.bus.hint(run_id, 2)).await;
    stage.scripts.until("the browser is dead", |seen| seen.alive == 0).await;
    stage.mesh.set(|s| assert_eq!(s.renewals, 2));
    assert_eq!(stage.stop().await, Exit::Clean);
}
