//! One recording that passes and one that must fail, for every step type, selector kind, frame and popup (G2, G3, G4).

use std::{path::PathBuf, time::Duration};

use gauntlet_browser::{BrowserSlot, Control, TestOptions, TestResult};
use gauntlet_core::flow::{AssertedNavigation, FailureClass};

use crate::{
    site,
    support::{config, recording, run, turn},
};

/// Which step (0-based) of `fail/NAME.json` must fail, and how.
pub(crate) const FAILURES: &[(&str, usize, FailureClass)] = &[
    ("asserted", 1, FailureClass::Navigation),
    ("asserted-close", 3, FailureClass::Navigation),
    ("asserted-dead", 1, FailureClass::Navigation),
    ("asserted-frame", 1, FailureClass::Navigation),
    ("asserted-hash", 1, FailureClass::Navigation),
    ("change", 1, FailureClass::Timeout),
    ("change-box", 2, FailureClass::Assertion),
    ("change-colour", 1, FailureClass::Assertion),
    ("change-editable", 1, FailureClass::Assertion),
    ("change-prefix", 2, FailureClass::Assertion),
    ("change-select", 1, FailureClass::ElementNotFound),
    ("change-tab", 2, FailureClass::Assertion),
    ("click", 1, FailureClass::Timeout),
    ("click-below", 2, FailureClass::Assertion),
    ("click-disabled", 1, FailureClass::Timeout),
    ("click-hidden", 1, FailureClass::Timeout),
    ("click-icon", 1, FailureClass::Timeout),
    ("click-moving", 1, FailureClass::Timeout),
    ("click-offset", 1, FailureClass::Timeout),
    ("click-scroller", 1, FailureClass::Timeout),
    ("click-secondary", 2, FailureClass::Assertion),
    ("click-straying", 1, FailureClass::Timeout),
    ("click-svg", 1, FailureClass::Timeout),
    ("close", 1, FailureClass::Navigation),
    ("customStep", 2, FailureClass::Assertion),
    ("doubleClick", 2, FailureClass::Assertion),
    ("emulateNetworkConditions", 2, FailureClass::Assertion),
    ("emulateNetworkConditions-unlimited", 2, FailureClass::Assertion),
    ("frame", 1, FailureClass::ElementNotFound),
    ("frame-aria", 1, FailureClass::ElementNotFound),
    ("frame-nested", 2, FailureClass::Assertion),
    ("hover", 1, FailureClass::ElementNotFound),
    ("keyDown", 6, FailureClass::Assertion),
    ("keyDown-place", 4, FailureClass::Assertion),
    ("keyUp", 3, FailureClass::Assertion),
    ("navigate", 1, FailureClass::TargetUnreachable),
    ("popup", 2, FailureClass::Assertion),
    ("scroll", 1, FailureClass::ElementNotFound),
    ("scroll-element", 2, FailureClass::Assertion),
    ("selector-aria", 1, FailureClass::ElementNotFound),
    ("selector-aria-role", 1, FailureClass::ElementNotFound),
    ("selector-chain", 1, FailureClass::ElementNotFound),
    ("selector-chain-aria", 1, FailureClass::ElementNotFound),
    ("selector-chain-text", 1, FailureClass::ElementNotFound),
    ("selector-css", 1, FailureClass::ElementNotFound),
    ("selector-deep", 1, FailureClass::ElementNotFound),
    ("selector-first", 1, FailureClass::Timeout),
    ("selector-pierce", 1, FailureClass::ElementNotFound),
    ("selector-self", 1, FailureClass::ElementNotFound),
    ("selector-text", 1, FailureClass::ElementNotFound),
    ("selector-xpath", 1, FailureClass::ElementNotFound),
    ("setViewport", 2, FailureClass::Assertion),
    ("waitForElement", 1, FailureClass::Assertion),
    ("waitForElement-attributes", 1, FailureClass::Assertion),
    ("waitForElement-missing", 1, FailureClass::ElementNotFound),
    ("waitForElement-properties", 1, FailureClass::Assertion),
    ("waitForElement-visible", 1, FailureClass::Assertion),
    ("waitForExpression", 1, FailureClass::Assertion),
    ("waitForExpression-await", 1, FailureClass::Assertion),
    ("waitForExpression-comment", 1, FailureClass::Assertion),
    ("waitForExpression-promise", 1, FailureClass::Assertion),
    ("waitForExpression-semicolon", 1, FailureClass::Assertion),
    ("waitForExpression-syntax", 1, FailureClass::Assertion),
];

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

pub(crate) fn names(in_folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder(in_folder)).expect("recordings").flatten();
    let mut names: Vec<_> = files
        .filter_map(|file| file.path().file_stem().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn g2_every_step_and_selector_passes_where_it_should() {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("pass"));
    let mut wrong = Vec::new();
    for name in names("pass") {
        let outcome =
            run(&mut slot, &recording(&folder("pass").join(format!("{name}.json")), &base)).await;
        if outcome.result != TestResult::Passed {
            wrong.push(format!("{name}: {:?}", outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn g4_every_step_and_selector_fails_at_the_right_step_with_the_right_class() {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("fail"));
    let mut wrong = Vec::new();
    let expected: Vec<_> = FAILURES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names("fail"), expected, "the table lists every failing recording, in order");
    for (name, step, class) in FAILURES {
        let outcome =
            run(&mut slot, &recording(&folder("fail").join(format!("{name}.json")), &base)).await;
        match &outcome.result {
            TestResult::Failed(failure)
                if (failure.step_index, failure.class) == (*step, *class)
                    && outcome.screenshot.is_some() => {}
            other => wrong
                .push(format!("{name}: {other:?}, screenshot {}", outcome.screenshot.is_some())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Strictness is for what a recorder saw; what a flow claims itself always counts.
#[tokio::test]
async fn g2_what_was_seen_after_a_navigation_is_compared_if_the_run_asks_for_it() {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("strict"));
    let mut flow = recording(&folder("pass").join("navigate.json"), &base);
    let url = Some(format!("{base}/elsewhere"));
    flow.steps[0].navigation = Some(AssertedNavigation { url, title: None, recorded: true });
    flow.timeout = Duration::from_millis(700);
    let mut verdicts = Vec::new();
    for (strict, recorded) in [(false, true), (true, true), (false, false)] {
        let options = TestOptions { strict_asserted_events: strict, ..TestOptions::default() };
        let asserted = flow.steps[0].navigation.as_mut().expect("asserted");
        asserted.recorded = recorded;
        let outcome = slot.run_test(&flow, &options, &Control::default()).await;
        let outcome = outcome.expect("a browser");
        verdicts.push(outcome.result.failure().map(|failure| (failure.step_index, failure.class)));
    }
    let wrong = Some((0, FailureClass::Assertion));
    assert_eq!(verdicts, [None, wrong, wrong]);
    // From where the page is.
    let asserted = flow.steps[0].navigation.as_mut().expect("asserted");
    asserted.url = Some("/".to_owned());
    assert_eq!(run(&mut slot, &flow).await.result, TestResult::Passed);
}
