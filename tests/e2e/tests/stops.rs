//! Runs that end before their last test, by their own options.

use crate::support::{Mesh, PATIENCE, counter, document, slow};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Returns how many tests ended as skipped for this reason.
fn skipped(document: &Value, reason: &str) -> usize {
    let tests = document["tests"].as_array().unwrap();
    tests.iter().filter(|t| t["outcome"] == "skipped" && t["skip_reason"] == reason).count()
}

#[tokio::test]
async fn a_run_that_fails_fast_stops_early_with_exit_1_and_shows_what_it_skipped() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let mut recordings = vec![counter("a bad", &mesh.site_url, "/", "2")];
    recordings.extend(slow(30, &mesh.site_url));
    let (mut run, report) = mesh.run(&recordings, &["--fail-fast", "--shards", "4"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let document = document(&report);
    assert_eq!(
        (document["state"].as_str(), document["reason"].as_str()),
        (Some("FAILED"), Some("FAIL_FAST"))
    );
    assert_eq!(document["tests"][0]["outcome"], "failed");
    let count = skipped(&document, "FAIL_FAST");
    assert!(count >= 20, "{count} skipped: {document}");
    let ended = document["counts"]["passed"].as_u64().unwrap() + 1;
    assert_eq!(ended + count as u64, 31, "every test has one outcome: {document}");
}

#[tokio::test]
async fn a_run_past_its_time_limit_ends_within_two_seconds_with_exit_1() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let mut hanging = counter("b hanging", &mesh.site_url, "/hang", "1");
    hanging["timeout"] = 30_000.into();
    let recordings = [
        counter("a good", &mesh.site_url, "/", "1"),
        hanging,
        counter("c never", &mesh.site_url, "/", "1"),
    ];
    let limit = Duration::from_secs(8);
    let began = Instant::now();
    let (mut run, report) = mesh.run(&recordings, &["--run-timeout", "8s"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let took = began.elapsed();
    let document = document(&report);
    assert_eq!(
        (document["state"].as_str(), document["reason"].as_str()),
        (Some("FAILED"), Some("DEADLINE"))
    );
    assert_eq!(document["tests"][0]["outcome"], "passed");
    assert_eq!(skipped(&document, "DEADLINE"), 2, "{document}");
    let ran = Duration::from_millis(document["duration_ms"].as_u64().unwrap());
    assert!(ran >= limit && ran < limit + Duration::from_secs(2), "{ran:?}, in all {took:?}");
}
