//! Runs tests as an executor does: each worker keeps one browser, and takes the next test when it has done one.

use super::{
    rate::{Cost, Ended},
    suite::Test,
    tree::{self, Watch},
};
use futures_util::future::join_all;
use gauntlet_browser::{BrowserConfig, BrowserSlot, Control, Isolation, TestOptions};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Runs every test once.
pub(super) async fn run(
    config: &BrowserConfig,
    site: Option<u32>,
    tests: &[Test],
    workers: usize,
    isolation: Isolation,
) -> anyhow::Result<Cost> {
    let options = TestOptions { isolation, screenshot_on_failure: false, ..TestOptions::default() };
    let mut slots: Vec<_> = (0..workers).map(|_| BrowserSlot::new(config.clone())).collect();
    let this = std::process::id();
    let cpu = tree::cpu_s(this, site);
    for slot in &mut slots {
        slot.browser().await?;
    }
    let (watch, began, next) = (Watch::begin(this, site), Instant::now(), AtomicUsize::new(0));
    let work = slots.iter_mut().map(async |slot| {
        let mut ended = Vec::new();
        while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = slot.run_test(&test.flow, &options, &Control::default()).await?;
            let passed = outcome.result.is_passed();
            ended.push(Ended {
                title: test.flow.title.clone(),
                passed,
                at_s: began.elapsed().as_secs_f64(),
            });
            if !passed {
                super::note(&format!("{}: {:?}", test.flow.title, outcome.result));
            }
        }
        anyhow::Ok(ended)
    });
    let ended: Vec<Vec<Ended>> = join_all(work).await.into_iter().collect::<anyhow::Result<_>>()?;
    let peak_mib = watch.peak_mib();
    for slot in &mut slots {
        slot.stop().await;
    }
    let cpu_s = tree::cpu_s(this, site) - cpu;
    Ok(Cost { ended: ended.concat(), cpu_s, peak_mib })
}
