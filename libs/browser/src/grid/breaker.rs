//! Leaves an endpoint alone that keeps failing. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which it opens.
const FAILURES_MAX: u32 = 5;
/// How long it stays open at first, and at most; it doubles each time the probe fails, too.
const OPEN_FIRST: Duration = Duration::from_secs(5);
const OPEN_MAX: Duration = Duration::from_secs(80);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Returns how often it failed and for how long it is left alone, while it is. After that one caller gets through.
    pub(super) fn refuses(&mut self, now: Instant) -> Option<(u32, Duration)> {
        let until = self.open_until?;
        if now < until {
            return Some((self.failures, until - now));
        }
        // This caller is the probe; the others wait for what it finds.
        self.open_until = Some(now + OPEN_FIRST);
        None
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures += 1;
        if let Some(beyond) = self.failures.checked_sub(FAILURES_MAX) {
            let open = OPEN_FIRST.saturating_mul(2_u32.saturating_pow(beyond)).min(OPEN_MAX);
            self.open_until = Some(now + open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_lets_one_probe_through_and_opens_longer() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES_MAX {
            breaker.failed(now);
        }
        assert_eq!(breaker.refuses(now), None);
        breaker.failed(now);
        assert_eq!(breaker.refuses(now), Some((FAILURES_MAX, OPEN_FIRST)));
        let later = now + OPEN_FIRST;
        assert_eq!(breaker.refuses(later), None, "the probe");
        assert!(breaker.refuses(later).is_some(), "nobody else");
        breaker.failed(later);
        assert_eq!(breaker.refuses(later), Some((FAILURES_MAX + 1, OPEN_FIRST * 2)));
        breaker.succeeded();
        assert_eq!(breaker.refuses(later), None);
        breaker.failed(later);
        assert_eq!(breaker.refuses(later), None, "a success wipes the slate");
    }
}
