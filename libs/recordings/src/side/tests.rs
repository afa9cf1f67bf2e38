//! What each command becomes, how tests become flows, and what is refused.

use std::fmt::Debug;

use gauntlet_core::flow::{
    AfterFailure, Check, Comparison, FailureClass, Next, Quantity, Scope, Selector, Source,
    StepKind, Subject, Target,
};
use serde_json::json;

use super::*;
use crate::{ImportErrors, import};

fn command(name: &str, target: &str, value: &str) -> Value {
    json!({"id": "c", "comment": "", "command": name, "target": target, "targets": [], "value": value})
}

fn project(tests: &[(&str, Vec<Value>)], suites: Value) -> Value {
    let tests: Vec<_> = tests
        .iter()
        .map(|(name, commands)| json!({"id": format!("id-{name}"), "name": name, "commands": commands}))
        .collect();
    json!({"id": "p", "version": "2.0", "name": "p", "url": "http://shop/", "tests": tests,
           "suites": suites, "urls": ["http://shop/"], "plugins": []})
}

fn read(json: &Value) -> Result<Vec<Flow>, ImportErrors> {
    import(json.to_string().as_bytes(), "a.side")
}

fn steps(commands: Vec<Value>) -> Vec<Step> {
    read(&project(&[("t", commands)], json!([]))).expect("valid").remove(0).steps
}

fn one(name: &str, target: &str, value: &str) -> Step {
    let mut steps = steps(vec![command(name, target, value)]);
    assert_eq!(steps.len(), 1, "{name}");
    steps.remove(0)
}

fn problem(commands: Vec<Value>) -> String {
    read(&project(&[("t", commands)], json!([]))).expect_err("refused").to_string()
}

fn is<T: PartialEq + Debug>(found: &T, wanted: T) {
    assert_eq!(*found, wanted);
}

/// Arguments with which any command is right.
fn arguments(name: &str) -> (&'static str, &'static str) {
    match name {
        "setWindowSize" => ("1280x720", ""),
        "selectWindow" => ("handle=${w}", ""),
        "clickAt" | "doubleClickAt" | "mouseDownAt" | "mouseMoveAt" | "mouseUpAt" => {
            ("id=a", "1,2")
        }
        "dragAndDropToObject" => ("id=a", "id=b"),
        "storeAttribute" => ("id=a@href", "v"),
        "pause" | "times" => ("3", ""),
        name if name.starts_with("waitForElement") => ("id=a", "100"),
        _ => ("id=a", "v"),
    }
}

#[test]
fn g2_every_documented_command_and_every_verify_is_read() {
    let mut read_count = 0;
    for name in command::names() {
        let (target, value) = arguments(name);
        let this = command(name, target, value);
        let end = command("end", "", "");
        let opener = command("if", "true", "");
        let commands = match name {
            "run" | "debugger" | "setSpeed" => continue,
            "if" | "while" | "times" | "forEach" => vec![this, end],
            "else" | "elseIf" => vec![opener, this, end],
            "end" => vec![opener, this],
            "do" => vec![this, command("repeatIf", "false", "")],
            "repeatIf" => vec![command("do", "", ""), this],
            _ => vec![this],
        };
        let steps = steps(commands);
        assert!(!steps.is_empty(), "{name} does nothing");
        assert!(steps.iter().all(|step| step.target == Target::Current), "{name}");
        assert!(steps.iter().all(|step| step.soft == name.starts_with("verify")), "{name}");
        read_count += 1;
    }
    assert!(read_count >= 93 - 3 + 7, "{read_count}");
    for refused in ["debugger", "setSpeed"] {
        assert!(problem(vec![command(refused, "1", "")]).contains("its runner refuses it too"));
    }
}

#[test]
fn texts_are_compared_exactly_and_at_once_but_waits_wait() {
    let step = one("assertText", "css=h1", " Hello ${name} ");
    let StepKind::Check(check) = &step.kind else { panic!("a check") };
    assert!(check.comparison == Comparison::Equals("Hello ${name}".into()));
    assert!(!check.wait && !check.negated && !step.soft);
    let step = one("verifyNotText", "css=h1", "x");
    let StepKind::Check(check) = &step.kind else { panic!("a check") };
    assert!(check.negated && step.soft);
    is(&step.after_failure(FailureClass::Assertion), AfterFailure::FailLater);
    let step = one("waitForText", "css=h1", "x");
    let StepKind::Check(check) = &step.kind else { panic!("a check") };
    assert!(check.wait && matches!(check.comparison, Comparison::EqualsTrimmed(_)));
    let step = one("waitForElementNotPresent", "css=h1", "${patience}");
    assert!(step.timeout == Some(Quantity::Text("${patience}".into())));
    let StepKind::Check(Check { subject: Subject::Present(_), negated: true, wait: true, .. }) =
        step.kind
    else {
        panic!("waits for absence")
    };
}

