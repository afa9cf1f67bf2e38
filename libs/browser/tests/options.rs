//! What a test's options do, as its pages see it (A3).

use std::{sync::Arc, time::Duration};

use gauntlet_browser::{
    BrowserKind, BrowserSlot, Control, Emulation, Geolocation, Network, TestOptions, TestOutcome,
    TestResult,
};
use gauntlet_core::flow::Viewport;

use crate::{
    hygiene::flow,
    site,
    support::{config_of, turn},
};

/// Chromium and Firefox pretend alike.
const BIDI: [BrowserKind; 2] = [BrowserKind::HeadlessShell, BrowserKind::Firefox];

/// Runs a test that waits for each expression on its only page.
async fn see(slot: &mut BrowserSlot, options: &TestOptions, expressions: &[&str]) -> TestOutcome {
    see_at(slot, &site::start().await, options, expressions).await
}

/// Like [`see`], at a site that other tests know as well.
async fn see_at(
    slot: &mut BrowserSlot,
    base: &str,
    options: &TestOptions,
    expressions: &[&str],
) -> TestOutcome {
    let steps: Vec<_> = expressions
        .iter()
        .map(|expression| {
            let step = serde_json::json!({ "type": "waitForExpression", "expression": expression });
            format!(",{step}")
        })
        .collect();
    let test = flow(base, "list", &steps.concat());
    slot.run_test(&test, options, &Control::default()).await.expect("the browser starts")
}

fn slot(kind: BrowserKind, marker: &str) -> BrowserSlot {
    BrowserSlot::new(config_of(kind, &format!("{marker}-{kind:?}")))
}

fn emulation(emulation: Emulation) -> TestOptions {
    TestOptions { emulation, ..TestOptions::default() }
}

#[tokio::test]
async fn a3_locale_time_zone_and_user_agent_are_what_the_page_sees_and_its_popup_too() {
    let options = emulation(Emulation {
        locale: Some("de-DE".to_owned()),
        timezone: Some("Asia/Tokyo".to_owned()),
        user_agent: Some("Gauntlet/1".to_owned()),
        ..Emulation::default()
    });
    let sees = [
        "(1234.5).toLocaleString() === '1.234,5'",
        "Intl.DateTimeFormat().resolvedOptions().locale === 'de-DE'",
        "Intl.DateTimeFormat().resolvedOptions().timeZone === 'Asia/Tokyo'",
        "new Date(0).getHours() === 9",
        "navigator.userAgent === 'Gauntlet/1'",
        "(window.w = window.w || open('/list')) && w.Intl && w.Intl.DateTimeFormat().resolvedOptions().timeZone === 'Asia/Tokyo'",
    ];
    for kind in BIDI {
        let mut slot = slot(kind, "place");
        let outcome = see(&mut slot, &options, &sees).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let none = ["Intl.DateTimeFormat().resolvedOptions().timeZone !== 'Asia/Tokyo'"];
        let outcome = see(&mut slot, &TestOptions::default(), &none).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}: the next test is here again");
    }
}

#[tokio::test]
async fn a3_a_page_with_permission_is_told_the_place_and_one_without_is_not() {
    let at = Geolocation { latitude: 48.5, longitude: 9.25, accuracy: 10.0 };
    let ask = "new Promise((done) => navigator.geolocation.getCurrentPosition((at) => done(at.coords.latitude === 48.5 && at.coords.longitude === 9.25), (error) => done(false)))";
    let denied = "navigator.permissions.query({ name: 'geolocation' }).then((its) => its.state !== 'granted')";
    for kind in BIDI {
        let mut slot = slot(kind, "geo");
        let permissions = vec!["geolocation".to_owned()];
        let options =
            emulation(Emulation { geolocation: Some(at), permissions, ..Emulation::default() });
        let outcome = see(&mut slot, &options, &[ask]).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let options = emulation(Emulation { geolocation: Some(at), ..Emulation::default() });
        let outcome = see(&mut slot, &options, &[denied]).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
    }
}

