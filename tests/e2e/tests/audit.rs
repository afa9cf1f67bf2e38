//! The auditor as a person meets it: `gauntlet audit`.

use crate::support::{Mesh, PATIENCE, counter};
use gauntlet_testkit::{GauntletProcess, free_port};
use serde_json::Value;

#[tokio::test]
async fn audit_exits_0_for_a_clean_run_1_for_a_broken_one_and_3_without_a_mesh() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let (mut run, report) = mesh.run(&[counter("a good", &mesh.site_url, "/", "1")], &[]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(0), "{}", run.output());
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let run_id = report["run_id"].as_str().unwrap();
    let mut clean = mesh.cli(&["audit", run_id]);
    assert_eq!(clean.wait(PATIENCE).await.code(), Some(0), "{}", clean.output());
    for invariant in ["RN-1", "RN-5", "SH-3", "FN-2", "FD-1"] {
        assert!(clean.output().contains(invariant), "{invariant}: {}", clean.output());
    }
    let damage =
        "WITH d AS (UPDATE scheduler.runs SET revision = 99 RETURNING 1) SELECT count(*) FROM d";
    assert_eq!(mesh.count(damage).await, 1);
    let mut broken = mesh.cli(&["audit", run_id, "--json"]);
    assert_eq!(broken.wait(PATIENCE).await.code(), Some(1), "{}", broken.output());
    assert!(broken.output().contains("\"RN-4\""), "{}", broken.output());
    let nobody = format!("127.0.0.1:{}", free_port().unwrap());
    let mut away = GauntletProcess::spawn(["audit", "--server", &nobody]);
    assert_eq!(away.wait(PATIENCE).await.code(), Some(3), "{}", away.output());
}
