//! What `selenium-side-runner` says of a page, and what it does about dialogs (G2, G4).

use std::time::Duration;

use gauntlet_browser::{BrowserKind, BrowserSlot, TestOutcome, TestResult};
use gauntlet_core::flow::{FailureClass, Flow};
use serde_json::json;

use crate::{
    site,
    support::{config_of, run, turn},
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

/// A command, its target and its value.
type Command = (&'static str, &'static str, &'static str);

/// Runs each of the cases on a page, with little patience: they pass, or fail by the class that is named, in their last command.
async fn cases(
    kind: BrowserKind,
    page: &'static str,
    cases: &[(Option<FailureClass>, &[Command])],
) {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, "selenium-cases"));
    let mut wrong = Vec::new();
    for (class, commands) in cases {
        let mut flow = side(&base, &[&[("open", page, "")], *commands].concat());
        flow.timeout = Duration::from_secs(2);
        let outcome = run(&mut slot, &flow).await;
        let last = flow.steps.last().and_then(|step| step.label.clone());
        let failed = outcome.result.failure();
        let is_last = failed.is_none_or(|failure| flow.steps[failure.step_index].label == last);
        if failed.map(|failure| failure.class) != *class || !is_last {
            wrong.push(format!("{commands:?}: {:?}", outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{kind:?}: {wrong:#?}");
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

const BOTH: [BrowserKind; 2] = [BrowserKind::HeadlessShell, BrowserKind::Firefox];
const ASSERTION: Option<FailureClass> = Some(FailureClass::Assertion);
const MISSING: Option<FailureClass> = Some(FailureClass::ElementNotFound);

#[tokio::test]
async fn g2_a_click_waits_until_its_element_is_displayed_and_no_other_command_does() {
    for kind in BOTH {
        cases(
            kind,
            "/controls",
            &[
                (Some(FailureClass::Timeout), &[("click", "id=faint", "")]),
                (None, &[("click", "id=dawns", ""), ("assertText", "id=out", "dawned")]),
                (None, &[("doubleClick", "id=faint", ""), ("assertText", "id=out", "clicked")]),
                (None, &[("check", "id=box", ""), ("assertChecked", "id=box", "")]),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn g2_a_link_is_found_by_what_the_driver_reads_of_it() {
    for kind in BOTH {
        cases(
            kind,
            "/links",
            &[
                (None, &[("assertElementPresent", "link=SHOUT", "")]),
                (MISSING, &[("assertElementPresent", "link=shout", "")]),
                (None, &[("assertElementPresent", "link=two words & more\\nbelow", "")]),
                (None, &[("assertElementPresent", "partialLinkText=low", "")]),
                (MISSING, &[("assertElementPresent", "link=faint", "")]),
                (MISSING, &[("assertElementPresent", "link=folded", "")]),
                (None, &[("storeElementCount", "partialLinkText=o", "n"), ("assert", "n", "1")]),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn g2_type_types_names_of_keys_as_text_and_only_where_there_is_a_text() {
    for kind in BOTH {
        cases(
            kind,
            "/controls",
            &[
                (
                    None,
                    &[
                        ("type", "id=text", "a${KEY_ENTER}${KEY_NO_SUCH}"),
                        ("assertValue", "id=text", "a${KEY_ENTER}${KEY_NO_SUCH}"),
                        ("assertText", "id=out", "-"),
                    ],
                ),
                (
                    None,
                    &[
                        ("sendKeys", "id=text", "${KEY_ENTER}"),
                        ("assertText", "id=out", "submitted"),
                    ],
                ),
                (None, &[("type", "id=text", "a\\n"), ("assertText", "id=out", "submitted")]),
                (ASSERTION, &[("type", "id=plain", "x")]),
                (ASSERTION, &[("sendKeys", "id=plain", "x")]),
                (ASSERTION, &[("type", "id=tab", "x")]),
                (None, &[("sendKeys", "id=tab", "x")]),
                (ASSERTION, &[("type", "id=size", "l")]),
                (ASSERTION, &[("type", "id=box", "on")]),
                (
                    None,
                    &[
                        ("sendKeys", "id=text", "x"),
                        ("sendKeys", "css=body", "y"),
                        ("assertValue", "id=text", "x"),
                    ],
                ),
                (None, &[("type", "id=bold", "new"), ("assertText", "id=note", "new")]),
                (None, &[("sendKeys", "id=bold", "er"), ("assertText", "id=note", "older")]),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn g2_a_date_is_typed_as_the_browser_spells_it_or_set_as_pages_do() {
    cases(
        BrowserKind::HeadlessShell,
        "/controls",
        &[
            (None, &[("type", "id=date", "02/29/2024"), ("assertValue", "id=date", "2024-02-29")]),
            (None, &[("type", "id=date", "2024-02-29"), ("assertValue", "id=date", "2024-02-29")]),
            (None, &[("sendKeys", "id=time", "01:45PM"), ("assertValue", "id=time", "13:45")]),
        ],
    )
    .await;
}

#[tokio::test]
async fn g2_an_option_is_clicked_and_its_label_is_what_the_driver_reads() {
    for kind in BOTH {
        cases(
            kind,
            "/controls",
            &[
                (
                    None,
                    &[
                        ("select", "id=many", "label=A"),
                        ("select", "id=many", "label=A"),
                        ("executeScript", "return many.selectedOptions.length", "n"),
                        ("assert", "n", "0"),
                    ],
                ),
                (
                    None,
                    &[
                        ("addSelection", "id=many", "label=A"),
                        ("addSelection", "id=many", "label=A"),
                        ("executeScript", "return many.selectedOptions.length", "n"),
                        ("assert", "n", "1"),
                    ],
                ),
                (
                    None,
                    &[
                        ("select", "id=size", "value=l"),
                        ("select", "id=size", "value=l"),
                        ("assertText", "id=out", "-!"),
                        ("assertSelectedLabel", "id=size", "LARGE  ONE"),
                    ],
                ),
                (MISSING, &[("assertNotSelectedLabel", "id=many", "A")]),
                (MISSING, &[("assertNotSelectedLabel", "id=text", "A")]),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn g2_an_attribute_is_the_property_of_its_name_before_it_is_what_is_written() {
    let is = |of: &'static str, value: &'static str| -> [Command; 2] {
        [("storeAttribute", of, "it"), ("assert", "it", value)]
    };
    let all = [
        is("id=plain@class", ""),
        is("id=link@href", "null"),
        is("id=empty@href", ""),
        is("id=option@checked", "true"),
        is("id=box@selected", "true"),
        is("id=form@method", "get"),
        is("id=drawing@class", "art"),
        is("id=drawing@width", "20"),
        is("id=plain@spellcheck", "true"),
        is("id=plain@hidden", "null"),
        is("id=plain@nosuch", "null"),
    ];
    let all: Vec<_> = all.iter().map(|commands| (None, commands.as_slice())).collect();
    cases(BrowserKind::HeadlessShell, "/attributes", &all).await;
    let action = [
        ("storeAttribute", "id=form@action", "it"),
        ("executeScript", "return ${it} === location.origin + '/go'", "same"),
        ("assert", "same", "true"),
    ];
    cases(BrowserKind::HeadlessShell, "/attributes", &[(None, &action)]).await;
}

#[tokio::test]
async fn g4_what_is_wrong_is_said_in_plain_words() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(BrowserKind::HeadlessShell, "selenium-words"));
    let told = [
        (
            ("selectFrame", "id=plain", ""),
            ["the element cannot do what the step asks", "it holds no frame"],
        ),
        (
            ("editContent", "id=plain", "x"),
            ["the element cannot do what the step asks", "it is not editable content"],
        ),
        (
            ("waitForElementVisible", "id=faint", "100"),
            ["the element is not visible", "not visible"],
        ),
        (("waitForElementNotVisible", "id=plain", "100"), ["the element is visible", "visible"]),
        (("assertChecked", "id=box", ""), ["the element is not checked", "not checked"]),
        (
            ("assertSelectedLabel", "id=size", "Large"),
            ["the selected label is not as expected", "\"Small\""],
        ),
    ];
    for (command, [message, found]) in told {
        let mut flow = side(&base, &[("open", "/controls", ""), command]);
        flow.timeout = Duration::from_millis(500);
        let outcome = run(&mut slot, &flow).await;
        let failure = outcome.result.failure().expect("it fails");
        assert_eq!((failure.message.as_str(), failure.found.as_deref()), (message, Some(found)));
    }
}

/// Ways from `/leads` to a page that answers late.
const WAYS: &[&[Command]] = &[
    &[("click", "id=link", "")],
    &[("doubleClick", "id=link", "")],
    &[("click", "id=send", "")],
    &[("click", "id=handler", "")],
    &[("click", "id=timer", "")],
    &[("sendKeys", "id=text", "${KEY_ENTER}")],
    &[("type", "id=text", "a\\n")],
    &[("submit", "css=form", "")],
    &[("executeScript", "document.querySelector('form').submit()", "")],
    &[("click", "id=box", ""), ("acceptAlert", "", "")],
];
/// Looks that are right about the late page only, and do not wait.
const LOOKS: &[&[Command]] = &[
    &[("assertTitle", "Late", "")],
    &[("assertElementNotPresent", "id=link", "")],
    &[("storeText", "id=out", "text"), ("assert", "text", "late")],
    &[
        ("if", "document.title === 'Leads'", ""),
        ("assertElementPresent", "id=nowhere", ""),
        ("end", "", ""),
    ],
];

#[tokio::test]
async fn g2_what_an_action_leads_to_is_there_before_anybody_looks() {
    let _turn = turn().await;
    let open = |page| [("open", page, "")];
    let frame = [("selectFrame", "id=inner", "")];
    let twice =
        [("click", "id=send", ""), ("click", "id=out", ""), ("assertText", "id=out", "late!")];
    for kind in BOTH {
        let both = WAYS.iter().flat_map(|way| LOOKS.iter().map(move |look| (*way, *look)));
        let mut all: Vec<_> =
            both.map(|(way, look)| [&open("/leads"), way, look].concat()).collect();
        let framed = WAYS[..4]
            .iter()
            .map(|way| [&open("/leads-frame"), &frame[..], way, LOOKS[1], LOOKS[2]].concat());
        all.extend(framed);
        all.push([&open("/leads")[..], &twice].concat());
        let all: Vec<_> = all.iter().map(|commands| (None, commands.as_slice())).collect();
        cases(kind, "/leads", &all).await;
    }
}

#[tokio::test]
async fn g2_an_action_that_leads_nowhere_is_not_waited_for() {
    let again = [("click", "id=stays", ""), ("assertTitle", "Leads", "")];
    let base = site::start().await;
    for kind in BOTH {
        let outcome = verdict(
            kind,
            &base,
            &[&[("open", "/leads", "")], again.repeat(10).as_slice()].concat(),
        )
        .await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let looks = outcome.steps.iter().skip(2).step_by(2);
        let slowest = looks.map(|step| step.duration).max();
        assert!(slowest < Some(Duration::from_secs(1)), "{kind:?}: {slowest:?}");
    }
}
