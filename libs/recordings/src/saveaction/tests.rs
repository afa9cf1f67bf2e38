//! What each action becomes, in which order, and that none of the platform's false passes is copied.

use gauntlet_core::flow::{
    Button, Chain, Check, Comparison, Engine, Modifier, OptionBy, Point, Selector, Selectors,
    Subject, Support, support,
};
use serde_json::json;

use super::*;
use crate::import;

fn recording(actions: Vec<Value>) -> Value {
    json!({"id": "rec_1", "version": "1.0.0", "testName": "t", "url": "http://shop/start",
           "startTime": "2026-01-01T00:00:00Z", "viewport": {"width": 1280, "height": 720},
           "userAgent": "x", "actions": actions})
}

fn action(number: u32, at: u32, kind: &str, more: Value) -> Value {
    let mut action = json!({"id": format!("act_{number:03}"), "type": kind, "timestamp": at,
        "url": "http://shop/start", "selector": {"css": "div.a > button.b"}, "tagName": "button"});
    if let (Some(action), Some(more)) = (action.as_object_mut(), more.as_object()) {
        action.extend(more.clone());
    }
    action
}

fn flow_of(actions: Vec<Value>) -> Flow {
    import(recording(actions).to_string().as_bytes(), "a.json").expect("valid").remove(0)
}

/// The steps of the actions, without the two that begin every recording.
fn steps(actions: Vec<Value>) -> Vec<Step> {
    flow_of(actions).steps.split_off(2)
}

fn labels(actions: Vec<Value>) -> Vec<String> {
    steps(actions).into_iter().filter_map(|step| step.label).collect()
}

fn problem(actions: Vec<Value>) -> String {
    import(recording(actions).to_string().as_bytes(), "a.json").expect_err("refused").to_string()
}

fn alternatives(more: Value) -> Selectors {
    steps(vec![action(1, 0, "click", more)])[0].selectors().expect("an element").clone()
}

#[test]
fn g2_all_ten_types_of_action_are_read() {
    let all = vec![
        action(
            1,
            0,
            "click",
            json!({"button": "right", "modifiers": ["ctrl", "shift"], "clickCount": 1,
               "coordinates": {"x": 3.5, "y": 4}, "coordinatesRelativeTo": "element"}),
        ),
        action(
            2,
            10_000,
            "input",
            json!({"value": "Ann", "inputType": "text", "isSensitive": false, "simulationType": "type", "typingDelay": 20}),
        ),
        action(
            3,
            20_000,
            "select",
            json!({"selectedValue": "v", "selectedText": " A\n b ", "selectedIndex": 2}),
        ),
        action(
            4,
            30_000,
            "navigation",
            json!({"from": "http://shop/start", "to": "http://shop/orders/1234/show?x=1", "navigationTrigger": "click"}),
        ),
        action(5, 40_000, "hover", json!({})),
        action(6, 50_000, "scroll", json!({"scrollX": 0, "scrollY": 500, "element": "window"})),
        action(
            7,
            60_000,
            "keypress",
            json!({"key": "Enter", "code": "Enter", "modifiers": ["alt"]}),
        ),
        action(8, 70_000, "submit", json!({})),
        action(
            9,
            80_000,
            "checkpoint",
            json!({"checkType": "elementText", "expectedValue": "Hi", "passed": true, "auto": true}),
        ),
        action(
            10,
            90_000,
            "modal-lifecycle",
            json!({"event": "modal-closed", "modalSelector": "#cart"}),
        ),
    ];
    let flow = flow_of(all);
    let kinds: Vec<_> = flow.steps.iter().map(Step::type_name).collect();
    assert_eq!(
        kinds,
        [
            "setViewport",
            "navigate",
            "click",
            "type",
            "selectOption",
            "check",
            "hover",
            "scroll",
            "press",
            "submit",
            "check",
            "check"
        ]
    );
    let StepKind::Click(click) = &flow.steps[2].kind else { panic!("a click") };
    assert_eq!((click.button, &click.point), (Button::Secondary, &Point::from_top_left(3.5, 4.0)));
    assert_eq!(click.modifiers, [Modifier::Control, Modifier::Shift]);
    let StepKind::SelectOption(select) = &flow.steps[4].kind else { panic!("a select") };
    assert_eq!(
        select.option,
        [
            OptionBy::Value("v".into()),
            OptionBy::MostlyLabel("A b".into()),
            OptionBy::NthChild("3".into())
        ]
    );
    assert!(flow.steps[6].optional && flow.steps[11].optional && !flow.steps[10].optional);
    assert!(flow.steps[2..].iter().all(|step| step.target == Target::Current));
    assert_eq!(support(&flow.steps[0], Engine::Webkit), Support::Native);
}

