//! What people write, what they get wrong, and that every flow comes back as it was.

use std::sync::LazyLock;

use gauntlet_core::flow::{Click, Comparison, Selector, StepKind, Subject};
use proptest::prelude::*;

use super::*;
use crate::import;

mod arbitrary;

fn read(text: &str) -> Flow {
    import(text.as_bytes(), "a.yaml").unwrap_or_else(|errors| panic!("{errors}\n{text}")).remove(0)
}

fn problems(text: &str) -> Vec<String> {
    let errors = import(text.as_bytes(), "a.yaml").expect_err("must be refused");
    errors.problems.iter().map(ToString::to_string).collect()
}

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).expect("a schema"));

const WRITTEN_BY_HAND: &str = r##"
gauntlet: 1
title: Buy two
baseUrl: http://shop.example
variables: { name: Ann, amounts: [1, 2], password: null }
secrets: [password]
steps:
  - navigate: /login
  - type: { selectors: "#name", text: "${name}" }
  - type: { selectors: ["#password", "aria/Password"], text: "${password}" }
    sensitive: true
  - click: aria/Sign in[role="button"]
    label: sign in
    timeout: 9000
  - forEach: { array: amounts, item: amount }
  - if: ${amount} > 1
  - click:
      selectors:
        - { parts: ["#more"], unique: true }
        - ["#host", { css: li, hasText: More }]
      modifiers: [shift]
  - else
  - echo: one only
  - end
  - end
  - check: { text: "#total", equals: "3" }
  - check: { visible: "#error", not: true, wait: false }
    soft: true
  - script:
      code: |
        const total = 1;
        return total;
      store: total
  - press: Enter
  - pause: 10
  - close
"##;

#[test]
fn a_flow_written_by_hand_says_what_it_seems_to_say() {
    let flow = read(WRITTEN_BY_HAND);
    assert_eq!(flow.steps.len(), 17);
    assert_eq!(flow.missing_variables(), ["password"]);
    assert_eq!(flow.steps[2].kind.type_name(), "type");
    assert!(flow.steps[2].sensitive);
    let StepKind::Click(Click { selectors, .. }) = &flow.steps[6].kind else { panic!("a click") };
    assert!(selectors.0[0].unique && !selectors.0[1].unique);
    assert_eq!(
        selectors.0[1].parts[1],
        Selector::HasText { css: "li".into(), text: "More".into() }
    );
    let StepKind::Check(check) = &flow.steps[11].kind else { panic!("a check") };
    assert!(matches!(check.subject, Subject::Text(_)) && check.wait && !check.negated);
    assert!(check.comparison == Comparison::Equals("3".into()));
    let StepKind::Script(script) = &flow.steps[13].kind else { panic!("a script") };
    assert_eq!(script.code, "const total = 1;\nreturn total;\n");
    assert_eq!(read(&to_yaml(&flow)), flow);
}

#[test]
fn a_flow_without_its_mark_is_told_what_it_lacks() {
    let told = problems("title: t\nsteps:\n  - click: '#a'\n");
    let expected = "gauntlet: is required and missing: a flow begins with `gauntlet: 1`";
    assert!(told.concat().contains(expected), "{told:?}");
}

#[test]
fn what_is_written_is_short_and_plain() {
    let flow = read(WRITTEN_BY_HAND);
    let yaml = to_yaml(&flow);
    for line in [
        "title: Buy two",
        "  - navigate: /login",
        "  - press: Enter",
        "  - close",
        "  - else",
        "  - if: \"${amount} > 1\"",
        "  - click: aria/Sign in[role=\"button\"]",
        "      code: |",
    ] {
        assert!(yaml.lines().any(|written| written == line), "{line} in\n{yaml}");
    }
}

