//! Whom pages reach, through the whole mesh (G9).

use crate::support::{Mesh, PATIENCE, Site, counter, document, write_recordings};
use gauntlet_testkit::{GauntletProcess, free_port, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn visit(title: &str, url: &str) -> Value {
    json!({"title": title, "steps": [{"type": "navigate", "url": url}]})
}

/// Returns by the name of each test its class and its message.
fn failures(document: &Value) -> BTreeMap<String, (String, String)> {
    let tests = document["tests"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tests
        .filter(|test| test["outcome"] != "passed")
        .map(|test| {
            let failure = &test["failure"];
            (text(&test["name"]), (text(&failure["class"]), text(&failure["message"])))
        })
        .collect()
}

/// Asserts that exactly these tests were denied, by messages that begin and end so.
fn assert_denied(document: &Value, expected: &[(&str, &str, &str)]) {
    let failures = failures(document);
    assert_eq!(failures.len(), expected.len(), "{failures:#?}");
    for (name, whom, rule) in expected {
        let (class, message) = &failures[*name];
        let wanted = format!("the egress policy denies {whom}: {rule}");
        assert_eq!(
            (class.as_str(), message.as_str()),
            ("egress_denied", wanted.as_str()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn g9_a_page_is_denied_by_environment_and_mesh_and_its_step_says_so() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let mut put = mesh.cli(&["environment", "put", "guarded", "--egress-deny", "127.0.0.2"]);
    assert!(put.wait(PATIENCE).await.success(), "{}", put.output());
    assert!(put.output().contains("denies 127.0.0.2"), "{}", put.output());
    let elsewhere = mesh.site_url.replace("127.0.0.1", "127.0.0.2");
    let scheduler = mesh.address_of("scheduler");
    let recordings = [
        counter("allowed", &mesh.site_url, "/", "1"),
        visit("elsewhere", &elsewhere),
        visit("metadata", "http://169.254.169.254/latest/meta-data"),
        visit("scheduler", &format!("http://{scheduler}/")),
    ];
    let (mut run, report) = mesh.run(&recordings, &["--environment", "guarded"]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let elsewhere = elsewhere.trim_start_matches("http://").to_owned();
    assert_denied(
        &document(&report),
        &[
            ("elsewhere", &elsewhere, "the environment denies 127.0.0.2"),
            ("metadata", "169.254.169.254:80", "it may tell a cloud's metadata"),
            ("scheduler", &scheduler, "it is a port of the mesh"),
        ],
    );
    assert!(run.output().contains("the egress policy denies"), "{}", run.output());
}

#[tokio::test]
async fn g9_an_embedded_mesh_lets_pages_reach_this_machine_but_not_its_own_ports() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let data = folder.path().join("data").display().to_string();
    let _up =
        GauntletProcess::spawn(["up", "--listen", &listen, "--data-dir", &data, "--ephemeral"]);
    let gateway = format!("http://{listen}");
    wait_until(PATIENCE, "a mesh", async || {
        let mut list = GauntletProcess::spawn(["list", "--server", &gateway]);
        if list.wait(PATIENCE).await.success() { Ok(()) } else { Err(list.output()) }
    })
    .await;
    let recordings = [counter("site", &site.url, "/", "1"), visit("gateway", &gateway)];
    let (from, to) = (folder.path().join("recordings"), folder.path().join("report.json"));
    write_recordings(&from, &recordings);
    let mut run = GauntletProcess::spawn([
        "run",
        &from.display().to_string(),
        &format!("--json={}", to.display()),
        "--report-dir",
        &folder.path().join("reports").display().to_string(),
        "--server",
        &gateway,
    ]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    assert_denied(&document(&to), &[("gateway", &listen, "it is a port of the mesh")]);
}
