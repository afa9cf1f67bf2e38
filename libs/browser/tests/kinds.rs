//! Every kind of browser runs the same recordings (G1).

use gauntlet_browser::{BrowserKind, BrowserSlot, TestResult};

use crate::{
    recordings::{FAILURES, folder, names},
    site,
    support::{config_of, recording, run},
};

/// What neither Firefox nor `WebKit` can do: it says so, instead of doing something else.
const CHROMIUM_ONLY: &[&str] = &["emulateNetworkConditions", "setViewport"];

/// Recordings that fail elsewhere by another class, because of what the browser tells.
const OTHERWISE: &[&str] = &["emulateNetworkConditions", "setViewport"];

#[tokio::test]
async fn g1_firefox_passes_what_it_should() {
    all_pass(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g1_webkit_passes_what_it_should() {
    all_pass(BrowserKind::WebKit).await;
}

#[tokio::test]
async fn g4_firefox_fails_what_it_should() {
    all_fail(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g4_webkit_fails_what_it_should() {
    all_fail(BrowserKind::WebKit).await;
}

async fn all_pass(kind: BrowserKind) {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("pass-{kind:?}")));
    let mut wrong = Vec::new();
    for name in names("pass") {
        let file = folder("pass").join(format!("{name}.json"));
        let outcome = run(&mut slot, &recording(&file, &base)).await;
        let refused =
            outcome.result.failure().is_some_and(|failure| failure.message.contains("cannot"));
        let impossible = CHROMIUM_ONLY.contains(&name.as_str());
        if refused != impossible || !impossible && outcome.result != TestResult::Passed {
            wrong.push(format!("{name}: {:?}", outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn all_fail(kind: BrowserKind) {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("fail-{kind:?}")));
    let mut wrong = Vec::new();
    for (name, step, class) in FAILURES {
        let file = folder("fail").join(format!("{name}.json"));
        let outcome = run(&mut slot, &recording(&file, &base)).await;
        match &outcome.result {
            TestResult::Failed(failure)
                if OTHERWISE.contains(name)
                    || (failure.step_index, failure.class) == (*step, *class)
                        && outcome.screenshot.is_some() => {}
            other => wrong
                .push(format!("{name}: {other:?}, screenshot {}", outcome.screenshot.is_some())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
