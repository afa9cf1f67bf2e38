//! From recordings to a verdict with one command.

use crate::support::{Mesh, PATIENCE, assert_each_once, counter, document, slow, write_recordings};
use gauntlet_testkit::{FakeWebhookReceiver, GauntletProcess};

#[tokio::test]
async fn the_readmes_first_command_passes_its_samples_over_two_executors() {
    let folder = tempfile::tempdir().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let (json, junit) = (folder.path().join("report.json"), folder.path().join("report.xml"));
    let mut run = GauntletProcess::spawn([
        "run",
        &format!("{root}/examples/demo"),
        "--demo",
        "--shards",
        "4",
        "--executors",
        "2",
        &format!("--json={}", json.display()),
        "--junit",
        &junit.display().to_string(),
        "--data-dir",
        &folder.path().join("data").display().to_string(),
        "--report-dir",
        &folder.path().join("reports").display().to_string(),
    ]);
    let status = run.wait(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", run.output());
    let document = document(&json);
    assert_eq!(
        (document["state"].as_str(), document["shards"].as_u64()),
        (Some("PASSED"), Some(4))
    );
    assert_each_once(&document, document["tests"].as_array().unwrap().len(), "passed");
    let executors: std::collections::BTreeSet<&str> = document["tests"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|t| t["executor"].as_str())
        .collect();
    assert_eq!(executors.len(), 2, "{executors:?}");
    assert!(std::fs::read_to_string(junit).unwrap().contains("<testsuites"));
}

#[tokio::test]
async fn a3_pages_believe_what_the_command_line_says_and_a_browser_that_cannot_is_refused() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let believes = "navigator.language === 'de-DE' && new Date(0).getHours() === 9 && screen.width === 390 \
                    && navigator.maxTouchPoints > 0 && devicePixelRatio === 3";
    let recording = serde_json::json!({ "title": "elsewhere", "steps": [
        { "type": "navigate", "url": mesh.site_url },
        { "type": "waitForExpression", "expression": believes },
    ]});
    let wanted =
        ["--locale", "de-DE", "--time-zone", "Asia/Tokyo", "--viewport", "390x844@3", "--mobile"];
    let (mut run, _) = mesh.run(std::slice::from_ref(&recording), &wanted);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(0), "{}", run.output());
    let webkit = [wanted.as_slice(), &["--browser", "webkit"]].concat();
    let (mut run, _) = mesh.run(&[recording], &webkit);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(2), "{}", run.output());
    assert!(run.output().contains("options.emulation.locale"), "{}", run.output());
}

#[tokio::test]
async fn g5_tests_that_share_a_cleared_context_find_nothing_of_each_other() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let leaves = "document.cookie === '' && localStorage.length === 0 && (document.cookie = 'a=1', localStorage.a = 1, true)";
    let recording = |title: &str| {
        serde_json::json!({ "title": title, "steps": [
            { "type": "navigate", "url": mesh.site_url },
            { "type": "waitForExpression", "expression": leaves },
        ]})
    };
    let all = ["first", "second", "third"].map(recording);
    let (mut run, _) = mesh.run(&all, &["--isolation", "reset"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(0), "{}", run.output());
    let (mut run, _) = mesh.run(&all, &["--isolation", "reset", "--browser", "firefox"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(2), "{}", run.output());
    assert!(run.output().contains("options.isolation"), "{}", run.output());
}

#[tokio::test]
async fn a_wrong_expectation_fails_the_run_at_its_step_and_one_webhook_tells_so() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let receiver = FakeWebhookReceiver::start().await;
    let recordings =
        [counter("a good", &mesh.site_url, "/", "1"), counter("b bad", &mesh.site_url, "/", "2")];
    let (mut run, report) =
        mesh.run(&recordings, &["--shards", "2", "--callback-url", &receiver.url()]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let document = document(&report);
    assert_eq!(document["state"], "FAILED");
    let bad = &document["tests"][1];
    let failure = &bad["failure"];
    assert_eq!((bad["name"].as_str(), bad["outcome"].as_str()), (Some("b bad"), Some("failed")));
    assert_eq!(
        (failure["step_index"].as_u64(), failure["step_type"].as_str()),
        (Some(2), Some("waitForExpression"))
    );
    assert_eq!(
        (failure["class"].as_str(), failure["found"].as_str()),
        (Some("assertion"), Some("\"1\""))
    );
    assert!(failure["expected"].as_str().unwrap().contains("=== '2'"));
    let screenshot = failure["screenshot"].as_str().unwrap();
    assert!(screenshot.starts_with(&mesh.report_dir()), "{screenshot}");
    assert!(std::fs::read(screenshot).unwrap().starts_with(b"\x89PNG"));
    let received = receiver.wait_for(1, PATIENCE).await;
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(
        (body["state"].as_str(), body["passed"].as_u64(), body["failed"].as_u64()),
        (Some("FAILED"), Some(1), Some(1))
    );
    assert_eq!(body["run_id"], document["run_id"]);
}

#[tokio::test]
async fn a_detached_run_is_waited_for_later_by_its_id() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let folder = mesh.folder.path().join("recordings");
    write_recordings(&folder, &slow(2, &mesh.site_url));
    let mut run = mesh.cli(&["run", &folder.display().to_string(), "--detach"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(0), "{}", run.output());
    let mut list = mesh.cli(&["list", "--json"]);
    list.wait(PATIENCE).await;
    let listed: serde_json::Value = serde_json::from_str(&list.output()).unwrap();
    let runs = listed.as_array().or_else(|| listed["runs"].as_array()).unwrap();
    let run_id = runs[0]["run_id"].as_str().unwrap().to_owned();
    let mut wait = mesh.cli(&["wait", &run_id, "--report-dir", &mesh.report_dir()]);
    assert_eq!(wait.wait(PATIENCE).await.code(), Some(0), "{}", wait.output());
}
