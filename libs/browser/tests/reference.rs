//! The conformance suites of other runners, brought and served by hand: `REFERENCE_FLOWS` is a folder of recordings. One
//! whose name contains `-fail-` must fail, as it does under its own runner; every other must pass.
//! `REFERENCE_ARGS` are more browser flags, one a line.

use std::time::Instant;

use crate::support::{config, run};

#[tokio::test]
#[ignore = "needs a reference suite: set REFERENCE_FLOWS and serve its site"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test run by hand takes its suite from the environment"
)]
async fn g2_every_reference_flow_has_its_own_runners_verdict() {
    let folder = std::env::var("REFERENCE_FLOWS").expect("REFERENCE_FLOWS");
    let mut config = config("reference");
    config.extra_args =
        std::env::var("REFERENCE_ARGS").unwrap_or_default().lines().map(str::to_owned).collect();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut slot = gauntlet_browser::BrowserSlot::new(config);
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(file).expect("readable");
        let flows = match gauntlet_recordings::import(&bytes, &name) {
            Ok(flows) => flows,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        for flow in &flows {
            let started = Instant::now();
            let outcome = run(&mut slot, flow).await;
            let title = &flow.title;
            println!(
                "{:>5} ms {name} {title}: {:?}",
                started.elapsed().as_millis(),
                outcome.result
            );
            if outcome.result.is_passed() == name.contains("-fail-") {
                wrong.push(format!("{name} {title}: {:?}", outcome.result));
            }
        }
    }
    assert!(!files.is_empty() && wrong.is_empty(), "{wrong:#?}");
}
