//! What the tests share: a browser configuration and a runner.

use std::{ffi::OsString, path::Path};

use gauntlet_browser::{
    BrowserConfig, BrowserKind, BrowserSlot, Control, TestOptions, TestOutcome,
};
use gauntlet_core::flow::Flow;

/// Waits for the turn of a long test: several at once on few cores would run into the limits of the recordings.
pub(crate) async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// A configuration whose processes carry `marker`.
pub(crate) fn config(marker: &str) -> BrowserConfig {
    BrowserConfig::new(vec![OsString::from(env!("CARGO_BIN_EXE_gauntlet-supervise"))], marker)
}

/// A configuration of a kind of browser.
pub(crate) fn config_of(kind: BrowserKind, marker: &str) -> BrowserConfig {
    BrowserConfig { kind, ..config(marker) }
}

/// Reads a recording and aims it at `base`.
pub(crate) fn recording(path: &Path, base: &str) -> Flow {
    let bytes = std::fs::read(path).expect("the recording is readable");
    let mut flow = gauntlet_recordings::parse(&bytes, &path.display().to_string())
        .expect("the recording is valid");
    flow.rebase(base);
    flow
}

/// Runs a flow without cancelling it.
pub(crate) async fn run(slot: &mut BrowserSlot, flow: &Flow) -> TestOutcome {
    slot.run_test(flow, &TestOptions::default(), &Control::default())
        .await
        .expect("the browser starts")
}

/// Returns the command lines of processes that carry `marker` there or in their environment, this test's own excepted.
pub(crate) fn marked(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let carries =
            command.contains(marker) || String::from_utf8_lossy(&environment).contains(marker);
        if pid != std::process::id() && carries {
            found.push(format!("{pid} {command}"));
        }
    }
    found
}
