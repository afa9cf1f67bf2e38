//! What browsers and pages do to those who wait for them: each is classified, bounded, and can be aborted (C4, D5, G4).

use std::time::{Duration, Instant};

use gauntlet_browser::{BrowserKind, BrowserSlot, Control, TestOptions, TestOutcome, TestResult};
use gauntlet_core::flow::FailureClass;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::{
    hygiene::{CLICK, FOREVER, PINGING, flow, nothing_left},
    site,
    support::{config_of, marked},
};

const SOON: Duration = Duration::from_secs(10);
const KINDS: [BrowserKind; 3] =
    [BrowserKind::HeadlessShell, BrowserKind::Firefox, BrowserKind::WebKit];

fn slot(kind: BrowserKind, marker: &str) -> BrowserSlot {
    BrowserSlot::new(config_of(kind, &format!("{marker}-{kind:?}")))
}

/// Returns the processes of a marker whose command line contains `word`.
fn pids(marker: &str, word: &str) -> Vec<Pid> {
    // The supervisor's own command line ends in its driver's.
    let ours = |line: &String| line.contains(word) && !line.contains("gauntlet-supervise");
    let lines = marked(marker).into_iter().filter(ours);
    lines.filter_map(|line| Pid::from_raw(line.split(' ').next()?.parse().ok()?)).collect()
}

