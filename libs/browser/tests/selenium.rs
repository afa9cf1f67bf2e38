//! What `selenium-side-runner` says of a page, and what it does about dialogs (G2, G4).

use gauntlet_browser::{BrowserKind, BrowserSlot, TestOutcome, TestResult};
use gauntlet_core::flow::{FailureClass, Flow};
use serde_json::json;

use crate::{
    site,
    support::{config_of, run},
};

/// Returns a Selenium IDE project with one test, as it is imported.
fn side(base: &str, commands: &[(&str, &str, &str)]) -> Flow {
    let commands: Vec<_> = commands
        .iter()
        .map(|(command, target, value)| {
            json!({ "id": "c", "command": command, "target": target, "targets": [], "value": value })
        })
        .collect();
    let project = json!({
        "id": "p", "version": "2.0", "name": "p", "url": base, "suites": [], "urls": [], "plugins": [],
        "tests": [{ "id": "t", "name": "t", "commands": commands }],
    });
    let text = project.to_string();
    gauntlet_recordings::parse(text.as_bytes(), "p.side").expect("valid")
}

async fn verdict(kind: BrowserKind, base: &str, commands: &[(&str, &str, &str)]) -> TestOutcome {
    let mut slot = BrowserSlot::new(config_of(kind, "selenium"));
    run(&mut slot, &side(base, commands)).await
}

fn failure(outcome: &TestOutcome) -> (FailureClass, usize) {
    let failure = outcome.result.failure().expect("it fails");
    (failure.class, failure.step_index)
}

#[tokio::test]
async fn g2_text_and_visibility_are_those_of_webdriver() {
    let base = site::start().await;
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let passes = [
            ("open", "/texts", ""),
            ("assertText", "id=row", "1 2 4"),
            ("assertText", "id=parts", "a\nb"),
            ("assertText", "id=code", "if x:\n  y = 1"),
            ("assertText", "id=inner", "seen"),
            ("waitForElementNotVisible", "id=folded", "500"),
            ("waitForElementVisible", "id=parts", "500"),
        ];
        let outcome = verdict(kind, &base, &passes).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let fails = [("open", "/texts", ""), ("assertNotText", "id=row", "1 2 4")];
        let outcome = verdict(kind, &base, &fails).await;
        assert_eq!(failure(&outcome), (FailureClass::Assertion, 1), "{kind:?}");
        let fails = [("open", "/texts", ""), ("waitForElementVisible", "id=folded", "500")];
        let outcome = verdict(kind, &base, &fails).await;
        assert_eq!(failure(&outcome), (FailureClass::Assertion, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn g4_a_selenium_test_fails_at_a_dialog_that_it_does_not_answer() {
    let base = site::start().await;
    let meets = [("open", "/dialog", ""), ("click", "id=b", ""), ("assertText", "id=out", "yes")];
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let outcome = verdict(kind, &base, &meets).await;
        assert_eq!(failure(&outcome), (FailureClass::Assertion, 2), "{kind:?}: {outcome:?}");
        let last = verdict(kind, &base, &meets[..2]).await;
        assert_eq!(last.result, TestResult::Passed, "{kind:?}: nothing meets it");
    }
}

#[tokio::test]
async fn g2_a_dialog_is_answered_while_the_page_loads() {
    let base = site::start().await;
    let answers = [
        ("open", "/greets", ""),
        ("assertAlert", "hello", ""),
        ("acceptAlert", "", ""),
        ("assertText", "id=out", "after"),
    ];
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let outcome = verdict(kind, &base, &answers).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
    }
}