fn claimed(step: &Step) -> (&Subject, &Comparison, bool) {
    let StepKind::Check(Check { subject, comparison, negated, wait: true }) = &step.kind else {
        panic!("a claim that waits, not {:?}", step.kind)
    };
    (subject, comparison, *negated)
}

#[test]
fn a_page_change_that_followed_is_claimed_and_never_made() {
    let to = |trigger: &str, to: &str| {
        steps(vec![action(
            1,
            0,
            "navigation",
            json!({"from": "x", "to": to, "navigationTrigger": trigger}),
        )])
    };
    let followed = to("form-submit", "http://shop/orders/1234/show?x=1");
    let (subject, comparison, _) = claimed(&followed[0]);
    assert!(*subject == Subject::Url && *comparison == Comparison::Contains("/orders".into()));
    assert!(to("click", "http://shop/").is_empty());
    let back = to("back", "http://shop/cart");
    assert_eq!(back.iter().map(Step::type_name).collect::<Vec<_>>(), ["script", "check"]);
    assert_eq!(to("manual", "http://shop/cart")[0].type_name(), "navigate");
}

#[test]
fn every_checkpoint_is_a_claim_also_an_automatic_one() {
    let check = |more: Value| steps(vec![action(1, 0, "checkpoint", more)]).remove(0);
    for (more, subject, comparison) in [
        (
            json!({"checkType": "urlMatch", "expectedUrl": "http://shop/a"}),
            Subject::Url,
            Comparison::Equals("http://shop/a".into()),
        ),
        (
            json!({"checkType": "urlContains", "expectedValue": "/a"}),
            Subject::Url,
            Comparison::Contains("/a".into()),
        ),
        (
            json!({"checkType": "pageTitle", "expectedValue": "Shop"}),
            Subject::Title,
            Comparison::Contains("Shop".into()),
        ),
        (
            json!({"checkType": "pageLoad", "auto": true}),
            Subject::Expression("document.readyState === 'complete'".into()),
            Comparison::Holds,
        ),
    ] {
        let step = check(more);
        let (found, compared, negated) = claimed(&step);
        assert!(*found == subject && *compared == comparison && !negated && !step.optional);
    }
    let element = check(json!({"checkType": "elementHasValue", "expectedValue": "3"}));
    assert!(matches!(claimed(&element).0, Subject::Value(_)));
    let text = problem(vec![action(1, 0, "checkpoint", json!({"checkType": "urlmatch"}))]);
    assert!(
        text.contains("actions[0].checkType: unknown checkpoint")
            && text.contains("did you mean `urlMatch`"),
        "{text}"
    );
}

#[test]
fn confident_selectors_come_first_and_must_be_unique() {
    let found = alternatives(json!({
        "selectors": [
            {"strategy": "css-semantic", "value": ".btn:has-text('Sign in')", "priority": 8, "confidence": 70},
            {"strategy": "id", "value": "go", "priority": 2, "confidence": 90},
            {"strategy": "href-pattern", "value": "/members/", "priority": 5, "confidence": 82},
            {"strategy": "from-the-future", "value": "x", "priority": 1, "confidence": 99}],
        "selector": {"css": "div.a > button.b", "text": "Sign  in", "position": {"parent": "form", "index": 3}, "priority": ["text", "css", "position"]},
        "alternativeSelectors": [{"text": "Sign  in", "xpath": "//button", "priority": 1}]
    }));
    let shown: Vec<_> = found.0.iter().map(|chain| (chain.to_string(), chain.unique)).collect();
    let wanted = [
        ("[id=\"go\"]", true),
        ("a[href*=\"/members/\"]", true),
        (".btn:has-text(\"Sign in\")", false),
        ("xpath///button[normalize-space(.)=\"Sign in\"]", false),
        ("div.a > button.b", false),
        ("form > :nth-child(4)", false),
        ("xpath///button", false),
    ];
    assert_eq!(shown, wanted.map(|(text, unique)| (text.to_owned(), unique)));
}

