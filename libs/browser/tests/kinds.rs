//! Every kind of step does what it should, and what only a runner can decide: soft and optional steps, variables, limits.

use std::{collections::BTreeSet, time::Duration};

use gauntlet_browser::{
    BrowserKind, BrowserSlot, Control as Handle, STEP_RECORDS_MAX, StepFailure, TestOptions,
    TestResult,
};
use gauntlet_core::flow::{
    Chain, Comparison, Control, FailureClass, Flow, Selector, Selectors, Source, Step, StepKind,
    Subject, Value,
};

use crate::{
    flows::{self, check, click, css, flow, marker, says, script, step, typing},
    site,
    support::{config, config_of, run},
};

#[tokio::test]
async fn g2_every_kind_of_step_passes_where_it_should() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("kinds"));
    let mut wrong = Vec::new();
    for flow in flows::all(&base) {
        let outcome = run(&mut slot, &flow).await;
        if outcome.result != TestResult::Passed {
            wrong.push(format!("{}: {:?}", flow.title, outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lets a step fail soon.
fn soon(mut step: Step) -> Step {
    step.timeout = Some(Duration::from_millis(300).into());
    step
}

fn first_failure(result: &TestResult) -> &StepFailure {
    result.failure().unwrap_or_else(|| panic!("a failure: {result:?}"))
}

#[tokio::test]
async fn g4_a_soft_failure_fails_the_test_at_its_first_and_lets_it_go_on() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("soft"));
    let soft = |step| Step { soft: true, ..soon(step) };
    let steps = vec![soft(says("#out", "wrong")), soft(says("#nowhere", "x")), click("#press")];
    let mut test = flow("soft", &base, "kinds", steps);
    let outcome = run(&mut slot, &test).await;
    let failure = first_failure(&outcome.result);
    assert_eq!((failure.step_index, failure.class), (1, FailureClass::Assertion));
    let kept: Vec<_> =
        outcome.steps.iter().map(|step| (step.passed, step.failure.is_some())).collect();
    assert_eq!(kept, [(true, false), (false, true), (false, true), (true, false)]);
    assert!(outcome.screenshot.is_some());
    // What ends the test later does not hide what failed first.
    test.steps.push(soon(click("#nowhere")));
    let outcome = run(&mut slot, &test).await;
    assert_eq!(first_failure(&outcome.result).step_index, 1);
    assert_eq!(outcome.steps.len(), 5);
}

#[tokio::test]
async fn g4_an_optional_step_that_fails_is_skipped_with_its_reason() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("optional"));
    let steps = vec![
        Step { optional: true, ..soon(click("#nowhere")) },
        click("#press"),
        says("#out", "plain"),
        step(StepKind::Echo { text: "done".into() }),
    ];
    let outcome = run(&mut slot, &flow("optional", &base, "kinds", steps)).await;
    assert_eq!(outcome.result, TestResult::Passed);
    let skipped = &outcome.steps[1];
    let reason = skipped.failure.as_ref().map(|failure| failure.class);
    assert_eq!(
        (skipped.skipped, skipped.passed, reason),
        (true, false, Some(FailureClass::ElementNotFound))
    );
    assert_eq!(outcome.steps[4].note.as_deref(), Some("done"));
}

#[tokio::test]
async fn g3_the_alternative_that_won_is_recorded_and_a_unique_one_finds_one() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("fallback"));
    let one = |css: &str, unique| Chain { unique, ..Chain::of(Selector::Css(css.into())) };
    let all = Selectors(vec![one("#nowhere", false), one("li", true), one("#second", true)]);
    let steps = vec![check(Subject::Text(all), Comparison::Equals("two".into()))];
    let outcome = run(&mut slot, &flow("fallback", &base, "kinds", steps)).await;
    assert_eq!(outcome.result, TestResult::Passed);
    let won = &outcome.steps[1];
    assert_eq!((won.selector_index, won.selector_used.as_deref()), (Some(2), Some("#second")));
    let all = Selectors(vec![one("li", true)]);
    let steps = vec![soon(check(Subject::Text(all), Comparison::Equals("one".into())))];
    let outcome = run(&mut slot, &flow("unique", &base, "kinds", steps)).await;
    let failure = first_failure(&outcome.result);
    assert_eq!(failure.class, FailureClass::ElementNotFound);
    assert_eq!(failure.found.as_deref(), Some("finds 3 elements instead of one"));
}

#[tokio::test]
async fn g4_a_loop_that_does_not_end_is_stopped_by_its_count_or_by_the_tests_limit() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("loops"));
    let endless = |limit| {
        let head = marker(Control::While { condition: "true".into(), limit });
        vec![head, step(StepKind::Echo { text: "round".into() }), marker(Control::End)]
    };
    let outcome = run(&mut slot, &flow("counted", &base, "kinds", endless(3))).await;
    let failure = first_failure(&outcome.result);
    assert_eq!((failure.step_index, failure.class), (1, FailureClass::Timeout));
    assert_eq!(outcome.steps.iter().filter(|step| step.note.is_some()).count(), 3);
    let options = TestOptions { timeout: Duration::from_secs(5), ..TestOptions::default() };
    let test = flow("timed", &base, "kinds", endless(u32::MAX));
    let outcome = slot.run_test(&test, &options, &Handle::default()).await.expect("launch");
    assert!(matches!(outcome.result, TestResult::TimedOut(_)), "{:?}", outcome.result);
    assert!(outcome.steps.len() <= STEP_RECORDS_MAX + 1, "{}", outcome.steps.len());
}