#[tokio::test]
async fn a3_the_device_is_what_the_page_measures() {
    let viewport = Viewport {
        width: 500,
        height: 400,
        device_scale_factor: 2.0,
        is_mobile: false,
        has_touch: true,
        is_landscape: false,
    };
    let sees = [
        "innerWidth === 500 && innerHeight === 400",
        "devicePixelRatio === 2",
        "matchMedia('(resolution: 2dppx)').matches",
        "navigator.maxTouchPoints > 0",
    ];
    let options = TestOptions { viewport, ..TestOptions::default() };
    let outcome = see(&mut slot(BrowserKind::HeadlessShell, "device"), &options, &sees).await;
    assert_eq!(outcome.result, TestResult::Passed);
    let mut firefox = slot(BrowserKind::Firefox, "device");
    let outcome = see(&mut firefox, &options, &[]).await;
    let failure = outcome.result.failure().expect("it cannot");
    assert!(failure.message.contains("cannot do touch"), "{failure:?}");
    let untouched = Viewport { has_touch: false, ..viewport };
    let options = TestOptions { viewport: untouched, ..TestOptions::default() };
    let outcome = see(&mut firefox, &options, &sees[..3]).await;
    assert_eq!(outcome.result, TestResult::Passed, "firefox");
    let mut slot = slot(BrowserKind::WebKit, "device");
    let plain = Viewport { device_scale_factor: 1.0, has_touch: false, ..viewport };
    let options = TestOptions { viewport: plain, ..TestOptions::default() };
    let outcome = see(&mut slot, &options, &sees[..1]).await;
    assert_eq!(outcome.result, TestResult::Passed, "webkit");
    let options = TestOptions { viewport, ..TestOptions::default() };
    let outcome = see(&mut slot, &options, &[]).await;
    let failure = outcome.result.failure().expect("it cannot");
    assert!(failure.message.contains("cannot do touch"), "{failure:?}");
}

#[tokio::test]
async fn a3_offline_is_offline_and_slow_is_slow() {
    let _turn = turn().await;
    let fetches = "fetch('/bytes?' + Math.random()).then((its) => its.arrayBuffer()).then((its) => its.byteLength === 100000, () => false)";
    let took = format!(
        "(async () => {{ const began = performance.now(); const all = await {fetches}; return all && performance.now() - began > 1900; }})()"
    );
    let quick = format!(
        "(async () => {{ const began = performance.now(); const all = await {fetches}; return all && performance.now() - began < 1500; }})()"
    );
    let network = |network| emulation(Emulation { network, ..Emulation::default() });
    let mut chromium = slot(BrowserKind::HeadlessShell, "net");
    let outcome = see(&mut chromium, &network(Some(Network::SLOW_3G)), &[&took]).await;
    assert_eq!(outcome.result, TestResult::Passed);
    let outcome = see(&mut chromium, &network(None), &["navigator.onLine", &quick]).await;
    assert_eq!(outcome.result, TestResult::Passed, "the next test has the whole network");
    for kind in BIDI {
        let outcome = see(&mut slot(kind, "off"), &network(Some(Network::Offline)), &[]).await;
        assert!(outcome.result.failure().is_some(), "{kind:?}: nothing can be loaded");
    }
    let outcome =
        see(&mut slot(BrowserKind::Firefox, "slow"), &network(Some(Network::SLOW_3G)), &[]).await;
    let failure = outcome.result.failure().expect("it cannot");
    assert!(failure.message.contains("cannot do a slow network"), "{failure:?}");
}

