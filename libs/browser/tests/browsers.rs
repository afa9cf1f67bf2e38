//! Every kind of browser runs the same recordings (G1).

use std::time::{Duration, Instant};

use gauntlet_browser::{Browser, BrowserConfig, BrowserKind, BrowserSlot, TestOutcome, TestResult};

use crate::{
    flows,
    hygiene::{flow, nothing_left},
    recordings::{FAILURES, folder, names},
    site,
    support::{config_of, marked, recording, run, turn},
};

/// What neither Firefox nor `WebKit` can do: it says so, instead of doing something else.
const CHROMIUM_ONLY: &[&str] = &[
    "emulateNetworkConditions",
    "emulateNetworkConditions-unlimited",
    "keyDown-place",
    "setViewport",
];

/// Recordings that fail elsewhere by another class, because of what the browser tells.
const OTHERWISE: &[&str] =
    &["emulateNetworkConditions", "emulateNetworkConditions-unlimited", "setViewport"];

#[tokio::test]
async fn g1_firefox_passes_what_it_should() {
    all_pass(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g1_webkit_passes_what_it_should() {
    all_pass(BrowserKind::WebKit).await;
}

#[tokio::test]
async fn g4_firefox_fails_what_it_should() {
    all_fail(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g4_webkit_fails_what_it_should() {
    all_fail(BrowserKind::WebKit).await;
}

#[tokio::test]
async fn g2_firefox_performs_every_kind_of_step() {
    all_kinds(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g2_webkit_performs_every_kind_of_step() {
    all_kinds(BrowserKind::WebKit).await;
}

async fn all_kinds(kind: BrowserKind) {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("kinds-{kind:?}")));
    let mut wrong = Vec::new();
    for flow in flows::all(&base) {
        let outcome = run(&mut slot, &flow).await;
        if outcome.result != TestResult::Passed {
            wrong.push(format!("{}: {:?}", flow.title, outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn all_pass(kind: BrowserKind) {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("pass-{kind:?}")));
    let mut wrong = Vec::new();
    for name in names("pass") {
        let file = folder("pass").join(format!("{name}.json"));
        let outcome = run(&mut slot, &recording(&file, &base)).await;
        let refused =
            outcome.result.failure().is_some_and(|failure| failure.message.contains("cannot"));
        let impossible = CHROMIUM_ONLY.contains(&name.as_str());
        if refused != impossible || !impossible && outcome.result != TestResult::Passed {
            wrong.push(format!("{name}: {:?}", outcome.result));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn all_fail(kind: BrowserKind) {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("fail-{kind:?}")));
    let mut wrong = Vec::new();
    for (name, step, class) in FAILURES {
        let file = folder("fail").join(format!("{name}.json"));
        let mut flow = recording(&file, &base);
        let mut outcome = run(&mut slot, &flow).await;
        let is_right = |outcome: &TestOutcome| {
            matches!(&outcome.result, TestResult::Failed(failure)
                if OTHERWISE.contains(name)
                    || (failure.step_index, failure.class) == (*step, *class)
                        && outcome.screenshot.is_some())
        };
        if !is_right(&outcome) {
            // The recordings' limits are short. A busy machine may not draw a single frame in one, which proves nothing.
            flow.timeout = PATIENCE;
            flow.steps.iter_mut().for_each(|step| step.timeout = None);
            outcome = run(&mut slot, &flow).await;
        }
        if !is_right(&outcome) {
            wrong.push(format!("{name}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Long enough for every step, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(15);

/// That nothing is left is the claim here; how soon is measured elsewhere, on a machine that does nothing else.
const SOON: Duration = Duration::from_secs(10);

/// Each is below a supervisor in a way of its own: a driver that starts another program, and a screen.
const KINDS: [BrowserKind; 3] =
    [BrowserKind::Firefox, BrowserKind::WebKit, BrowserKind::ChromiumHeaded];

#[tokio::test]
async fn g5_cookies_are_isolated_between_tests_in_every_kind() {
    let base = site::start().await;
    let check = r#",{"type":"waitForExpression","expression":"document.querySelector('#out').textContent === 'none'"}"#;
    for kind in KINDS {
        let mut slot = BrowserSlot::new(config_of(kind, &format!("cookies-{kind:?}")));
        for _ in 0..2 {
            let outcome = run(&mut slot, &flow(&base, "cookie", check)).await;
            assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn g8_killing_a_browser_of_any_kind_leaves_no_process_and_no_folder() {
    for kind in KINDS {
        let marker = format!("killed-{kind:?}");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config_of(kind, &marker);
        config.temp_dir = folder.path().to_owned();
        let mut browser = Browser::launch(&config).await.expect("launch");
        assert!(marked(&marker).len() >= 4, "{:#?}", marked(&marker));
        let started = Instant::now();
        browser.kill();
        nothing_left(&marker, SOON).await;
        println!("{kind:?} gone after {:?}", started.elapsed());
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0, "{kind:?}");
    }
}

#[expect(clippy::print_stdout, reason = "the test that started it waits for this word")]
async fn own_and_wait(kind: BrowserKind) {
    let _browser = Browser::launch(&config_of(kind, &format!("owned-{kind:?}"))).await.expect("up");
    println!("up");
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "waits to be killed"]
async fn an_owner_of_firefox() {
    own_and_wait(BrowserKind::Firefox).await;
}

#[tokio::test]
#[ignore = "waits to be killed"]
async fn an_owner_of_webkit() {
    own_and_wait(BrowserKind::WebKit).await;
}

#[tokio::test]
#[ignore = "waits to be killed"]
async fn an_owner_of_chromiumheaded() {
    own_and_wait(BrowserKind::ChromiumHeaded).await;
}

#[tokio::test]
async fn g8_an_owner_that_dies_by_sigkill_leaves_nothing_of_any_kind() {
    for kind in KINDS {
        let this = std::env::current_exe().expect("this test");
        let name = format!("{kind:?}").to_lowercase();
        let mut owner = tokio::process::Command::new(this)
            .args(["--ignored", "--nocapture", "--exact", &format!("browsers::an_owner_of_{name}")])
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("owner");
        let output = owner.stdout.take().expect("output");
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(output));
        while !lines.next_line().await.expect("output").expect("it comes up").ends_with("up") {}
        let started = Instant::now();
        owner.kill().await.expect("kill");
        nothing_left(&format!("-owned-{kind:?}"), SOON).await;
        println!("orphans of {kind:?} gone after {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn g5_a_browser_is_replaced_after_its_tests_and_above_its_memory() {
    let base = site::start().await;
    let pids = async |config: BrowserConfig, tests: usize| {
        let (mut slot, marker) = (BrowserSlot::new(config.clone()), config.marker);
        let mut pids = Vec::new();
        for _ in 0..tests {
            assert!(run(&mut slot, &flow(&base, "list", "")).await.result.is_passed());
            pids.push(
                marked(&marker).iter().filter(|line| line.contains("supervise")).cloned().collect(),
            );
        }
        pids
    };
    let config = config_of(BrowserKind::HeadlessShell, "worn");
    let alone = pids(BrowserConfig { tests_max: 2, ..config.clone() }, 3).await;
    assert_eq!(alone[0], alone[1]);
    assert_ne!(alone[1], alone[2], "the third test gets another");
    let config = BrowserConfig { marker: "heavy".to_owned(), memory_bytes_max: 1 << 20, ..config };
    let heavy: Vec<Vec<String>> = pids(config, 21).await;
    assert_eq!(heavy[0], heavy[19]);
    assert_ne!(heavy[19], heavy[20], "weighed after the twentieth");
}
