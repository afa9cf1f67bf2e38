//! Isolation, limits, cancelling, and that nothing outlives anything (G5, G8).

use std::time::{Duration, Instant};

use gauntlet_browser::{
    Browser, BrowserKind, BrowserSlot, Control, DialogPolicy, TestOptions, TestResult,
};
use gauntlet_core::flow::{FailureClass, Flow, FrameChoice, Script, ScriptKind, StepKind, Target};
use tokio_util::sync::CancellationToken;

use crate::{
    flows::{css, step},
    site,
    support::{config, config_of, marked, run},
};

pub(crate) fn flow(base: &str, page: &str, steps: &str) -> Flow {
    let text = format!(
        r#"{{"title":"t","timeout":4000,"steps":[{{"type":"navigate","url":"{base}/{page}"}}{steps}]}}"#
    );
    gauntlet_recordings::parse(text.as_bytes(), "inline").expect("valid")
}

pub(crate) const CLICK: &str = r##",{"type":"click","selectors":["#b"],"offsetX":5,"offsetY":5}"##;
pub(crate) const FOREVER: &str = r#",{"type":"waitForExpression","expression":"false"}"#;

/// Tells the site that it runs, and goes on for ever.
pub(crate) const PINGING: &str =
    r#",{"type":"waitForExpression","expression":"(fetch('/ping'), false)"}"#;

