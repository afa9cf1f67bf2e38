//! What happens to a browser that is taken away, or hurt: how long an abort takes, and what random kills leave.

use super::{
    report::{Abort, Kills},
    suite::Test,
    tree,
};
use anyhow::ensure;
use futures_util::future::join_all;
use gauntlet_browser::{BrowserConfig, BrowserSlot, Control, TestOptions, TestResult};
use gauntlet_core::flow::Flow;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::{
    fs,
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a test gets to hang before it is aborted.
const SETTLE: Duration = Duration::from_millis(150);
/// Pause between two kills.
const KILL_PAUSE: Duration = Duration::from_millis(400);
/// How long a killed process may still be seen.
const LEFT_LIMIT: Duration = Duration::from_secs(5);

/// Aborts tests in every way of hanging; a measurement is from the abort to the death of the last process.
pub(super) async fn aborts(config: &BrowserConfig, count: usize) -> anyhow::Result<Vec<Abort>> {
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silence = format!("http://{}/", silent.local_addr()?);
    let waits = |expression: &str| json!({ "type": "waitForExpression", "expression": expression });
    let page = |url: &str| json!({ "type": "navigate", "url": url });
    let blank = "data:text/html,<title>hang</title>";
    let hangs = [
        ("a wait that never ends", vec![page(blank), waits("false")]),
        ("a script that never ends", vec![page(blank), waits("(() => { for (;;); })()")]),
        ("a site that never answers", vec![page(&silence)]),
        ("dialogs without end", vec![page(blank), waits("(() => { for (;;) alert(1); })()")]),
    ];
    let each = count.div_ceil(hangs.len()).max(1);
    let mut all = Vec::new();
    for (situation, steps) in hangs {
        let text = json!({ "title": situation, "timeout": 30_000, "steps": steps }).to_string();
        let flow = gauntlet_recordings::parse(text.as_bytes(), situation);
        let flow = flow.map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut gone_ms = Vec::new();
        for _ in 0..each {
            gone_ms.push(abort(config, &flow).await?.as_secs_f64() * 1_000.0);
        }
        all.push(Abort::of(situation, gone_ms));
    }
    Ok(all)
}

async fn abort(config: &BrowserConfig, flow: &Flow) -> anyhow::Result<Duration> {
    let mut slot = BrowserSlot::new(config.clone());
    slot.browser().await?;
    let cancel = CancellationToken::new();
    let (control, options) = (Control::new(cancel.clone()), TestOptions::default());
    let hangs_at = i32::try_from(flow.steps.len()).unwrap_or_default() - 1;
    let (outcome, asked) = tokio::join!(slot.run_test(flow, &options, &control), async {
        while control.step_index() < hangs_at {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(SETTLE).await;
        cancel.cancel();
        Instant::now()
    });
    ensure!(outcome?.result == TestResult::Cancelled, "{}: it did not hang", flow.title);
    // Its supervisor ends after the last process of the browser, and after its folder.
    slot.stop().await;
    let took = asked.elapsed();
    ensure!(left(config)?.0 == 0, "{}: a process is left", flow.title);
    Ok(took)
}

/// Returns how many processes and profile folders of this benchmark there are.
fn left(config: &BrowserConfig) -> anyhow::Result<(u32, u32)> {
    let folders = fs::read_dir(&config.temp_dir)?.count();
    let mut processes = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let says = |file: &str| {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(&config.marker)
        };
        let ours = entry.file_name().to_str() == Some(&std::process::id().to_string());
        processes += u32::from(!ours && (says("cmdline") || says("environ")));
    }
    Ok((processes, u32::try_from(folders).unwrap_or(u32::MAX)))
}

/// Runs tests while processes of their browsers are killed at random, and counts what is left at the end.
pub(super) async fn kills(
    config: &BrowserConfig,
    site: Option<u32>,
    tests: &[Test],
    workers: usize,
) -> anyhow::Result<Kills> {
    let options = TestOptions { screenshot_on_failure: false, ..TestOptions::default() };
    let (next, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = (0..workers).map(async |_| {
        let (mut slot, mut passed) = (BrowserSlot::new(config.clone()), 0_u32);
        while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = slot.run_test(&test.flow, &options, &Control::default()).await;
            passed += u32::from(outcome.as_ref().is_ok_and(|outcome| outcome.result.is_passed()));
            if !outcome.is_ok_and(|outcome| outcome.result.is_passed()) {
                slot.stop().await;
            }
            ran.fetch_add(1, Ordering::Relaxed);
        }
        slot.stop().await;
        passed
    });
    let mut killed = 0_u32;
    let killer = async {
        // Always the same choice among what is there; what is there differs.
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        while ran.load(Ordering::Relaxed) < tests.len() {
            tokio::time::sleep(KILL_PAUSE).await;
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let below = tree::tree(std::process::id(), site);
            let chosen = below.get(1 + seed as usize % below.len().max(2));
            if let Some(pid) = chosen.and_then(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
                killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
            }
        }
    };
    let (passed, ()) = tokio::join!(join_all(work), killer);
    let end = Instant::now() + LEFT_LIMIT;
    let mut there = left(config)?;
    while there != (0, 0) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        there = left(config)?;
    }
    Ok(Kills {
        tests: u32::try_from(tests.len()).unwrap_or(u32::MAX),
        kills: killed,
        passed: passed.into_iter().sum(),
        processes_left: there.0,
        folders_left: there.1,
    })
}
