//! What a run keeps, from the command line to the browser and back into files.

use crate::support::{Mesh, PATIENCE, counter, document};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn probe(video: &Path) -> serde_json::Value {
    let asked = ["-v", "error", "-show_chapters", "-show_format", "-of", "json"];
    let output = Command::new("ffprobe").args(asked).arg(video).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a3_g6_a_run_keeps_what_it_was_asked_for_and_the_command_line_saves_it() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let recordings =
        [counter("a good", &mesh.site_url, "/", "1"), counter("b bad", &mesh.site_url, "/", "2")];
    let wanted = ["--video", "on-failure", "--screenshots", "every-step", "--logs", "on"];
    let (mut run, report) = mesh.run(&recordings, &wanted);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(1), "{}", run.output());
    let document = document(&report);
    let run_id = document["run_id"].as_str().unwrap();

    let mut list = mesh.cli(&["artifacts", "list", run_id, "--json"]);
    assert_eq!(list.wait(PATIENCE).await.code(), Some(0), "{}", list.output());
    let listed: serde_json::Value = serde_json::from_str(&list.output()).unwrap();
    let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for artifact in listed["artifacts"].as_array().unwrap() {
        let text = |key: &str| artifact[key].as_str().unwrap();
        kinds.entry(text("name")).or_default().insert(text("kind"));
    }
    let passed = BTreeSet::from(["network", "step-screenshot", "timeline"]);
    let failed = ["network", "page-source", "screenshot", "step-screenshot", "timeline", "video"];
    assert_eq!(kinds["a good"], passed, "its film was dropped");
    assert_eq!(kinds["b bad"], BTreeSet::from(failed));

    let folder = mesh.folder.path().join("saved");
    let to = folder.display().to_string();
    let mut get = mesh.cli(&["artifacts", "get", run_id, "b bad", "--to", &to]);
    assert_eq!(get.wait(PATIENCE).await.code(), Some(0), "{}", get.output());
    let saved = folder.join(run_id).join("0001-b-bad");
    let timeline = std::fs::read(saved.join("attempt-1-timeline.json")).unwrap();
    let timeline: serde_json::Value = serde_json::from_slice(&timeline).unwrap();
    assert_eq!(timeline["outcome"], "failed");
    assert_eq!(timeline["problems"].as_array().unwrap().len(), 0, "{timeline}");
    let film = probe(&saved.join("attempt-1-video.mp4"));
    let chapters = film["chapters"].as_array().unwrap();
    let marks = timeline["video"]["chapters"].as_array().unwrap();
    assert_eq!((chapters.len(), marks.len()), (3, 3), "one for each step: {film}");
    assert_eq!(chapters[2]["tags"]["title"], "3 waitForExpression");
    // It failed after waiting for the expectation, and the film shows that wait.
    let seconds: f64 = film["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!(seconds > 2.0, "{film}");
    let network = std::fs::read_to_string(saved.join("attempt-1-network.jsonl")).unwrap();
    assert!(network.contains(&mesh.site_url), "{network}");
    assert!(std::fs::read(saved.join("attempt-1-screenshot.png")).unwrap().starts_with(b"\x89PNG"));

    let mut none = mesh.cli(&["artifacts", "get", run_id, "c none", "--to", &to]);
    assert_eq!(none.wait(PATIENCE).await.code(), Some(2), "{}", none.output());
    let webkit = ["--browser", "webkit", "--video", "on"];
    let (mut refused, _) = mesh.run(&recordings, &webkit);
    assert_eq!(refused.wait(PATIENCE).await.code(), Some(2), "{}", refused.output());
    assert!(refused.output().contains("options.video"), "{}", refused.output());
}
