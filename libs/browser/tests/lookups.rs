//! What a browser would look up by itself, beside its proxy (G9).

use std::time::{Duration, Instant};

use gauntlet_browser::{
    BrowserConfig, BrowserKind, BrowserSlot, Egress, ReservedPorts, TestResult,
};
use gauntlet_core::egress::{EgressPolicy, EgressRules};

use crate::{
    hygiene::flow,
    site,
    support::{config_of, run},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody has this name, and the policy denies it before anybody looks.
const NAME: &str = "early.invalid";
/// Has a page call a server of that name by WebRTC, and waits until it has given up.
const CALLS: &str = r#",{"type":"waitForExpression","expression":"(() => {
    if (!window.caller) {
        const turn = { urls: 'turn:early.invalid:3478?transport=tcp', username: 'me', credential: 'x' };
        window.caller = new RTCPeerConnection({ iceServers: [turn] });
        caller.createDataChannel('x');
        caller.createOffer().then((offer) => caller.setLocalDescription(offer));
    }
    return caller.iceGatheringState === 'complete';
})()"}"#;

fn denying() -> Egress {
    let rules = EgressRules { allow: Vec::new(), deny: vec![NAME.parse().expect("a pattern")] };
    let policy = EgressPolicy { loopback: true, deny: Vec::new(), rules };
    Egress::new(policy, ReservedPorts::default())
}

/// The headless shell asks the system, and its log does not say for which name; it has the same flags.
#[tokio::test]
async fn g9_chromium_looks_up_no_name_by_itself() {
    let base = site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("network.json");
    let extra_args = vec![format!("--log-net-log={}", log.display())];
    let egress = denying();
    let config =
        BrowserConfig { egress, extra_args, ..config_of(BrowserKind::Chromium, "lookups") };
    let mut slot = BrowserSlot::new(config);
    let called = run(&mut slot, &flow(&base, "list", &CALLS.replace('\n', " "))).await;
    assert_eq!(called.result, TestResult::Passed);
    assert!(called.egress_denied_count > 0, "the proxy is asked for {NAME}");
    // The log is written by and by, in order: with a later page in it, the call is, too.
    let end = Instant::now() + PATIENCE;
    let told = loop {
        run(&mut slot, &flow(&base, "popup", "")).await;
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        if told.contains("/popup") {
            break told;
        }
        assert!(Instant::now() < end, "no page in a log of {} bytes", told.len());
    };
    let looks: Vec<_> = told.lines().filter(|line| line.contains(NAME)).collect();
    assert_eq!(looks, Vec::<&str>::new());
}
