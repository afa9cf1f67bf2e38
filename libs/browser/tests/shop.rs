//! The demo shop's recordings, against a shop started by hand: `SHOP_URL` and `SHOP_RECORDINGS` say where.

use std::time::Instant;

use crate::support::{config, recording, run};

#[tokio::test]
#[ignore = "needs the demo shop: set SHOP_URL and SHOP_RECORDINGS"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test run by hand takes its site from the environment"
)]
async fn g2_every_shop_recording_passes_and_its_mutant_fails() {
    let (url, folder) = (
        std::env::var("SHOP_URL").expect("SHOP_URL"),
        std::env::var("SHOP_RECORDINGS").expect("SHOP_RECORDINGS"),
    );
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut slot = gauntlet_browser::BrowserSlot::new(config("shop"));
    let mut failed = Vec::new();
    for file in &files {
        let flow = recording(file, &url);
        let started = Instant::now();
        let outcome = run(&mut slot, &flow).await;
        println!("{:>5} ms {} {:?}", started.elapsed().as_millis(), flow.title, outcome.result);
        if !outcome.result.is_passed() {
            failed.push(flow.title.clone());
        }
        let mut wrong = flow.clone();
        for step in &mut wrong.steps {
            step.timeout = Some(std::time::Duration::from_millis(500).into());
            if let gauntlet_core::flow::StepKind::WaitForExpression { expression } = &mut step.kind
            {
                *expression = expression.replacen("=== \"", "=== \"zz", 1);
            }
        }
        let outcome = run(&mut slot, &wrong).await;
        match outcome.result.failure() {
            Some(failure) if outcome.screenshot.is_some() => println!("      mutant: {failure:?}"),
            _ => failed.push(format!("mutant {} {:?}", flow.title, outcome.result)),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