#[test]
fn fallbacks_help_to_find_but_never_to_miss() {
    let with = |name: &str, value: &str| {
        let mut command = command(name, "id=gone", value);
        command["targets"] = json!([
            ["id=gone", "id"],
            ["css=.a", "css:finder"],
            ["//a", "xpath:position"],
            ["odd=1", "x"]
        ]);
        command["fallbackTargets"] = json!([["linkText=Go", "linkText"]]);
        let steps = steps(vec![command]);
        steps[0].selectors().expect("an element").to_string()
    };
    assert_eq!(with("click", ""), "*[id=\"gone\"] | .a | xpath///a | link/Go");
    assert_eq!(with("assertElementNotPresent", ""), "*[id=\"gone\"]");
    assert_eq!(with("storeElementCount", "n"), "*[id=\"gone\"]");
}

#[test]
fn only_a_click_waits_until_its_element_is_not_transparent() {
    let opaque = |name| match one(name, "id=a", "1,1").kind {
        StepKind::Click(click) | StepKind::DoubleClick(click) => click.opaque,
        other => panic!("a click: {other:?}"),
    };
    assert_eq!(["click", "clickAt", "doubleClick"].map(opaque), [true, false, false]);
}

#[test]
fn only_send_keys_speaks_of_keys() {
    let keys = |name| {
        let StepKind::Type(typing) = one(name, "id=a", "${KEY_ENTER}").kind else {
            panic!("typing")
        };
        (typing.keys, typing.clear)
    };
    assert_eq!((keys("type"), keys("sendKeys")), ((false, true), (true, false)));
    one("type", "id=a", "${KEY_NO_SUCH}");
}

#[test]
fn coordinates_are_counted_from_the_middle() {
    let StepKind::Click(click) = one("clickAt", "id=a", "-3,${y}").kind else { panic!("a click") };
    is(&click.point.origin, gauntlet_core::flow::Origin::Center);
    assert!(click.point.x == Quantity::Number(-3.0));
    assert!(click.point.y == Quantity::Text("${y}".into()));
}

#[test]
fn run_is_inlined_with_the_path_in_every_label() {
    let inner = vec![command("check", "id=in", "")];
    let outer = vec![
        command("store", "inner", "which"),
        command("run", "${which}", ""),
        command("check", "id=out", ""),
    ];
    let suites =
        json!([{"id": "s", "name": "S", "parallel": false, "timeout": 300, "tests": ["id-outer"]}]);
    let flows = read(&project(&[("inner", inner), ("outer", outer)], suites)).expect("valid");
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].title, "S › outer");
    assert_eq!(flows[0].base_url.as_deref(), Some("http://shop/"));
    let labels: Vec<_> = flows[0].steps.iter().filter_map(|step| step.label.as_deref()).collect();
    assert_eq!(labels, ["outer › 1 store", "outer › 2 run › inner › 1 check", "outer › 3 check"]);
}

#[test]
fn a_test_that_runs_itself_is_refused_at_its_command() {
    let text = problem(vec![command("run", "t", "")]);
    assert!(text.contains("tests run tests more than 16 deep"), "{text}");
    let text = problem(vec![command("run", "T2", "")]);
    assert!(
        text.contains("test \"t\": step 1 (run): target: no test of the file has this name"),
        "{text}"
    );
}

#[test]
fn a_suite_that_keeps_its_session_is_one_test_and_others_are_one_each() {
    let tests =
        [("a", vec![command("check", "id=a", "")]), ("b", vec![command("check", "id=b", "")])];
    let suite = |keeps: bool| {
        json!([{"id": "s", "name": "S", "persistSession": keeps, "parallel": true, "tests": ["id-b", "id-a", "id-b"]},
               {"id": "e", "name": "Empty", "tests": []}])
    };
    let titles = |json: &Value| -> Vec<String> {
        read(json).expect("valid").into_iter().map(|flow| flow.title).collect()
    };
    assert_eq!(titles(&project(&tests, suite(false))), ["S › b", "S › a", "S › b (2)"]);
    assert_eq!(titles(&project(&tests, json!([]))), ["a", "b"]);
    let flows = read(&project(&tests, suite(true))).expect("valid");
    assert_eq!((flows.len(), flows[0].steps.len()), (1, 3));
    assert_eq!(flows[0].steps[1].label.as_deref(), Some("a › 1 check"));
}

#[test]
fn comments_and_switched_off_commands_do_nothing() {
    let mut off = command("click", "id=a", "");
    off["skip"] = json!(true);
    let commands =
        vec![command("//open", "", ""), command("", "", ""), off, command("echo", "hi", "")];
    let steps = steps(commands);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].label.as_deref(), Some("t › 4 echo"));
}

#[test]
fn the_mistakes_of_a_test_that_never_runs_are_not_told() {
    let tests = [("good", vec![command("echo", "a", "")]), ("bad", vec![command("fly", "", "")])];
    let suite = |id: &str| json!([{"id": "s", "name": "S", "tests": [id]}]);
    assert!(read(&project(&tests, suite("id-good"))).is_ok());
    let errors = read(&project(&tests, suite("id-bad"))).expect_err("refused");
    assert_eq!(errors.problems.len(), 1);
}

