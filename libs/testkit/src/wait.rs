//! Waiting for a condition instead of sleeping: the only clock a test needs.

use std::fmt::Debug;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls `probe` until it returns `Ok` and returns its value; `Err` is the state seen instead.
///
/// # Panics
/// After `within`, naming `what` and the last state seen. A probe that hangs counts as well.
pub async fn wait_until<T, S: Debug>(
    within: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let begun = Instant::now();
    let mut last = "nothing".to_owned();
    loop {
        let left = within.saturating_sub(begun.elapsed()).max(POLL_INTERVAL);
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(state)) => last = format!("{state:?}"),
            Err(_) => {
                panic!("not within {within:?}: {what}; the probe hung; last seen {last}")
            }
        }
        if begun.elapsed() >= within {
            panic!("not within {within:?}: {what}; last seen {last}");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