#[test]
fn playwrights_has_text_becomes_parts() {
    let chain = |css: &str| selectors::css(css).map(|chain| chain.to_string());
    for (css, parts) in [
        ("li:has-text(\"A\\\"b\") > a.x", "li:has-text(\"A\\\"b\") >> :scope > a.x"),
        (".c:has-text('x').d span:has-text('y')", ".c.d:has-text(\"x\") >> span:has-text(\"y\")"),
        (":has-text('x')", "*:has-text(\"x\")"),
    ] {
        assert_eq!(chain(css).as_deref(), Some(parts));
    }
    assert_eq!(chain("li:has-text(x)"), None);
    assert_eq!(chain("a >> b"), None);
}

#[test]
fn the_item_of_a_list_is_found_by_what_it_says() {
    let found = alternatives(json!({"contentSignature": {
        "listContainer": {"selector": "div.list", "itemSelector": "div.card"},
        "contentFingerprint": {"heading": "Red shoes", "price": "3"}, "fallbackPosition": 0}}));
    let card = Selector::HasText { css: "div.card".into(), text: "Red shoes".into() };
    let wanted = Chain { parts: vec![card, Selector::Css("button.b".into())], unique: true };
    assert_eq!(found.0[0], wanted);
}

#[test]
fn actions_come_in_order_and_what_is_written_twice_counts_once() {
    let other = json!({"selector": {"css": "#other"}});
    assert_eq!(
        labels(vec![
            action(3, 9_000, "click", other.clone()),
            action(1, 100, "click", json!({})),
            action(2, 900, "click", json!({})),
        ]),
        ["act_001 click", "act_003 click"]
    );
    let meant = json!({"clickIntent": {"allowMultiple": true}});
    assert_eq!(
        labels(vec![action(1, 0, "click", meant.clone()), action(2, 500, "click", meant)]).len(),
        2
    );
    let twice = json!({"clickCount": 2});
    let double = steps(vec![action(1, 0, "click", json!({})), action(2, 100, "click", twice)]);
    assert_eq!(double.iter().map(Step::type_name).collect::<Vec<_>>(), ["doubleClick"]);
    let numbered = json!({"timestamp": 1.8e12});
    assert_eq!(
        labels(vec![action(2, 10, "hover", json!({})), action(1, 0, "hover", numbered)]),
        ["act_001 hover", "act_002 hover"]
    );
}

#[test]
fn a_submit_that_followed_is_not_done_again_but_one_of_its_own_is() {
    let submit = |at| action(9, at, "submit", json!({"tagName": "form"}));
    assert_eq!(labels(vec![action(1, 0, "click", json!({})), submit(130)]), ["act_001 click"]);
    let enter = action(1, 0, "keypress", json!({"key": "Enter", "modifiers": []}));
    assert_eq!(labels(vec![enter, submit(130)]), ["act_001 keypress"]);
    assert_eq!(labels(vec![action(1, 0, "click", json!({})), submit(9_000)]).len(), 2);
}

#[test]
fn typing_in_progress_is_left_out_and_late_typing_comes_before_the_submit() {
    let field = |number, at, value: &str| {
        let css = "form.login > input.name";
        action(
            number,
            at,
            "input",
            json!({"value": value, "inputType": "text", "simulationType": "type", "selector": {"css": css}}),
        )
    };
    let submit = action(
        3,
        3_000,
        "click",
        json!({"clickType": "submit", "selector": {"css": "form.login > button"}}),
    );
    let typed = steps(vec![field(1, 0, "A"), field(2, 900, "An"), submit, field(4, 3_500, "Ann")]);
    assert_eq!(typed.iter().map(Step::type_name).collect::<Vec<_>>(), ["type", "click"]);
    let StepKind::Type(typing) = &typed[0].kind else { panic!("typing") };
    assert!(typing.text == "Ann" && typing.clear);
}

