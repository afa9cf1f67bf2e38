//! kill -9 of every process at every point: the run ends, every test once, nothing done is done again.

use crate::support::{Mesh, PATIENCE, assert_each_once, document, slow};
use gauntlet_testkit::{processes_with_marker, wait_until};
use std::time::Duration;

/// How long a run may take from the death of an executor to its end.
const RECOVERY: Duration = Duration::from_secs(30);

/// One of two executors dies at `point`; the other finishes the run, which is returned.
async fn executor_dies_at(point: &str) -> (Mesh, String) {
    let mesh = Mesh::start().await;
    let mark = mesh.folder.path().join("fault");
    let mut dying = mesh.executor("dying", Some((point, &mark)));
    let (mut run, report) = mesh.run(&slow(4, &mesh.site_url), &["--shards", "2"]);
    wait_until(
        PATIENCE,
        "the fault point",
        async || {
            if mark.exists() { Ok(()) } else { Err(run.output()) }
        },
    )
    .await;
    let heir = mesh.executor("heir", None);
    dying.kill9();
    let status = run.wait(RECOVERY).await;
    assert_eq!(status.code(), Some(0), "{}", run.output());
    let document = document(&report);
    assert_each_once(&document, 4, "passed");
    assert!(document["tests"].as_array().unwrap().iter().all(|test| test["attempts"] == 1));
    assert_eq!(mesh.count("SELECT count(*) FROM results.attempts").await, 4, "nothing ran again");
    let terminal = "SELECT count(*) FROM scheduler.run_events WHERE terminal";
    assert_eq!(mesh.count(terminal).await, 1);
    let run_id = document["run_id"].as_str().unwrap();
    wait_until(Duration::from_secs(5), "no browser of the dead executor", async || {
        let left = processes_with_marker(run_id);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    drop(heir);
    let run_id = run_id.to_owned();
    (mesh, run_id)
}

#[tokio::test]
async fn b6_an_executor_killed_after_the_grant_is_replaced() {
    executor_dies_at("after_grant").await;
}

#[tokio::test]
async fn b6_g8_b10_an_executor_killed_in_mid_test_is_replaced_leaves_no_browser_and_its_loss_is_shown()
 {
    let (mesh, run_id) = executor_dies_at("mid_test").await;
    let mut get = mesh.cli(&["get", &run_id]);
    assert_eq!(get.wait(PATIENCE).await.code(), Some(0), "{}", get.output());
    let shown = get.output();
    let loss = shown.lines().find(|line| line.starts_with("last loss: ")).expect(&shown);
    assert!(loss.contains("EXECUTOR_LOST while running test "), "{loss}");
}

#[tokio::test]
async fn b6_an_executor_killed_after_its_reports_were_acknowledged_is_not_repeated() {
    executor_dies_at("after_report_ack").await;
}

#[tokio::test]
async fn b3_an_executor_killed_after_its_completion_was_answered_is_counted_once() {
    executor_dies_at("after_complete_sent").await;
}

#[tokio::test]
async fn an_idle_executor_killed_disturbs_nobody() {
    executor_dies_at("idle").await;
}

/// A service dies while a run is under way and is started again.
async fn service_dies(service: &'static str) {
    let mut mesh = Mesh::start().await;
    let _executors = [mesh.executor("one", None), mesh.executor("two", None)];
    let (mut run, report) = mesh.run(&slow(6, &mesh.site_url), &["--shards", "3"]);
    wait_until(PATIENCE, "a first result", async || {
        if mesh.count("SELECT count(*) FROM results.attempts").await > 0 {
            Ok(())
        } else {
            Err(run.output())
        }
    })
    .await;
    mesh.kill9(service);
    mesh.start_again(service);
    let status = run.wait(RECOVERY).await;
    assert_eq!(status.code(), Some(0), "{}", run.output());
    assert_each_once(&document(&report), 6, "passed");
    assert_eq!(mesh.count("SELECT count(*) FROM results.attempts").await, 6, "nothing ran again");
    let terminal = "SELECT count(*) FROM scheduler.run_events WHERE terminal";
    assert_eq!(mesh.count(terminal).await, 1);
}

#[tokio::test]
async fn b10_the_scheduler_killed_in_mid_run_loses_nothing() {
    service_dies("scheduler").await;
}

#[tokio::test]
async fn results_killed_in_mid_run_loses_nothing() {
    service_dies("results").await;
}

#[tokio::test]
async fn the_notifier_killed_in_mid_run_loses_nothing() {
    service_dies("notifier").await;
}

#[tokio::test]
async fn the_gateway_killed_in_mid_run_is_found_again_by_the_cli() {
    service_dies("gateway").await;
}
