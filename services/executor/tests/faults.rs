//! The places where chaos tests kill the process: each is reached exactly there, and the heartbeat goes on.

use crate::{Stage, mesh::State};
use gauntlet_executor::{Fault, FaultPoint};
use std::time::{Duration, Instant};

async fn stops_at(point: FaultPoint, seen: impl Fn(&State) -> bool) {
    let file = std::env::temp_dir().join(format!("executor-fault-{}", gauntlet_runtime::ids::v4()));
    let stage = Stage::with_fault(Fault::at(point, file.clone()), |mesh| {
        let grant = mesh.grant(0, &["pass.a"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    let end = Instant::now() + crate::mesh::WITHIN;
    while !file.is_file() {
        assert!(Instant::now() < end, "{point:?} was not reached");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let line = std::fs::read_to_string(&file).unwrap();
    assert!(line.starts_with(&format!("{} ", std::process::id())), "{line}");
    let renewals = stage.mesh.set(|s| {
        assert!(seen(s), "{point:?}: {s:#?}");
        s.renewals
    });
    stage.mesh.until("the heart beats on", |s| s.renewals > renewals + 2).await;
    assert!(stage.mesh.set(|s| seen(s)), "{point:?} was passed");
    std::fs::remove_file(&file).unwrap();
    stage.lifecycle.kill();
    stage.stop().await;
}

#[tokio::test]
async fn idle_is_before_the_first_claim() {
    stops_at(FaultPoint::Idle, |s| s.sessions.len() == 1 && s.polls == 0).await;
}

#[tokio::test]
async fn after_grant_is_before_results_knows() {
    stops_at(FaultPoint::AfterGrant, |s| s.claimable.is_empty() && s.opened == 0).await;
}

#[tokio::test]
async fn mid_test_is_after_a_renewal_named_the_test() {
    stops_at(FaultPoint::MidTest, |s| {
        s.running_named.iter().any(|test| test.ordinal == 0) && s.attempts.is_empty()
    })
    .await;
}

#[tokio::test]
async fn after_report_ack_is_before_the_completion() {
    stops_at(FaultPoint::AfterReportAck, |s| s.stored.len() == 1 && s.completions.is_empty()).await;
}

#[tokio::test]
async fn after_complete_sent_is_after_the_completion() {
    stops_at(FaultPoint::AfterCompleteSent, |s| s.completions.len() == 1).await;
}