#[test]
fn secrets_are_marked_and_those_with_a_variable_are_not_taken_over() {
    let secret = |more: Value| {
        let mut secret = action(
            1,
            0,
            "input",
            json!({"value": "hunter2", "inputType": "password", "isSensitive": true, "simulationType": "type"}),
        );
        secret
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        flow_of(vec![secret])
    };
    let kept = secret(json!({}));
    assert!(kept.steps[2].sensitive && crate::to_yaml(&kept).contains("hunter2"));
    assert!(!format!("{kept:?}").contains("hunter2"));
    let given = secret(json!({"variableName": "PASSWORD"}));
    assert!(!crate::to_yaml(&given).contains("hunter2"));
    assert_eq!(given.missing_variables(), ["PASSWORD"]);
    assert!(given.secrets.contains("PASSWORD"));
}

#[test]
fn frames_are_entered_and_left() {
    let framed = json!({"frameSelector": "iframe.pay"});
    let all = steps(vec![
        action(1, 0, "hover", framed.clone()),
        action(2, 9_000, "hover", framed),
        action(3, 18_000, "hover", json!({})),
    ]);
    let kinds: Vec<_> = all.iter().map(Step::type_name).collect();
    assert_eq!(kinds, ["selectFrame", "selectFrame", "hover", "hover", "selectFrame", "hover"]);
}

#[test]
fn what_cannot_be_run_is_refused_with_action_and_field() {
    for (more, says) in [
        (json!({"type": "clik"}), "step 1 (clik): actions[0].type: unknown action"),
        (
            json!({"selector": {}}),
            "step 1 (click): actions[0].selector: names no way to find the element",
        ),
        (json!({"button": "third"}), "actions[0].button: must be left, middle or right"),
        (json!({"modifiers": ["hyper"]}), "actions[0].modifiers[0]: must be ctrl"),
        (
            json!({"type": "input", "value": "C:\\fakepath\\", "inputType": "file"}),
            "actions[0].value: names no file",
        ),
        (json!({"type": "keypress"}), "actions[0].key: is required and missing"),
        (json!({"type": "select"}), "actions[0].selectedValue: names no option"),
        (
            json!({"type": "navigation", "to": "http://x/", "navigationTrigger": "magic"}),
            "actions[0].navigationTrigger",
        ),
    ] {
        let text = problem(vec![action(1, 0, "click", more)]);
        assert!(text.contains(says), "{says}: {text}");
    }
    let mut newer = recording(vec![action(1, 0, "click", json!({}))]);
    newer["version"] = json!("2.0.0");
    let wrapped = json!({ "data": newer });
    let text = import(wrapped.to_string().as_bytes(), "f").expect_err("refused").to_string();
    assert!(text.contains("version: unknown version"), "{text}");
}

#[test]
fn a3_the_pause_before_an_action_is_kept_but_not_one_that_was_typing_or_being_away() {
    let typed =
        json!({"value": "x", "inputType": "text", "simulationType": "type", "completedAt": 4_000});
    let steps = steps(vec![
        action(1, 1_000, "click", json!({})),
        action(2, 1_500, "input", typed),
        action(3, 4_250, "click", json!({})),
        action(4, 500_000, "click", json!({})),
    ]);
    let pauses: Vec<u128> = steps.iter().map(|step| step.recorded_pause.as_millis()).collect();
    assert_eq!(pauses, [0, 500, 250, 60_000], "{steps:#?}");
}

#[test]
fn g2_a_file_is_given_by_its_name_whatever_folder_the_browser_told() {
    for (value, name) in [
        ("C:\\fakepath\\photo of me.png", "photo of me.png"),
        ("/home/ann/photo.png", "photo.png"),
        ("photo.png", "photo.png"),
    ] {
        let input = json!({"value": value, "inputType": "file", "simulationType": "type"});
        let step = steps(vec![action(1, 0, "input", input)]).remove(0);
        let StepKind::Change { value, .. } = step.kind else { panic!("{step:?}") };
        assert_eq!(value, name);
    }
}

#[test]
fn a_signature_of_an_item_counts_only_where_the_element_within_it_is_known() {
    let signature =
        json!({"listContainer": {"itemSelector": "li"}, "contentFingerprint": {"heading": "A"}});
    for (css, count) in [("ul > li > button", 2), ("ul > li > ", 1), ("", 1)] {
        let selector = json!({"id": "buy", "css": css});
        let more = json!({"contentSignature": signature, "selector": selector});
        let parts = alternatives(more).0.into_iter().filter(|chain| chain.parts.len() == 2);
        assert_eq!(parts.count() + 1, count, "{css:?}");
    }
}
