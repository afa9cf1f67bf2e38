//! The commands in the documents, executed.

use crate::support::{Mesh, PATIENCE, slow, write_recordings};
use std::process::Command;
use tokio::time::timeout;

/// Every `sh` block of a document, in order.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = document;
    while let Some(start) = rest.find("```sh\n") {
        let body = &rest[start + 6..];
        let end = body.find("```").expect("a closed block");
        blocks.push(body[..end].to_owned());
        rest = &body[end..];
    }
    blocks
}

async fn shell(script: String, variables: Vec<(&'static str, String)>) -> (bool, String) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let work = tokio::task::spawn_blocking(move || {
        let path = Command::new("sh").args(["-c", "echo $PATH"]).output().unwrap();
        let path = format!("{root}/scripts:{}", String::from_utf8(path.stdout).unwrap().trim());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(root)
            .env("PATH", path)
            .envs(variables)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    });
    timeout(PATIENCE, work).await.expect("a command that ends").unwrap()
}

#[tokio::test]
async fn i1_every_command_of_the_grpcurl_page_works_in_its_order() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let folder = mesh.folder.path().join("recordings");
    write_recordings(&folder, &slow(1, &mesh.site_url));
    let mut import = mesh.cli(&["import", &folder.display().to_string()]);
    assert!(import.wait(PATIENCE).await.success(), "{}", import.output());
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grpcurl.md"))
            .unwrap();
    let gateway = mesh.gateway.trim_start_matches("http://").to_owned();
    let state = mesh.folder.path().join("state").display().to_string();
    // Later blocks use what earlier ones set: one shell for all of them, echoing each command it runs.
    let script = format!("set -x\n{}", blocks(&page).join("\n"));
    let (ok, output) = shell(script, vec![("GATEWAY", gateway), ("STATE", state)]).await;
    assert!(ok, "{output}");
    for expected in ["gauntlet.v1.SchedulerService", "SERVING", "RUN_STATE_ABORTED", "\"terminal\""]
    {
        assert!(output.contains(expected), "{expected:?} is missing: {output}");
    }
    let aborted = "SELECT count(*) FROM scheduler.runs WHERE state = 'ABORTED'";
    assert_eq!(mesh.count(aborted).await, 1);
}
