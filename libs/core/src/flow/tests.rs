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
    let mut flow = Flow::new(
        "t",
        vec![
            navigate("http://127.0.0.1:18799/login?x=1#y"),
            navigate("https://other.example/a"),
            navigate("http://127.0.0.1:18799"),
        ],
    );
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
    let mut flow = Flow::new(
        "t",
        vec![navigate("http://Shop.Example:80/a"), navigate("http://shop.example/b")],
    );
    flow.rebase("http://x:1");
    assert_eq!(urls(&flow), ["http://x:1/a", "http://x:1/b"]);
}

#[test]
fn a_relative_url_moves_with_the_base_url() {
    let mut flow =
        Flow::new("t", vec![navigate("/login"), navigate("help"), navigate("http://a/x")]);
    flow.base_url = Some("http://a/shop/".into());
    flow.rebase("https://stage.example/app/");
    assert_eq!(
        urls(&flow),
        ["https://stage.example/app/login", "help", "https://stage.example/app/x"]
    );
    assert_eq!(flow.base_url.as_deref(), Some("https://stage.example/app/shop/"));
}

#[test]
fn a_claim_about_the_whole_url_moves_with_the_environment() {
    let comparison = Comparison::Equals("http://a/x".into());
    let check = Check { subject: Subject::Url, comparison, negated: false, wait: true };
    let mut flow = Flow::new("t", vec![navigate("http://a/"), Step::new(StepKind::Check(check))]);
    flow.rebase("http://b/app");
    let StepKind::Check(check) = &flow.steps[1].kind else { panic!("still a check") };
    assert_eq!(check.comparison.expected(), Some("http://b/app/x"));
}

#[test]
fn urls_are_filled_at_once_unless_a_step_gives_their_variable_another_value() {
    let store = StepKind::Store { variable: "B".into(), source: Source::Text("b".into()) };
    let mut flow = Flow::new("t", vec![navigate("${A}/x"), navigate("/${B}"), Step::new(store)]);
    let given = [("A", "http://a"), ("B", "early"), ("C", "c")];
    flow.substitute(&given.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(urls(&flow), ["http://a/x", "/${B}"]);
    assert_eq!(flow.variables["C"], "c".into());
}

#[test]
fn variables_without_a_value_are_missing_until_the_run_gives_one() {
    let mut flow = Flow::new("t", Vec::new());
    flow.variables = [("A".to_owned(), Value::Null), ("B".to_owned(), "b".into())].into();
    assert_eq!(flow.missing_variables(), ["A"]);
    flow.substitute(&BTreeMap::from([("A".to_owned(), "a".to_owned())]));
    assert!(flow.missing_variables().is_empty());
}

#[test]
fn only_what_the_page_did_is_forgiven() {
    let mut step = navigate("/");
    assert_eq!(step.after_failure(FailureClass::Assertion), AfterFailure::Stop);
    step.soft = true;
    assert_eq!(step.after_failure(FailureClass::Assertion), AfterFailure::FailLater);
    step.optional = true;
    assert_eq!(step.after_failure(FailureClass::ElementNotFound), AfterFailure::Forgive);
    assert_eq!(step.after_failure(FailureClass::BrowserCrash), AfterFailure::Stop);
}

#[test]
fn what_a_browser_cannot_do_is_known_before_it_runs() {
    let slow = |bytes| StepKind::EmulateNetworkConditions {
        download: bytes,
        upload: bytes,
        latency_ms: 0.0,
    };
    let how = |kind: StepKind| Engine::ALL.map(|engine| support(&Step::new(kind.clone()), engine));
    let [chromium, firefox, webkit] = how(slow(1_000.0));
    assert_eq!(chromium, Support::Vendor);
    assert!(matches!((firefox, webkit), (Support::Impossible(_), Support::Impossible(_))));
    assert_eq!(how(slow(0.0))[1], Support::Native);
    assert_eq!(how(StepKind::Close), [Support::Native; 3]);
    let key = |name| StepKind::KeyDown { key: KeyName::new(name).expect("a key") };
    assert_eq!(how(key("Enter")), [Support::Native; 3]);
    let [chromium, firefox, webkit] = how(key("CapsLock"));
    assert_eq!(chromium, Support::Vendor);
    assert!(matches!((firefox, webkit), (Support::Impossible(_), Support::Impossible(_))));
}

#[test]
fn debug_never_shows_a_value() {
    let selectors = Selectors::from(Selector::Css("#password".into()));
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
