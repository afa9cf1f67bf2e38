//! Timeouts, re-aiming and substitution.

use std::collections::BTreeMap;

use super::*;

fn navigate(url: &str) -> Step {
    Step::new(StepKind::Navigate { url: url.into() })
}

fn urls(flow: &Flow) -> Vec<&str> {
    flow.steps
        .iter()
        .filter_map(|step| match &step.kind {
            StepKind::Navigate { url } => Some(url.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn rebase_moves_the_recorded_origin_only_and_prepends_the_base_path() {
    let mut flow = Flow {
        title: "t".into(),
        timeout: STEP_TIMEOUT_DEFAULT,
        steps: vec![
            navigate("http://127.0.0.1:18799/login?x=1#y"),
            navigate("https://other.example/a"),
            navigate("http://127.0.0.1:18799"),
        ],
    };
    flow.steps[2].target = Target::Url("http://127.0.0.1:18799/pop".into());
    flow.rebase("https://stage.example/app/");
    assert_eq!(
        urls(&flow),
        [
            "https://stage.example/app/login?x=1#y",
            "https://other.example/a",
            "https://stage.example/app/"
        ]
    );
    assert_eq!(flow.steps[2].target, Target::Url("https://stage.example/app/pop".into()));
}

#[test]
fn rebase_compares_origins_without_case_and_default_port() {
    let mut flow = Flow {
        title: "t".into(),
        timeout: STEP_TIMEOUT_DEFAULT,
        steps: vec![navigate("http://Shop.Example:80/a"), navigate("http://shop.example/b")],
    };
    flow.rebase("http://x:1");
    assert_eq!(urls(&flow), ["http://x:1/a", "http://x:1/b"]);
}

#[test]
fn an_unknown_variable_stays_and_a_value_is_not_expanded_again() {
    let vars =
        BTreeMap::from([("A".to_owned(), "${B}".to_owned()), ("B".to_owned(), "no".to_owned())]);
    let selectors = Selectors(vec![Chain(vec![Selector::Css("#a".into())])]);
    let kind = StepKind::Change { selectors, value: "1${A}2${C}3${A".into() };
    let mut flow =
        Flow { title: "t".into(), timeout: STEP_TIMEOUT_DEFAULT, steps: vec![Step::new(kind)] };
    flow.substitute(&vars);
    let StepKind::Change { value, .. } = &flow.steps[0].kind else { panic!("still a change") };
    assert_eq!(value, "1${B}2${C}3${A");
}

#[test]
fn debug_never_shows_a_value() {
    let selectors = Selectors(vec![Chain(vec![Selector::Css("#password".into())])]);
    let step = Step::new(StepKind::Change { selectors, value: "hunter2".into() });
    assert!(!format!("{step:?}").contains("hunter2"));
}

#[test]
fn class_names_are_unique_and_round_trip() {
    for class in FailureClass::ALL {
        assert_eq!(FailureClass::from_name(class.as_str()), Some(class));
    }
    assert_eq!(FailureClass::Assertion.attribution(), Attribution::App);
    assert_eq!(FailureClass::ImportError.attribution(), Attribution::Test);
    assert_eq!(FailureClass::DriverLost.attribution(), Attribution::Infra);
}
