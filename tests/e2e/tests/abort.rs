//! Abort while a page hangs: nothing survives, one event, every test accounted for.

use crate::support::{Mesh, PATIENCE, counter, document};
use gauntlet_testkit::{processes_with_marker, wait_until};
use std::time::Duration;

#[tokio::test]
async fn c4_ctrl_c_while_a_page_hangs_exits_4_and_leaves_no_process() {
    let mesh = Mesh::start().await;
    let _executor = mesh.executor("one", None);
    let mut hanging = counter("a hanging", &mesh.site_url, "/hang", "1");
    hanging["timeout"] = 30_000.into();
    let recordings = [hanging, counter("b never", &mesh.site_url, "/", "1")];
    let (mut run, report) = mesh.run(&recordings, &[]);
    let run_id = wait_until(PATIENCE, "a run id", async || {
        let output = run.output();
        let id = output
            .split_whitespace()
            .map(|w| w.trim_end_matches(':'))
            .find(|w| w.len() == 36 && w.matches('-').count() == 4);
        id.map(str::to_owned).ok_or(output)
    })
    .await;
    wait_until(PATIENCE, "a browser with the run's marker", async || {
        if processes_with_marker(&run_id).is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    run.sigint();
    assert_eq!(run.wait(PATIENCE).await.code(), Some(4), "{}", run.output());
    wait_until(
        Duration::from_secs(1),
        "no process of the run one second after the CLI returned",
        async || {
            let left = processes_with_marker(&run_id);
            if left.is_empty() { Ok(()) } else { Err(left) }
        },
    )
    .await;
    let sealed = "SELECT count(*) FROM results.seals";
    assert_eq!(mesh.count(sealed).await, 1, "nothing can be added to what was reported");
    let document = document(&report);
    assert_eq!(document["state"], "ABORTED");
    for test in document["tests"].as_array().unwrap() {
        assert_eq!(
            (test["outcome"].as_str(), test["skip_reason"].as_str()),
            (Some("skipped"), Some("ABORTED"))
        );
    }
    let terminal = "SELECT count(*) FROM scheduler.run_events WHERE terminal";
    assert_eq!(mesh.count(terminal).await, 1, "C5");
}