#[test]
fn control_flow_is_followed_and_its_mistakes_are_told_at_their_command() {
    let steps =
        steps(vec![command("times", "2", ""), command("echo", "in", ""), command("end", "", "")]);
    let mut scope = Scope::default();
    let mut cursor = Cursor::new(&steps).expect("closed");
    let mut rounds = 0;
    while cursor.next(&mut scope) == Ok(Next::Perform(1)) {
        rounds += 1;
    }
    assert_eq!(rounds, 2);
    let text = problem(vec![command("//x", "", ""), command("while", "1", "")]);
    assert!(
        text.contains(
            "test \"t\": step 2 (while): tests[0].commands[1].command: `while` is never closed"
        ),
        "{text}"
    );
}

#[test]
fn an_old_answer_before_a_dialog_gives_way_to_the_answer_when_it_is_open() {
    let before = command("chooseOkOnNextConfirmation", "", "");
    let now = command("webdriverChooseOkOnVisibleConfirmation", "", "");
    assert_eq!(steps(vec![before.clone(), now]).len(), 1);
    let step = &steps(vec![before])[0];
    assert!(matches!(
        step.kind,
        StepKind::Dialog { time: gauntlet_core::flow::DialogTime::Next, .. }
    ));
}

#[test]
fn windows_and_frames_are_chosen_step_by_step() {
    let mut opener = command("click", "id=a", "");
    opener["opensWindow"] = json!(true);
    opener["windowHandleName"] = json!("popup");
    opener["windowTimeout"] = json!(500);
    let clicks = steps(vec![opener]).pop().expect("the click");
    let opens = clicks.opens_window.expect("opens a window");
    is(&opens.variable.as_deref(), Some("popup"));
    is(&opens.timeout, Duration::from_millis(500));
    let steps = steps(vec![command("selectFrame", "index=..\\..\\2", "")]);
    assert_eq!(steps.len(), 3);
    let text = problem(vec![command("selectFrame", "index=x", "")]);
    assert!(text.contains("whole number"), "{text}");
}

#[test]
fn values_of_fields_for_secrets_are_marked() {
    assert!(one("type", "id=password", "hunter2").sensitive);
    assert!(!one("type", "id=name", "bob").sensitive);
    assert!(one("store", "hunter2", "password").sensitive);
}

#[test]
fn a_stored_attribute_is_cut_at_the_last_at() {
    let StepKind::Store { source: Source::Attribute { selectors, name }, .. } =
        one("storeAttribute", "css=a[x='@']@href", "v").kind
    else {
        panic!("an attribute")
    };
    is(&name.as_str(), "href");
    is(&selectors.0[0].parts[0], Selector::Css("a[x='@']".into()));
}

#[test]
fn what_cannot_be_run_is_refused_with_test_command_and_field() {
    for (name, target, value, says) in [
        (
            "clik",
            "id=a",
            "",
            "step 1 (clik): tests[0].commands[0].command: unknown command; did you mean `click`?",
        ),
        ("verifyAlertt", "x", "", "did you mean `verifyAlert`?"),
        ("assertNotTitle", "x", "", "unknown command"),
        ("click", "", "", "tests[0].commands[0].target: a locator is required"),
        ("click", "ui=x", "", "unknown strategy"),
        ("click", "${where}", "", "css=${variable}"),
        ("clickAt", "id=a", "", "value: must be X,Y in pixels"),
        ("sendKeys", "id=a", "${KEY_ENTR}", "value: there is no key `KEY_ENTR`"),
        ("select", "id=a", "text=b", "unknown way to name an option"),
        ("selectWindow", "win_ser_1", "", "handle=${window}"),
        ("setWindowSize", "big", "", "WIDTHxHEIGHT"),
        ("clickAt", "id=a", "3", "X,Y"),
        ("storeText", "id=a", "", "a variable's name is required"),
        ("if", "", "", "a condition is required"),
    ] {
        let text = problem(vec![command(name, target, value)]);
        assert!(text.contains(says), "{name}: {text}");
        assert!(text.starts_with("a.side: test \"t\": "), "{text}");
    }
    let mut plugged = project(&[("t", vec![])], json!([]));
    plugged["plugins"] = json!([{"id": "old extension"}, "../custom-click"]);
    let text = read(&plugged).expect_err("refused").to_string();
    assert!(
        text.contains("plugins[1]: plug-ins are JavaScript") && !text.contains("plugins[0]"),
        "{text}"
    );
    let mut newer = project(&[("t", vec![])], json!([{"name": "s", "tests": ["no"]}]));
    newer["version"] = json!("9.0");
    let text = read(&newer).expect_err("refused").to_string();
    assert!(text.contains("unknown version") && text.contains("suites[0].tests[0]"), "{text}");
}
