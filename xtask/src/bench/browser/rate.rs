//! How fast a tool was, and what it took.

use serde::Serialize;

/// A test that has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) title: String,
    pub(super) passed: bool,
    pub(super) at_s: f64,
}

/// What running some tests has cost.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    pub(super) ended: Vec<Ended>,
    pub(super) cpu_s: f64,
    pub(super) peak_mib: f64,
}

impl Cost {
    /// Returns tests per second once every worker is warm: from the end of as many tests as there are workers on.
    pub(super) fn tests_per_s(&self, workers: usize) -> f64 {
        let mut ends: Vec<f64> = self.ended.iter().map(|ended| ended.at_s).collect();
        ends.sort_by(f64::total_cmp);
        let warm = ends.get(workers.saturating_sub(1)).copied().unwrap_or_default();
        let seconds = ends.last().copied().unwrap_or_default() - warm;
        ends.len().saturating_sub(workers) as f64 / seconds.max(f64::MIN_POSITIVE)
    }

    pub(super) fn cpu_s_per_test(&self) -> f64 {
        self.cpu_s / self.ended.len().max(1) as f64
    }

    /// Returns the titles of the tests that did not pass, each once, in order.
    pub(super) fn failed(&self) -> Vec<String> {
        let failed = self.ended.iter().filter(|ended| !ended.passed);
        let mut titles: Vec<_> = failed.map(|ended| ended.title.clone()).collect();
        titles.sort();
        titles.dedup();
        titles
    }
}

/// The middle of some measurements, and how far they lie apart.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        let median = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { median, min: at(0), max: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(ends: &[f64]) -> Cost {
        let ended = ends
            .iter()
            .map(|at_s| Ended { title: String::new(), passed: true, at_s: *at_s })
            .collect();
        Cost { ended, cpu_s: 1.0, peak_mib: 0.0 }
    }

    #[test]
    fn the_first_test_of_each_worker_warms_up_and_does_not_count() {
        let measured = cost(&[9.0, 10.0, 10.5, 11.0, 11.5, 12.0]).tests_per_s(2);
        assert!((measured - 2.0).abs() < 1e-9, "{measured}");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(Vec::new()).median, 0.0);
    }
}
