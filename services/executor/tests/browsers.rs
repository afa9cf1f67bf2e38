//! The same executor with real browsers. Ignored by default: it needs Chromium, its driver and the supervisor's binary
//! (`cargo build -p gauntlet-browser --bins`) in the target folder; `cargo test -p gauntlet-executor -- --ignored` runs it.

use crate::{
    Stage,
    mesh::{Mesh, WITHIN},
};
use gauntlet_executor::{BrowserPaths, EgressConfig, Fault, RealBrowsers};
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

fn real() -> Arc<RealBrowsers> {
    let exe = std::env::current_exe().unwrap();
    let supervisor: PathBuf = exe.ancestors().nth(2).unwrap().join("gauntlet-supervise");
    assert!(supervisor.is_file(), "{} is not built", supervisor.display());
    let supervisor = vec![supervisor.into_os_string()];
    Arc::new(RealBrowsers::new(
        BrowserPaths { supervisor, ..BrowserPaths::default() },
        EgressConfig::default(),
    ))
}

/// Returns the command lines that carry the run's id.
fn survivors(run_id: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(run_id))
        .collect()
}

fn grant(mesh: &Mesh, expression: &str) -> v1::ShardGrant {
    let json = serde_json::json!({ "title": "real", "steps": [
        { "type": "navigate", "url": "data:text/html,<title>here</title>" },
        { "type": "waitForExpression", "expression": expression, "timeout": 30_000 },
    ]});
    let mut grant = mesh.grant(0, &["real"]);
    grant.run_id = gauntlet_runtime::ids::v7().to_string();
    grant.tests[0].revision_hash = mesh.store(json.to_string().into_bytes());
    mesh.set(|s| s.claimable.push_back(grant.clone()));
    grant
}

#[tokio::test]
#[ignore = "needs chromium and the supervisor's binary"]
async fn g1_a_test_passes_in_a_real_browser_and_nothing_is_left() {
    let stage = Stage::with(real(), Duration::from_secs(20), Fault::default(), |_| {}).await;
    let grant = grant(&stage.mesh, "document.title === 'here'");
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_eq!(s.attempts[0].outcome(), v1::AttemptOutcome::Passed, "{s:?}");
        assert_eq!(s.attempts[0].steps.len(), 2);
    });
    assert_eq!(stage.stop().await, Exit::Clean);
    assert_eq!(survivors(&grant.run_id), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs chromium and the supervisor's binary"]
async fn c4_g8_nothing_of_a_real_browser_survives_an_abort_for_a_second() {
    let stage = Stage::with(real(), Duration::from_secs(20), Fault::default(), |_| {}).await;
    let grant = grant(&stage.mesh, "false");
    let mut grpc = stage.grpc.clone();
    let end = Instant::now() + WITHIN;
    let is_up = || survivors(&grant.run_id).iter().any(|line| line.contains("renderer"));
    while grpc
        .get_executor(v1::GetExecutorRequest {})
        .await
        .unwrap()
        .into_inner()
        .active_tests
        .is_empty()
        || !is_up()
    {
        assert!(Instant::now() < end, "the test does not run: {:?}", survivors(&grant.run_id));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.mesh.set(|s| s.abort = true);
    stage.mesh.until("the executor was told", |s| s.abort_told_at.is_some()).await;
    let told = stage.mesh.set(|s| s.abort_told_at).unwrap();
    while !survivors(&grant.run_id).is_empty() {
        assert!(told.elapsed() < Duration::from_secs(1), "left: {:#?}", survivors(&grant.run_id));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.stop().await, Exit::Clean);
}
