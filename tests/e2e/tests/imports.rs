//! Bad input: a clear error that names file, step and field, exit 2, and nothing stored.

use crate::support::{Mesh, PATIENCE, assert_each_once, counter, document};
use std::path::Path;

async fn list(mesh: &Mesh) -> String {
    let mut list = mesh.cli(&["list", "--json"]);
    list.wait(PATIENCE).await;
    list.output()
}

async fn refused(mesh: &Mesh, path: &Path, words: &[&str]) {
    let mut run = mesh.cli(&["run", &path.display().to_string()]);
    let status = run.wait(PATIENCE).await;
    let output = run.output();
    assert_eq!(status.code(), Some(2), "{}: {output}", path.display());
    for word in words {
        assert!(output.contains(word), "{word:?} is missing for {}: {output}", path.display());
    }
}

#[tokio::test]
async fn bad_recordings_are_refused_with_names_and_nothing_is_stored() {
    let mesh = Mesh::start().await;
    let before = list(&mesh).await;
    let folder = mesh.folder.path();
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("malformed.json", b"{\"title\": \"x\", ".to_vec(), &["malformed.json", "line"]),
        (
            "unknown.json",
            br#"{"title":"x","steps":[{"type":"fly"}]}"#.to_vec(),
            &["unknown.json", "step 1", "type"],
        ),
        (
            "missing.json",
            br#"{"title":"x","steps":[{"type":"navigate"}]}"#.to_vec(),
            &["missing.json", "step 1", "url"],
        ),
        ("none.json", br#"{"title":"x","steps":[]}"#.to_vec(), &["none.json", "steps"]),
        ("latin1.json", b"{\"title\":\"\xe9\",\"steps\":[]}".to_vec(), &["latin1.json", "UTF-8"]),
        ("huge.json", vec![b' '; 50 * 1024 * 1024], &["huge.json", "at most"]),
    ];
    for (name, content, words) in cases {
        let file = folder.join(name);
        std::fs::write(&file, content).unwrap();
        refused(&mesh, &file, words).await;
    }
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    refused(&mesh, &empty, &["empty"]).await;
    // One bad file among good ones stores none of them.
    let mixed = folder.join("mixed");
    crate::support::write_recordings(&mixed, &[counter("good", &mesh.site_url, "/", "1")]);
    std::fs::copy(folder.join("unknown.json"), mixed.join("unknown.json")).unwrap();
    refused(&mesh, &mixed, &["unknown.json"]).await;
    assert_eq!(list(&mesh).await, before, "byte-equal");
    assert_eq!(mesh.count("SELECT count(*) FROM scheduler.tests").await, 0);
}

/// A recording of exactly `bytes` bytes, of which nearly all are part of the test, so that they are stored.
fn padded(recording: &serde_json::Value, bytes: usize) -> Vec<u8> {
    let mut recording = recording.clone();
    let name = "x".repeat(bytes - 4_096);
    let step = serde_json::json!({"type": "customStep", "name": name});
    recording["steps"].as_array_mut().unwrap().push(step);
    let mut text = recording.to_string().into_bytes();
    text.resize(bytes, b' ');
    text
}

#[tokio::test]
async fn recordings_of_up_to_16_mib_are_imported_and_run_and_one_byte_more_is_refused() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let folder = mesh.folder.path().join("large");
    std::fs::create_dir(&folder).unwrap();
    let recording = |title| counter(title, &mesh.site_url, "/", "1");
    std::fs::write(folder.join("a.json"), padded(&recording("a"), 10_000_000)).unwrap();
    std::fs::write(folder.join("b.json"), padded(&recording("b"), 16_777_216)).unwrap();
    let (mut run, report) = mesh.run_folder(&folder, &[]);
    assert_eq!(run.wait(PATIENCE).await.code(), Some(0), "{}", run.output());
    assert_each_once(&document(&report), 2, "passed");
    let large =
        "SELECT count(*) FROM scheduler.test_revisions WHERE octet_length(content) >= 9990000";
    assert_eq!(mesh.count(large).await, 2);
    let file = mesh.folder.path().join("larger.json");
    std::fs::write(&file, padded(&recording("c"), 16_777_217)).unwrap();
    refused(&mesh, &file, &["larger.json", "16777217 bytes", "at most 16777216"]).await;
}