#[tokio::test]
async fn g6_console_and_requests_are_written_down_without_secrets() {
    let says = "(window.said ||= (console.warn('warned of hunter2'), setTimeout(() => { throw new Error('thrown'); }), fetch('/data?token=hunter2'), fetch('http://127.0.0.1:GONE/').catch(() => 0), true)) && performance.getEntriesByName(location.origin + '/data?token=hunter2').length > 0";
    let base = site::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let gone = listener.local_addr().expect("an address").port().to_string();
    drop(listener);
    let says = says.replace("GONE", &gone);
    for kind in BIDI {
        let text = format!(
            r##"{{"title":"t","timeout":4000,"steps":[{{"type":"navigate","url":"{base}/login"}},{{"type":"change","selectors":["#password"],"value":"hunter2"}},{{"type":"waitForExpression","expression":{}}},{{"type":"waitForExpression","expression":"new Promise((done) => setTimeout(done, 300, true))"}}]}}"##,
            serde_json::Value::from(says.as_str())
        );
        let test = gauntlet_recordings::parse(text.as_bytes(), "inline").expect("valid");
        let options = TestOptions { logs: true, ..TestOptions::default() };
        let mut slot = slot(kind, "logs");
        let outcome = slot.run_test(&test, &options, &Control::default()).await.expect("launch");
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let warned =
            outcome.logs.console.iter().find(|entry| entry.level == "warn").expect("a warning");
        assert!(warned.text.starts_with("warned of"), "{warned:?}");
        assert!(outcome.logs.console.iter().any(|entry| entry.text.contains("thrown")));
        let fetched = outcome.logs.requests.iter().find(|request| request.url.contains("/data"));
        assert_eq!(fetched.map(|request| request.status), Some(200));
        let why = format!("127.0.0.1:{gone} cannot be reached: connection refused");
        let mut failed = outcome.logs.requests.iter().filter_map(|request| request.error.as_ref());
        assert!(failed.any(|error| *error == why), "{kind:?}: {:?}", outcome.logs.requests);
        assert!(!format!("{:?}", outcome.logs).contains("hunter2"), "{:?}", outcome.logs);
    }
}

/// A pause of a minute, and a limit of eight seconds: what is waited again decides what comes of the test, not how fast it is.
#[tokio::test]
async fn a3_recorded_pauses_are_waited_as_much_as_the_run_wants() {
    let base = site::start().await;
    let mut test = flow(&base, "list", r#",{"type":"waitForExpression","expression":"true"}"#);
    let mut slot = slot(BrowserKind::HeadlessShell, "pace");
    for (pause_s, pace, passes) in
        [(60, 0.0, true), (60, 1.0, false), (60, 0.001, true), (1, 1.0, true)]
    {
        test.steps[1].recorded_pause = Duration::from_secs(pause_s);
        let timeout = Duration::from_secs(8);
        let options = TestOptions { pace, timeout, ..TestOptions::default() };
        let outcome = slot.run_test(&test, &options, &Control::default()).await.expect("launched");
        assert_eq!(
            outcome.result.is_passed(),
            passes,
            "{pause_s} s at {pace}: {:?}",
            outcome.result
        );
        let waited = test.steps[1].recorded_pause.mul_f64(pace);
        assert!(!passes || outcome.duration >= waited, "{:?} < {waited:?}", outcome.duration);
    }
}

#[tokio::test]
async fn h5_a_test_begins_with_what_another_left_and_changes_nothing_for_the_next() {
    let sign_in =
        ["(document.cookie = 'who=ann; max-age=600', localStorage.setItem('token', 't'), true)"];
    let signed_in = "document.cookie.includes('who=ann') && localStorage.getItem('token') === 't'";
    let out = "(localStorage.clear(), document.cookie = 'who=; max-age=0', document.cookie === '')";
    for kind in BIDI {
        let mut slot = slot(kind, "state");
        let base = site::start().await;
        let keep = TestOptions { keep_state: true, ..TestOptions::default() };
        let outcome = see_at(&mut slot, &base, &keep, &sign_in).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let state = outcome.state.map(Arc::new);
        assert!(format!("{state:?}").contains("origins: 1"), "{kind:?}: {state:?}");
        let begin = TestOptions { state, ..TestOptions::default() };
        for _ in 0..2 {
            let outcome = see_at(&mut slot, &base, &begin, &[signed_in, out]).await;
            assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        }
        let outcome = see_at(
            &mut slot,
            &base,
            &TestOptions::default(),
            &["document.cookie === '' && !localStorage.length"],
        )
        .await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}: nobody is signed in by accident");
        assert!(outcome.state.is_none());
        let fails = TestOptions {
            keep_state: true,
            timeout: Duration::from_secs(8),
            ..TestOptions::default()
        };
        let outcome = see_at(&mut slot, &base, &fails, &["false"]).await;
        assert!(outcome.state.is_none(), "{kind:?}: who failed is not signed in");
    }
}
