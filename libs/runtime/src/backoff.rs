//! Waiting longer after each failure, spread so that peers do not retry in step.
//!
//! Owns the arithmetic only; what is retried, and whether it may be, is the caller's business. Nothing survives a crash:
//! a restarted process starts again at the first delay.

use rand::Rng as _;
use std::time::Duration;

/// Returns a duration drawn evenly from `[base × (1 − spread), base × (1 + spread)]`; `spread` is held to `0..=1`.
#[must_use]
pub fn jitter(base: Duration, spread: f64) -> Duration {
    let spread = if spread.is_finite() { spread.clamp(0.0, 1.0) } else { 0.0 };
    base.mul_f64(1.0 + spread * rand::rng().random_range(-1.0..=1.0))
}

/// Exponential delays with jitter, from a first to a longest one, for a bounded or unbounded number of attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    attempts_max: u32,
    attempts: u32,
}

impl Backoff {
    /// Returns delays that start near `first`, double, and never pass `max`; without end.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max: max.max(first), attempts_max: u32::MAX, attempts: 0 }
    }

    /// Ends after `attempts_max` delays.
    #[must_use]
    pub fn attempts_max(mut self, attempts_max: u32) -> Self {
        self.attempts_max = attempts_max;
        self
    }

    /// Returns the next delay, between half and the whole of the exponential step, or none when the attempts are used up.
    pub fn next_delay(&mut self) -> Option<Duration> {
        if self.attempts >= self.attempts_max {
            return None;
        }
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(1);
        let step = self.first.saturating_mul(factor).min(self.max);
        Some(step.mul_f64(rand::rng().random_range(0.5..=1.0)))
    }

    /// Sleeps for the next delay; returns false at once when the attempts are used up.
    ///
    /// # Cancel safety
    /// Dropping the future ends the sleep; the attempt stays counted.
    pub async fn sleep(&mut self) -> bool {
        match self.next_delay() {
            Some(delay) => {
                tokio::time::sleep(delay).await;
                true
            }
            None => false,
        }
    }

    /// Starts again at the first delay; call it after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Returns how many delays were taken since the start or the last reset.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_the_longest_and_then_end() {
        let mut backoff =
            Backoff::new(Duration::from_millis(10), Duration::from_millis(60)).attempts_max(40);
        let delays: Vec<_> = std::iter::from_fn(|| backoff.next_delay()).collect();
        assert_eq!(delays.len(), 40);
        assert!(delays[0] >= Duration::from_millis(5) && delays[0] <= Duration::from_millis(10));
        assert!(delays[39] >= Duration::from_millis(30) && delays[39] <= Duration::from_millis(60));
        backoff.reset();
        assert!(backoff.next_delay().is_some_and(|delay| delay <= Duration::from_millis(10)));
    }

    #[test]
    fn jitter_stays_within_its_spread() {
        for _ in 0..100 {
            let drawn = jitter(Duration::from_secs(10), 0.2);
            assert!(drawn >= Duration::from_secs(8) && drawn <= Duration::from_secs(12));
        }
        assert_eq!(jitter(Duration::from_secs(1), f64::NAN), Duration::from_secs(1));
    }
}