#[test]
fn every_mistake_is_told_with_step_and_field_and_a_hint() {
    let told = problems(
        "gauntlet: 1\ntitle: t\nsteps:\n  - clik: '#a'\n  - click: {selector: '#a'}\n  - click: '#a'\n    navigate: /\n  - check: {text: '#a'}\n  - press: {key: a, modifiers: [shfit]}\n  - type: {selectors: [], text: 3}\n  - label: nothing\ntimeuot: 3\n",
    );
    for (says, of) in [
        ("step 1 (clik): steps[0].clik: unknown field; did you mean `click`?", "kind"),
        ("step 2 (click): steps[1].click.selectors: is required and missing", "missing"),
        (
            "step 2 (click): steps[1].click.selector: unknown field; did you mean `selectors`?",
            "field",
        ),
        ("step 3 (click): steps[2]: must have only one of navigate", "two kinds"),
        ("step 4 (check): steps[3].check: must have one of equals", "comparison"),
        (
            "steps[4].press.modifiers[0]: must be one of alt, control, meta, shift; did you mean `shift`?",
            "word",
        ),
        ("steps[5].type.selectors: must not be empty", "empty"),
        ("steps[5].type.text: must be a text, not a number", "type"),
        ("step 7: steps[6]: must have one of navigate", "no kind"),
        ("timeuot: unknown field; did you mean `timeout`?", "top"),
    ] {
        assert!(told.iter().any(|told| told.contains(says)), "{of}: {says}\nin {told:#?}");
    }
}

#[test]
fn what_is_no_flow_is_refused() {
    for (text, says) in [
        ("gauntlet: 2\ntitle: t\nsteps: [close]\n", "this version of the document is not known"),
        ("gauntlet: 1\ntitle: t\nsteps: []\n", "a flow without steps tests nothing"),
        (
            "gauntlet: 1\ntitle: t\nsteps: [{if: x}]\n",
            "step 1 (if): steps[0]: `if` is never closed",
        ),
        ("gauntlet: 1\ntitle: t\ntitle: u\nsteps: [close]\n", "malformed YAML"),
        ("a: [", "malformed YAML"),
        ("", "the file is empty"),
        ("just text", "must be a JSON object"),
    ] {
        let told = problems(text);
        assert!(told.iter().any(|told| told.contains(says)), "{text}: {told:#?}");
    }
}

#[test]
fn a_file_may_hold_several_tests_and_aliases_stay_bounded() {
    let two = "gauntlet: 1\ntitle: a\nsteps: [close]\n---\ngauntlet: 1\ntitle: b\nsteps: [close]\n";
    let flows = import(two.as_bytes(), "a.yaml").expect("two tests");
    assert_eq!(flows.iter().map(|flow| flow.title.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (one, next) in ('a'..'k').zip('b'..) {
        let item = format!("*{one}");
        bomb.push_str(&format!("{next}: &{next} [{}]\n", vec![item; 9].join(", ")));
    }
    assert!(problems(&bomb)[0].contains("malformed YAML"));
}

/// The schema is published for editors; it is generated, so that it cannot lag behind.
#[test]
fn the_published_schema_is_the_one_that_is_read_by() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flow.schema.json");
    let published: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("published")).expect("is JSON");
    assert_eq!(
        published,
        schema(),
        "write it anew: gauntlet export --schema > docs/flow.schema.json"
    );
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    for steps in [
        json!([{"clik": "#a"}]),
        json!([{"click": {"selector": "#a"}}]),
        json!([{"click": "#a", "navigate": "/"}]),
        json!([{"label": "x"}]),
        json!([{"press": {"key": "a", "modifiers": ["shfit"]}}]),
        json!([{"store": {"variable": "x", "text": "a", "title": true}}]),
    ] {
        let document = json!({"gauntlet": 1, "title": "t", "steps": steps});
        assert!(!VALIDATOR.is_valid(&document), "{document}");
        assert!(import(document.to_string().as_bytes(), "a.json").is_err(), "{document}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_flow_comes_back_from_yaml_and_from_json_as_it_was(flow in arbitrary::flow()) {
        let json = to_json(&flow);
        prop_assert_eq!(&import(json.as_bytes(), "a.json").map_err(|errors| TestCaseError::fail(format!("{errors}\n{json}")))?[0], &flow);
        let yaml = to_yaml(&flow);
        prop_assert_eq!(&import(yaml.as_bytes(), "a.yaml").map_err(|errors| TestCaseError::fail(format!("{errors}\n{yaml}")))?[0], &flow);
    }

    #[test]
    fn the_schema_accepts_every_flow_that_is_written(flow in arbitrary::flow()) {
        let document = document(&flow);
        let told = VALIDATOR.iter_errors(&document).map(|error| error.to_string()).collect::<Vec<_>>();
        prop_assert!(told.is_empty(), "{told:?}\n{document}");
    }
}