/// Waits until no process carries the marker; shows who does when time is up.
pub(crate) async fn nothing_left(marker: &str, limit: Duration) {
    let end = Instant::now() + limit;
    loop {
        let left = marked(marker);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "still there: {left:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn g5_cookies_are_isolated_between_tests_of_one_browser() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("cookies"));
    let check = r#",{"type":"waitForExpression","expression":"document.querySelector('#out').textContent === 'none'"}"#;
    let mut pids = Vec::new();
    for _ in 0..3 {
        let outcome = run(&mut slot, &flow(&base, "cookie", check)).await;
        assert_eq!(outcome.result, TestResult::Passed);
        pids.push(marked("gauntlet-run-cookies").first().cloned());
    }
    assert_eq!(pids[0], pids[2], "the browser is reused");
}

#[tokio::test]
async fn g8_killing_a_browser_leaves_no_process_and_no_folder() {
    let mut config = config("killed");
    let folder = tempfile::tempdir().expect("a folder");
    config.temp_dir = folder.path().to_owned();
    let mut browser = Browser::launch(&config).await.expect("launch");
    assert!(
        marked("-killed").len() >= 5,
        "every child carries the marker: {:#?}",
        marked("-killed")
    );
    let started = Instant::now();
    browser.kill();
    nothing_left("-killed", Duration::from_secs(2)).await;
    println!("gone after {:?}", started.elapsed());
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
}

/// What the next test starts as a process of its own.
#[tokio::test]
#[ignore = "waits to be killed"]
async fn an_owner_that_waits_for_its_death() {
    let _browser = Browser::launch(&config("orphaned")).await.expect("launch");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn g8_an_owner_that_dies_by_sigkill_leaves_nothing() {
    let this = std::env::current_exe().expect("this test");
    let mut owner = std::process::Command::new(this)
        .args(["--ignored", "--exact", "hygiene::an_owner_that_waits_for_its_death"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("owner");
    let end = Instant::now() + Duration::from_secs(20);
    while !marked("-orphaned").iter().any(|line| line.contains("--type=renderer")) {
        assert!(Instant::now() < end, "no browser: {:#?}", marked("-orphaned"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    owner.kill().expect("kill");
    owner.wait().expect("wait");
    nothing_left("-orphaned", Duration::from_secs(2)).await;
    println!("orphans gone after {:?}", started.elapsed());
}

#[tokio::test]
async fn g5_a_dead_browser_is_an_infra_error_and_is_replaced() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("crashed"));
    assert!(run(&mut slot, &flow(&base, "list", "")).await.result.is_passed());
    let browser = marked("gauntlet-run-crashed")
        .into_iter()
        .find(|line| !line.contains("--type=") && !line.contains("supervise"));
    let pid: i32 =
        browser.and_then(|line| line.split(' ').next()?.parse().ok()).expect("the browser's pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
    let outcome = run(&mut slot, &flow(&base, "list", "")).await;
    let TestResult::Errored(failure) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(
        matches!(failure.class, FailureClass::BrowserCrash | FailureClass::DriverLost),
        "{failure:?}"
    );
    assert!(
        run(&mut slot, &flow(&base, "list", "")).await.result.is_passed(),
        "a new browser works"
    );
}

#[tokio::test]
async fn g8_cancelling_returns_at_once_and_kills() {
    let (base, ear) = site::start_heard().await;
    let mut slot = BrowserSlot::new(config("cancelled"));
    slot.browser().await.expect("launch");
    let (cancel, test) = (CancellationToken::new(), flow(&base, "list", PINGING));
    let control = Control::new(cancel.clone());
    let options = TestOptions::default();
    let (outcome, asked) = tokio::join!(slot.run_test(&test, &options, &control), async {
        ear.hears().await;
        assert_eq!(control.step_index(), 1, "B10: whoever asks is told where it is");
        cancel.cancel();
        Instant::now()
    });
    assert_eq!(outcome.expect("launched").result, TestResult::Cancelled);
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    nothing_left("-cancelled", Duration::from_secs(2)).await;
}

#[tokio::test]
async fn g4_the_test_limit_bounds_everything_and_a_stuck_page_is_no_infra_error() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("limits"));
    let options = TestOptions { timeout: Duration::from_millis(900), ..TestOptions::default() };
    for (page, steps) in [("list", FOREVER), ("stuck", CLICK), ("hang", "")] {
        slot.browser().await.expect("launch");
        let outcome = slot
            .run_test(&flow(&base, page, steps), &options, &Control::default())
            .await
            .expect("launch");
        let TestResult::TimedOut(failure) = &outcome.result else {
            panic!("{page}: {:?}", outcome.result)
        };
        assert_eq!(failure.class, FailureClass::Timeout, "{page}");
        assert!(outcome.duration < Duration::from_secs(5), "{page}: {:?}", outcome.duration);
    }
}

#[tokio::test]
async fn g4_a_new_window_is_followed_however_it_was_opened() {
    let base = site::start().await;
    let abroad = base.replace("127.0.0.1", "localhost");
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Chromium, BrowserKind::Firefox] {
        let mut slot = BrowserSlot::new(config_of(kind, "opens"));
        for (id, there) in [("link", &base), ("alone", &base), ("abroad", &abroad)] {
            let steps = format!(
                r##",{{"type":"click","selectors":["#{id}"],"offsetX":3,"offsetY":3}},{{"type":"waitForExpression","target":"{there}/popup","expression":"document.readyState === 'complete' && location.href === '{there}/popup'"}}"##
            );
            let outcome = run(&mut slot, &flow(&base, "opens", &steps)).await;
            assert_eq!(outcome.result, TestResult::Passed, "{kind:?} {id}");
        }
    }
}

#[tokio::test]
async fn g4_a_frame_is_followed_into_another_process_and_back_and_to_its_end() {
    let base = site::start().await;
    let abroad = base.replace("127.0.0.1", "localhost");
    let sees = |target: &str, expression: &str| {
        format!(
            r#",{{"type":"waitForExpression","target":"{target}","timeout":2000,"expression":"{expression}"}}"#
        )
    };
    let click = format!(
        r##",{{"type":"click","target":"{abroad}/guest","selectors":["#b"],"offsetX":5,"offsetY":5}}"##
    );
    let at_home = sees(&format!("{base}/list"), "location.pathname === '/list' && parent !== self");
    let removes = sees("main", "(document.querySelector('iframe').remove(), true)");
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let mut slot = BrowserSlot::new(config_of(kind, "frames"));
        let steps = [click.as_str(), &at_home, &removes, &at_home].concat();
        let outcome = run(&mut slot, &flow(&base, "host", &steps)).await;
        let failure = outcome.result.failure().expect("the frame is gone at last");
        assert_eq!(
            (failure.class, failure.step_index),
            (FailureClass::Navigation, 4),
            "{kind:?}: {failure:?}"
        );
    }
}

/// Chromium does not say that the frames of a page are gone when another page has come.
#[tokio::test]
async fn g4_a_frame_is_found_when_its_page_is_loaded_again() {
    let base = site::start().await;
    let sees = r#",{"type":"waitForExpression","frame":[0],"timeout":2000,"expression":"location.pathname === '/popup'"}"#;
    let goes = |page| format!(r#",{{"type":"navigate","url":"{base}/{page}"}}"#);
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let mut slot = BrowserSlot::new(config_of(kind, "frames-again"));
        let steps = [sees, &goes("list"), &goes("kinds"), sees].concat();
        let outcome = run(&mut slot, &flow(&base, "kinds", &steps)).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
    }
}

/// A window does not count the frames in shadow trees, nor those that were made last as last; browsers do.
#[tokio::test]
async fn g4_a_frame_is_chosen_by_its_element_or_by_the_windows_count() {
    let base = site::start().await;
    // The first is a script of ours, the second one of the test, which goes by the driver.
    let sees = r#",{"type":"waitForExpression","timeout":2000,"expression":"location.pathname === '/list'"}"#;
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox] {
        let mut slot = BrowserSlot::new(config_of(kind, "shadowed"));
        for choice in [FrameChoice::Index("0".into()), FrameChoice::Element(css("#plain"))] {
            let mut flow = flow(&base, "shadowed", &[sees, sees].concat());
            flow.steps.insert(1, step(StepKind::SelectFrame(choice.clone())));
            flow.steps[2].target = Target::Current;
            flow.steps[3].kind = StepKind::Script(Script {
                code: "if (location.pathname !== '/list') throw new Error(location.pathname);"
                    .into(),
                kind: ScriptKind::Body,
                store: None,
            });
            flow.steps[3].target = Target::Current;
            let outcome = run(&mut slot, &flow).await;
            assert_eq!(outcome.result, TestResult::Passed, "{kind:?} {choice:?}");
        }
    }
}

#[tokio::test]
async fn g1_full_chromium_runs_the_same_tests() {
    let base = site::start().await;
    let mut config = config("full");
    config.kind = BrowserKind::Chromium;
    let mut slot = BrowserSlot::new(config);
    let outcome = run(&mut slot, &flow(&base, "", CLICK)).await;
    assert_eq!(outcome.result, TestResult::Passed);
    assert_eq!(outcome.steps[1].selector_used.as_deref(), Some("#b"));
    let outcome = run(&mut slot, &flow(&base, "popup", CLICK)).await;
    let failure = outcome.result.failure().expect("no such element there");
    assert_eq!((failure.class, failure.step_index), (FailureClass::ElementNotFound, 1));
}

#[tokio::test]
async fn g8_a_missing_program_is_named_with_its_package() {
    let mut config = config("missing");
    config.driver_program = Some("/nowhere/chromedriver".into());
    let error = Browser::launch(&config).await.expect_err("no such driver").to_string();
    assert!(error.contains("chromium-driver"), "{error}");
}

#[tokio::test]
async fn g4_a_secret_typed_into_a_control_that_refuses_it_is_not_told() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("secret"));
    let change = r##",{"type":"change","selectors":["#c"],"value":"hunter2","timeout":300}"##;
    let outcome = run(&mut slot, &flow(&base, "form", change)).await;
    assert!(!outcome.result.is_passed());
    assert!(!format!("{outcome:?}").contains("hunter2"), "{:?}", outcome.result);
}

