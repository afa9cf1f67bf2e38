//! What is read, and what is refused with which words.

use gauntlet_core::flow::{Button, Operator, Scope, Selector, StepKind, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod fuzz;

fn one(step: Value) -> Result<Flow, ImportErrors> {
    parse(json!({"title": "t", "steps": [step]}).to_string().as_bytes(), "a.json")
}

fn problems(step: Value) -> Vec<String> {
    one(step).expect_err("must be refused").problems.iter().map(ToString::to_string).collect()
}

#[test]
fn g2_a_page_gets_the_reference_s_time_to_load_unless_its_navigation_is_asserted() {
    let page = json!({"type": "navigate", "url": "http://a.test/"});
    let asserted = json!({"type": "navigate", "url": "http://a.test/", "assertedEvents": [{"type": "navigation"}]});
    let file = json!({"title": "t", "timeout": 700, "steps": [page, asserted]});
    let flow = parse(file.to_string().as_bytes(), "f").unwrap();
    let limits: Vec<_> = flow.steps.iter().map(|step| flow.timeout_of(step).as_millis()).collect();
    assert_eq!(limits, [30_000, 700]);
}

#[test]
fn g2_an_asserted_navigation_is_waited_for_where_the_reference_waits() {
    let asserted = |mut step: Value| {
        step["assertedEvents"] = json!([{"type": "navigation"}]);
        one(step).expect("valid").steps.remove(0).navigation.is_some()
    };
    for step in [
        json!({"type":"hover","selectors":["#a"]}),
        json!({"type":"keyUp","key":"a"}),
        json!({"type":"scroll","x":0,"y":10}),
        json!({"type":"waitForExpression","expression":"1"}),
    ] {
        assert!(asserted(step.clone()), "{step}");
    }
    for step in [
        json!({"type":"change","selectors":["#a"],"value":"v"}),
        json!({"type":"scroll","selectors":["#a"],"y":10}),
        json!({"type":"customStep","name":"n"}),
    ] {
        assert!(!asserted(step.clone()), "{step}");
    }
}

#[test]
fn g2_what_looks_like_a_variable_is_text() {
    let text = "${nbsp}|${KEY_ENTER}|${x}";
    let flow = one(json!({"type":"change","selectors":["text/${nbsp}"],"value":text})).unwrap();
    let step = Scope::new(&flow).resolve(&flow.steps[0]).expect("no numbers");
    assert_eq!(step, flow.steps[0]);
    let stored = import(to_yaml(&flow).as_bytes(), "f").expect("valid").remove(0);
    assert_eq!(Scope::new(&stored).resolve(&stored.steps[0]).expect("no numbers"), step);
}

#[test]
fn g2_all_fourteen_step_types_are_read() {
    let steps = json!([
        {"type":"navigate","url":"http://x/"},
        {"type":"setViewport","width":1280,"height":720,"deviceScaleFactor":1,"isMobile":false,"hasTouch":false,"isLandscape":false},
        {"type":"click","selectors":[["#a"]],"offsetX":1,"offsetY":2,"button":"secondary","deviceType":"touch","duration":70},
        {"type":"doubleClick","selectors":["#a"],"offsetX":1,"offsetY":2},
        {"type":"hover","selectors":[["#h","pierce/#b"]]},
        {"type":"change","selectors":["#a"],"value":"v"},
        {"type":"keyDown","key":"Shift"},
        {"type":"keyUp","key":"Shift"},
        {"type":"scroll","x":0,"y":10},
        {"type":"close","target":"http://x/pop"},
        {"type":"emulateNetworkConditions","download":1,"upload":2,"latency":3},
        {"type":"waitForElement","selectors":["#a"],"operator":"<=","count":0,"visible":false,"attributes":{"a":"b"},"properties":{"x":{"y":1}}},
        {"type":"waitForExpression","expression":"1","frame":[0,1],"timeout":30000},
        {"type":"customStep","name":"n","parameters":{"x":1},"unknown":"dropped"}
    ]);
    let flow = parse(json!({"title":"t","timeout":1,"steps":steps}).to_string().as_bytes(), "f")
        .expect("valid");
    assert_eq!(flow.steps.len(), 14);
    let StepKind::Click(click) = &flow.steps[2].kind else { panic!("click") };
    assert_eq!(click.button, Button::Secondary);
    assert_eq!(flow.steps[9].target, Target::Url("http://x/pop".into()));
    assert_eq!(flow.steps[12].frame, [0, 1]);
    let StepKind::WaitForElement(wait) = &flow.steps[11].kind else { panic!("waitForElement") };
    assert_eq!((wait.operator, wait.count), (Operator::AtMost, 0));
    assert_eq!(wait.properties.as_deref(), Some(r#"{"x":{"y":1}}"#));
}

#[test]
fn g2_every_selector_kind_is_read() {
    let flow = one(json!({"type":"hover","selectors":[
        "#a", "aria/Sign  in[role=\"button\"]", "text/Hello", "xpath///*[@id=\"x\"]", "pierce/.c",
        ["aria/Hello [x] World", "aria/[role='generic']"], "css/#a"]}))
    .expect("valid");
    let all = flow.steps[0].selectors().expect("has selectors");
    let firsts: Vec<_> = all.0.iter().map(|chain| chain.parts[0].clone()).collect();
    let aria = |name: &str, role: Option<&str>| Selector::Aria {
        name: Some(name.into()),
        role: role.map(Into::into),
    };
    assert_eq!(firsts[0], Selector::Css("#a".into()));
    assert_eq!(firsts[1], aria("Sign in", Some("button")));
    assert_eq!(firsts[2], Selector::Text("Hello".into()));
    assert_eq!(firsts[3], Selector::XPath("//*[@id=\"x\"]".into()));
    assert_eq!(firsts[4], Selector::Pierce(".c".into()));
    assert_eq!(firsts[5], aria("Hello [x] World", None));
    assert_eq!(all.0[5].parts[1], Selector::Aria { name: None, role: Some("generic".into()) });
    assert_eq!(firsts[6], Selector::Css("#a".into()));
}

#[test]
fn g2_puppeteer_s_own_selectors_are_translated_where_a_chain_can_say_them() {
    let css = |css: &str| Selector::Css(css.into());
    let pierce = |css: &str| Selector::Pierce(css.into());
    let text = |text: &str| Selector::Text(text.into());
    let aria = |name: &str| Selector::Aria { name: Some(name.into()), role: None };
    for (selector, wanted) in [
        (json!("#a >>> .b"), vec![css("#a"), pierce(".b")]),
        (json!("#a>>>>#b >>>> .c"), vec![css("#a"), css("#b"), css(".c")]),
        (json!(":scope >>> .b"), vec![pierce(".b")]),
        (json!(">>> b::-p-text(x)"), vec![pierce("b"), text("x")]),
        (json!("div ::-p-text( It's (so\\)) )"), vec![css("div"), text(" It's (so)) ")]),
        (json!("::-p-text('a, \\'b')"), vec![text("a, 'b")]),
        (json!("li::-p-text([)::-p-aria(y)"), vec![css("li"), text("["), aria("y")]),
        (
            json!("a ::-p-xpath(.//b[@c=\"),\"])"),
            vec![css("a"), Selector::XPath(".//b[@c=\"),\"]".into())],
        ),
        (json!(["#a >>> #b", "text/x"]), vec![css("#a"), pierce("#b"), text("x")]),
        (json!("text=x"), vec![text("x")]),
        (json!(["a", "text=x"]), vec![css("a"), css("text=x")]),
        (json!("a[b='>>>,'], c:is(d, e)"), vec![css("a[b='>>>,'], c:is(d, e)")]),
        (json!("a[b=\"::-p-text(x)\"]"), vec![css("a[b=\"::-p-text(x)\"]")]),
    ] {
        let flow = one(json!({"type":"hover","selectors":[selector.clone()]})).expect("valid");
        let found = &flow.steps[0].selectors().expect("selectors").0[0].parts;
        assert_eq!(*found, wanted, "{selector}");
    }
    for selector in [
        "#a, ::-p-text(b)",
        "#a >>> b, c",
        "a >>> >>> b",
        "a >>>",
        ">>>",
        "::-p-text(x) > b",
        "::-p-text(x).on",
        "::-p-text",
        "::-p-text()",
        "::-p-text(x",
        "a::-p-mine(x)",
        "a >>> ::-p-xpath(b)",
        "::-p-aria([level=\"1\"])",
    ] {
        let found = problems(json!({"type":"hover","selectors":["#a", [selector]]}));
        assert_eq!(found.len(), 1, "{selector}");
        assert!(found[0].starts_with("step 1 (hover): steps[0].selectors[1][0]: "), "{found:?}");
    }
}

#[test]
fn g2_every_problem_is_told_at_once_with_step_and_field() {
    let file = json!({"timeout": 0, "steps": [
        {"type":"click","selectors":[],"offsetX":"1"},
        {"type":"fly"},
        {"type":"setViewport","width":1},
        7,
        {"type":"waitForElement","selectors":[["#a", ""]],"count":1.5},
        {"type":"keyDown","key":"Entre"}
    ]});
    let errors = parse(file.to_string().as_bytes(), "bad.json").expect_err("refused");
    let text = errors.to_string();
    for expected in [
        "bad.json: title: is required and missing",
        "bad.json: timeout: must be between 1 and 30000 milliseconds",
        "bad.json: step 1 (click): steps[0].selectors: must not be empty",
        "bad.json: step 1 (click): steps[0].offsetX: must be a number, not a string",
        "bad.json: step 1 (click): steps[0].offsetY: is required and missing",
        "bad.json: step 2 (fly): steps[1].type: unknown step type",
        "bad.json: step 3 (setViewport): steps[2].isMobile: is required and missing",
        "bad.json: step 4: steps[3]: a step must be an object, not a number",
        "bad.json: step 5 (waitForElement): steps[4].selectors[0][1]: must not be empty",
        "bad.json: step 5 (waitForElement): steps[4].count: must be a whole number",
        "bad.json: step 6 (keyDown): steps[5].key: must be a key of a US keyboard, such as `Enter`, `Shift` or `a`; did you \
         mean `Enter`?",
    ] {
        assert!(text.contains(expected), "missing {expected:?} in:\n{text}");
    }
}

#[test]
fn g2_each_required_field_is_required() {
    let whole = [
        json!({"type":"navigate","url":"http://x/"}),
        json!({"type":"setViewport","width":1280,"height":720,"deviceScaleFactor":1,"isMobile":false,"hasTouch":false,"isLandscape":false}),
        json!({"type":"click","selectors":["#a"],"offsetX":1,"offsetY":2}),
        json!({"type":"doubleClick","selectors":["#a"],"offsetX":1,"offsetY":2}),
        json!({"type":"hover","selectors":["#a"]}),
        json!({"type":"change","selectors":["#a"],"value":""}),
        json!({"type":"keyDown","key":"a"}),
        json!({"type":"keyUp","key":"a"}),
        json!({"type":"emulateNetworkConditions","download":1,"upload":2,"latency":3}),
        json!({"type":"waitForElement","selectors":["#a"]}),
        json!({"type":"waitForExpression","expression":"1"}),
        json!({"type":"customStep","name":"n"}),
    ];
    for step in whole {
        one(step.clone()).expect("whole step");
        for field in step.as_object().expect("object").keys() {
            let mut cut = step.clone();
            cut.as_object_mut().expect("object").remove(field);
            assert_eq!(problems(cut).len(), 1, "{field} of {step}");
        }
    }
}

#[test]
fn g2_bounds_and_bad_values_are_refused() {
    let hover = |extra: Value| {
        let mut step = json!({"type":"hover","selectors":["#a"]});
        step.as_object_mut().expect("object").extend(extra.as_object().expect("object").clone());
        step
    };
    for extra in [
        json!({"timeout": 0}),
        json!({"timeout": 30001}),
        json!({"timeout": "5"}),
        json!({"frame": [-1]}),
        json!({"frame": 0}),
        json!({"target": 3}),
        json!({"selectors": [["aria/x[checked=\"true\"]"]]}),
        json!({"selectors": [[]]}),
        json!({"selectors": [[3]]}),
        json!({"selectors": ["aria/"]}),
        json!({"assertedEvents": [{"type": "reload"}]}),
        json!({"assertedEvents": 3}),
    ] {
        assert_eq!(problems(hover(extra.clone())).len(), 1, "{extra}");
    }
    assert!(parse(br#"{"title":"t","steps":[]}"#, "f").is_err());
}

#[test]
fn g2_broken_files_say_where() {
    let message = |bytes: &[u8]| parse(bytes, "f.json").expect_err("refused").to_string();
    assert_eq!(message(b"ab\xff"), "f.json: invalid UTF-8 at byte offset 2");
    assert!(
        message(b"{\n \"title\": }").contains("line 2 column 11"),
        "{}",
        message(b"{\n \"title\": }")
    );
    assert!(message(&vec![b' '; RECORDING_BYTES_MAX + 1]).contains("at most 16777216"));
    assert!(message(b"[]").contains("must be a JSON object, not an array"));
    assert!(message("[".repeat(100_000).as_bytes()).contains("recursion limit"));
}

#[test]
fn errors_are_bounded_and_never_quote_a_value() {
    let step = json!({"type":"change","selectors":[],"value":"hunter2"});
    let file = json!({"title":"t","steps":vec![step; 80]});
    let errors = parse(file.to_string().as_bytes(), "f").expect_err("refused");
    assert_eq!((errors.problems.len(), errors.omitted), (PROBLEMS_MAX, 30));
    assert!(!errors.to_string().contains("hunter2"));
}

#[test]
fn two_tests_of_a_file_cannot_have_the_same_title() {
    let one = "gauntlet: 1\ntitle: a\nsteps: [close]\n";
    let text = import(format!("{one}---\n{one}").as_bytes(), "f").expect_err("refused").to_string();
    assert!(text.contains("f: test \"a\": title: another test of the file"), "{text}");
    assert!(parse(format!("{one}---\n{}", one.replace(": a", ": b")).as_bytes(), "f").is_err());
}

#[test]
fn a_test_that_grows_beyond_the_limit_as_a_flow_is_refused() {
    let command =
        |name: &str, target: &str| json!({"command": name, "target": target, "value": ""});
    let inner = [command("echo", &"x".repeat(1_000_000))];
    let outer = vec![command("run", "inner"); 17];
    let file = json!({"version": "3.0", "urls": [], "tests": [
        {"id": "1", "name": "inner", "commands": inner}, {"id": "2", "name": "outer", "commands": outer}]});
    let text = import(file.to_string().as_bytes(), "f").expect_err("refused").to_string();
    assert!(text.contains("f: test \"outer\": as a flow the test has 17"), "{text}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, "f");
    }

    #[test]
    fn no_damaged_recording_makes_the_parser_panic(cut in 0usize..400, byte in any::<u8>(), selector in ".{0,40}") {
        let file = json!({"title":"t","timeout":3,"steps":[
            {"type":"click","selectors":[[selector.clone()], format!("aria/{selector}")],"offsetX":1,"offsetY":2,
             "assertedEvents":[{"type":"navigation","url":""}],"frame":[0]}]});
        let mut bytes = file.to_string().into_bytes();
        let _ = parse(&bytes, "f");
        let at = cut % bytes.len();
        bytes[at] = byte;
        let _ = parse(&bytes, "f");
        let _ = parse(&bytes[..at], "f");
    }
}