#[tokio::test]
async fn g4_a_script_that_does_not_end_fails_in_its_steps_time_and_one_that_throws_at_once() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("scripts"));
    for (code, class) in [
        ("return new Promise(() => {})", FailureClass::Timeout),
        ("return new Promise((_, no) => no(new Error('no')))", FailureClass::Assertion),
        ("throw new Error('no')", FailureClass::Assertion),
        ("this is no code", FailureClass::Assertion),
    ] {
        let test = flow("script", &base, "kinds", vec![soon(script(code, None))]);
        let outcome = run(&mut slot, &test).await;
        let failure = first_failure(&outcome.result);
        assert_eq!((failure.step_index, failure.class), (1, class), "{code}");
        assert!(outcome.steps[1].duration < Duration::from_secs(2), "{code}");
    }
}

#[tokio::test]
async fn g4_values_of_secret_variables_and_sensitive_steps_are_told_nowhere() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("secrets"));
    let soft = |step| Step { soft: true, ..soon(step) };
    let sensitive = |step| Step { sensitive: true, ..step };
    let text = |text: &str| Comparison::Equals(text.into());
    let steps = vec![
        typing("#name", "${password}", true),
        soft(check(Subject::Value(css("#name")), text("other"))),
        soft(check(Subject::Variable("password".into()), text("${password}!"))),
        soft(click("#${password}")),
        sensitive(typing("#more", "s3cret-too", true)),
        soft(sensitive(check(Subject::Value(css("#more")), text("other")))),
        sensitive(step(StepKind::Store {
            variable: "kept".into(),
            source: Source::ElementValue(css("#more")),
        })),
        soft(check(Subject::Variable("kept".into()), text("x"))),
        step(StepKind::Echo { text: "${password} ${kept}".into() }),
        soft(script("throw new Error(${password})", None)),
    ];
    let test = Flow {
        variables: [("password".to_owned(), Value::from("hunter2"))].into(),
        secrets: BTreeSet::from(["password".to_owned()]),
        ..flow("secrets", &base, "kinds", steps)
    };
    let outcome = run(&mut slot, &test).await;
    assert_eq!(outcome.steps.len(), 11, "{:#?}", outcome.steps);
    let failed = outcome.steps.iter().filter(|step| step.failure.is_some()).count();
    assert_eq!(failed, 6, "{:#?}", outcome.steps);
    let told = format!("{:?} {:?}", outcome.result, outcome.steps);
    assert!(!told.contains("hunter2") && !told.contains("s3cret"), "{told}");
    assert!(told.contains("•••"), "{told}");
}

#[tokio::test]
async fn g4_only_files_of_the_allowed_folder_are_given_to_a_page() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("files"));
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("create");
    std::fs::write(files.join("cat.png"), "miau").expect("write");
    std::fs::write(folder.path().join("passwords"), "no").expect("write");
    std::os::unix::fs::symlink(folder.path().join("passwords"), files.join("link")).expect("link");
    let options = TestOptions { files_dir: Some(files), ..TestOptions::default() };
    let test = |path: &str, out: &str| {
        flow("files", &base, "kinds", vec![soon(typing("#files", path, false)), says("#out", out)])
    };
    let cat = test("cat.png", "cat.png");
    let outcome = slot.run_test(&cat, &options, &Handle::default()).await.expect("launch");
    assert_eq!(outcome.result, TestResult::Passed);
    for path in ["../passwords", "/etc/passwd", "link", "missing.png", "."] {
        let test = test(path, "-");
        let outcome = slot.run_test(&test, &options, &Handle::default()).await.expect("launch");
        let failure = first_failure(&outcome.result);
        assert_eq!((failure.step_index, failure.class), (1, FailureClass::ImportError), "{path}");
    }
    let outcome = run(&mut slot, &cat).await;
    assert_eq!(
        first_failure(&outcome.result).found.as_deref(),
        Some("no such folder is configured")
    );
}

/// The second test finds the window as the first has left it, smaller than the screen that is emulated.
#[tokio::test]
async fn g2_a_window_is_resized_in_each_of_several_tests() {
    let base = site::start().await;
    for kind in [
        BrowserKind::ChromiumHeaded,
        BrowserKind::HeadlessShell,
        BrowserKind::Firefox,
        BrowserKind::WebKit,
    ] {
        let mut slot = BrowserSlot::new(config_of(kind, &format!("resized-{kind:?}")));
        for (width, height) in [(1050.0, 708.0), (1050.0, 708.0), (700.0, 300.0), (1400.0, 1200.0)]
        {
            let size = StepKind::ResizeWindow { width: width.into(), height: height.into() };
            let told = Comparison::Equals(width.to_string());
            let told = check(Subject::Expression("innerWidth".into()), told);
            let taller = Subject::Expression(format!("innerHeight > {height} - 150"));
            let taller = check(taller, Comparison::Equals("true".into()));
            let test = flow("resized", &base, "kinds", vec![step(size), told, taller]);
            let outcome = run(&mut slot, &test).await;
            assert_eq!(outcome.result, TestResult::Passed, "{kind:?} {width} x {height}");
        }
    }
}