#[tokio::test]
async fn g4_dialogs_follow_the_policy() {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config("dialogs"));
    let says = |word: &str| {
        format!(
            r#"{CLICK},{{"type":"waitForExpression","expression":"document.querySelector('#out').textContent === '{word}'"}}"#
        )
    };
    for (policy, word) in [(DialogPolicy::Accept, "yes"), (DialogPolicy::Dismiss, "no")] {
        let options = TestOptions { dialogs: policy, ..TestOptions::default() };
        let test = flow(&base, "dialog", &says(word));
        let outcome = slot.run_test(&test, &options, &Control::default()).await.expect("launch");
        assert_eq!((outcome.result, outcome.dialog_count), (TestResult::Passed, 1));
    }
    let options = TestOptions { dialogs: DialogPolicy::Fail, ..TestOptions::default() };
    let test = flow(&base, "dialog", &says("no"));
    let outcome = slot.run_test(&test, &options, &Control::default()).await.expect("launch");
    let failure = outcome.result.failure().expect("a failure");
    assert_eq!(
        (failure.class, failure.found.as_deref()),
        (FailureClass::Assertion, Some("confirm: sure?"))
    );
}

#[tokio::test]
async fn g8_a_sweep_clears_what_dead_owners_left_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dead, ours) = (folder.path().join("gauntlet-x-1-a"), folder.path().join("gauntlet-y-2-b"));
    for (path, owner) in [(&dead, "4194305 1".to_owned()), (&ours, std::process::id().to_string())]
    {
        std::fs::create_dir(path).expect("create");
        std::fs::write(path.join("owner"), owner).expect("write");
    }
    std::fs::create_dir(folder.path().join("gauntlet-not-a-profile")).expect("create");
    assert_eq!(gauntlet_browser::sweep_stale(folder.path()).profiles_removed, 1);
    assert!(
        !dead.exists() && ours.exists() && folder.path().join("gauntlet-not-a-profile").exists()
    );
}
