//! A run whose failures are run again: one run, two generations, one verdict over all tests.

use crate::support::{Mesh, PATIENCE, counter, document};

#[tokio::test]
async fn a10_a_failed_run_is_retried_and_passes_with_what_passed_before() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let recordings = [
        counter("a good", &mesh.site_url, "/", "1"),
        counter("b healing", &mesh.site_url, "/healing", "1"),
    ];
    let (mut run, report) = mesh.run(&recordings, &[]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let first = document(&report);
    assert_eq!((first["state"].as_str(), first["generation"].as_u64()), (Some("FAILED"), Some(1)));

    let run_id = first["run_id"].as_str().unwrap();
    let json = format!("--json={}", report.display());
    let reports = mesh.report_dir();
    let mut retry = mesh.cli(&["retry", run_id, "--failed", &json, "--report-dir", &reports]);
    assert_eq!(retry.wait(PATIENCE).await.code(), Some(0), "{}", retry.output());
    let second = document(&report);
    assert_eq!(second["run_id"], first["run_id"]);
    assert_eq!(
        (second["state"].as_str(), second["generation"].as_u64()),
        (Some("PASSED"), Some(2))
    );
    assert_eq!(second["counts"]["passed"], 2, "{second}");
    let again = "SELECT count(*) FROM results.attempts WHERE generation = 2";
    assert_eq!(mesh.count(again).await, 1, "only what failed ran again");

    let mut nothing = mesh.cli(&["retry", run_id, "--report-dir", &reports]);
    assert_eq!(nothing.wait(PATIENCE).await.code(), Some(0), "{}", nothing.output());
    let mut wait = mesh.cli(&["wait", run_id, "--report-dir", &reports]);
    assert_eq!(wait.wait(PATIENCE).await.code(), Some(0), "{}", wait.output());
    assert!(wait.output().contains("generation 2"), "{}", wait.output());
    let terminal = "SELECT count(*) FROM scheduler.run_events WHERE terminal";
    assert_eq!(mesh.count(terminal).await, 2, "RN-2: one for each generation");
}
