//! Every kind of step does what it should, and what only a runner can decide: soft and optional steps, variables, limits.

use gauntlet_browser::{BrowserSlot, TestResult};

use crate::{
    flows, site,
    support::{config, run},
};

#[tokio::test]
async fn g2_every_kind_of_step_passes_where_it_should() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("kinds"));
    let mut wrong = Vec::new();
    for flow in flows::all(&base) {
        let outcome = run(&mut slot, &flow).await;
        if outcome.result != TestResult::Passed {
            wrong.push(format!("{}: {:?}", flow.title, outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