/// Runs a test that goes on for ever, and kills a process of its browser in the middle.
async fn killed(kind: BrowserKind, marker: &str, word: &str) -> TestOutcome {
    let base = site::start().await;
    let mut slot = slot(kind, marker);
    slot.browser().await.expect("launch");
    let (control, options) = (Control::default(), TestOptions::default());
    let test = flow(&base, "list", FOREVER);
    let (outcome, ()) = tokio::join!(slot.run_test(&test, &options, &control), async {
        let end = Instant::now() + SOON;
        while control.step_index() < 1 {
            assert!(Instant::now() < end, "the test does not get on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let of = format!("{marker}-{kind:?}");
        let found = pids(&of, word);
        assert!(!found.is_empty(), "no {word}: {:#?}", marked(&of));
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    outcome.expect("launched")
}

fn class_of(outcome: &TestOutcome) -> FailureClass {
    let TestResult::Errored(failure) = &outcome.result else { panic!("{outcome:?}") };
    failure.class
}

#[tokio::test]
async fn d5_a_tab_that_crashes_is_a_browser_crash() {
    for (kind, word) in [
        (BrowserKind::HeadlessShell, "--type=renderer"),
        (BrowserKind::WebKit, "WebKitWebProcess"),
        (BrowserKind::Firefox, "-contentproc"),
    ] {
        let outcome = killed(kind, "tab", word).await;
        assert_eq!(class_of(&outcome), FailureClass::BrowserCrash, "{kind:?} {outcome:?}");
        assert!(outcome.duration < SOON, "{kind:?}: {:?}", outcome.duration);
    }
}

#[tokio::test]
async fn d5_a_driver_that_dies_is_a_lost_driver() {
    for (kind, word) in [
        (BrowserKind::HeadlessShell, "chromedriver --port"),
        (BrowserKind::Firefox, "geckodriver --port"),
        (BrowserKind::WebKit, "WebKitWebDriver --port"),
    ] {
        let outcome = killed(kind, "driver", word).await;
        assert_eq!(class_of(&outcome), FailureClass::DriverLost, "{kind:?} {outcome:?}");
        assert!(outcome.duration < SOON, "{kind:?}: {:?}", outcome.duration);
    }
}

#[tokio::test]
async fn g8_nothing_is_left_even_when_the_supervisor_itself_is_killed() {
    let marker = "headless-shell-alone";
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config_of(BrowserKind::HeadlessShell, marker);
    config.temp_dir = folder.path().to_owned();
    let mut slot = BrowserSlot::new(config);
    slot.browser().await.expect("launch");
    let supervisor = || {
        let all = marked(marker);
        let supervisor = all.into_iter().find(|line| line.contains("gauntlet-supervise"));
        supervisor.and_then(|line| Pid::from_raw(line.split(' ').next()?.parse().ok()?))
    };
    kill_process(supervisor().expect("a supervisor"), Signal::KILL).expect("kill");
    // Nobody asks for anything: what it has left ends although its browser could go on.
    nothing_left(marker, SOON).await;
    let begun = Instant::now();
    while std::fs::read_dir(folder.path()).expect("folder").count() > 0 {
        assert!(begun.elapsed() < SOON, "its folder is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(slot.browser().await.expect("another one").is_healthy());
    assert!(supervisor().is_some());
    slot.stop().await;
    nothing_left(marker, SOON).await;
}

#[tokio::test]
async fn d5_a_browser_that_dies_is_a_browser_crash() {
    for (kind, word) in [
        (BrowserKind::HeadlessShell, "headless-shell"),
        (BrowserKind::Firefox, "firefox-esr --marionette"),
        (BrowserKind::WebKit, "MiniBrowser"),
    ] {
        let outcome = killed(kind, "browser", word).await;
        assert_eq!(class_of(&outcome), FailureClass::BrowserCrash, "{kind:?} {outcome:?}");
        assert!(outcome.duration < SOON, "{kind:?}: {:?}", outcome.duration);
    }
}

#[tokio::test]
async fn g4_a_browser_that_hangs_is_timed_out_by_the_command_that_hung() {
    for kind in KINDS {
        let base = site::start().await;
        let mut slot = slot(kind, "frozen");
        slot.browser().await.expect("launch");
        let frozen = match kind {
            BrowserKind::Firefox => "geckodriver --port",
            BrowserKind::WebKit => "WebKitWebDriver --port",
            _ => "chromedriver --port",
        };
        for pid in pids(&format!("frozen-{kind:?}"), frozen) {
            kill_process(pid, Signal::STOP).expect("stop");
        }
        let options = TestOptions { timeout: Duration::from_secs(60), ..TestOptions::default() };
        let test = flow(&base, "list", FOREVER);
        let outcome = slot.run_test(&test, &options, &Control::default()).await.expect("launched");
        let TestResult::TimedOut(failure) = &outcome.result else {
            panic!("{kind:?} {:?}", outcome.result)
        };
        assert_eq!(failure.class, FailureClass::Timeout, "{kind:?}");
        assert!(failure.message.contains("command "), "{kind:?}: {failure:?}");
        nothing_left(&format!("frozen-{kind:?}"), SOON).await;
    }
}

#[tokio::test]
async fn g4_pages_that_misbehave_fail_their_test_or_pass_it_and_never_hang_it() {
    for kind in KINDS {
        let base = site::start().await;
        let mut slot = slot(kind, "pages");
        let said = |word: &str| {
            format!(
                r#"{CLICK},{{"type":"waitForExpression","expression":"document.querySelector('#out').textContent === '{word}'"}}"#
            )
        };
        let list = r#",{"type":"navigate","url":"BASE/list"}"#.replace("BASE", &base);
        // The page, what is done on it, and whether the test passes.
        for (page, steps, passes) in [
            ("storm", said("done"), true),
            ("leave", format!("{CLICK}{list}"), true),
            ("popups", format!("{CLICK}{list}"), true),
            ("redirect", String::new(), false),
            ("download", said("done"), true),
            ("silence", said("done"), false),
        ] {
            let began = Instant::now();
            let mut test = flow(&base, page, &steps);
            if passes {
                // On a busy machine thirty dialogs take a while.
                test.timeout = Duration::from_secs(30);
            }
            let outcome = slot.run_test(&test, &TestOptions::default(), &Control::default()).await;
            let outcome = outcome.expect("launched");
            assert_eq!(outcome.result.is_passed(), passes, "{kind:?} {page}: {outcome:?}");
            if let Some(failure) = outcome.result.failure() {
                // Firefox shows the old page while it waits for the new one, and it still says the same.
                let told = matches!(
                    failure.class,
                    FailureClass::Navigation | FailureClass::Timeout | FailureClass::Assertion
                );
                assert!(told, "{kind:?} {page}: {failure:?}");
            }
            println!("{kind:?} {page} {:?} {} dialogs", began.elapsed(), outcome.dialog_count);
        }
    }
}

/// How soon is measured by `cargo xtask bench browser`; here nothing must be left at all.
async fn aborts(kind: BrowserKind) {
    let marker = format!("-abort-{kind:?}");
    let storm = format!("{CLICK}{FOREVER}");
    let hangs = [
        ("script", "list", PINGING),
        ("busy", "stuck", CLICK),
        ("silence", "hang", ""),
        ("storm", "endless", storm.as_str()),
    ];
    for (name, page, steps) in hangs {
        let (base, ear) = site::start_heard().await;
        let mut slot = slot(kind, "abort");
        slot.browser().await.expect("launch");
        let cancel = CancellationToken::new();
        let (control, options) = (Control::new(cancel.clone()), TestOptions::default());
        let test = flow(&base, page, steps);
        let (outcome, ()) = tokio::join!(slot.run_test(&test, &options, &control), async {
            ear.hears().await;
            cancel.cancel();
        });
        assert_eq!(outcome.expect("launched").result, TestResult::Cancelled, "{kind:?} {name}");
        slot.stop().await;
        let left = marked(&marker);
        assert!(
            left.is_empty(),
            "{kind:?} {name}: whoever waits for the end has seen it: {left:#?}"
        );
    }
}

#[tokio::test]
async fn c4_an_abort_ends_every_hang_of_every_kind() {
    for kind in KINDS {
        aborts(kind).await;
    }
}
