//! What the chaos came to, for people and for a document: the mix of runs, the table of faults, the violations.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::campaign::Tally;
use crate::checker::Violation;
use crate::faults::Fault;
use crate::load::RunRecord;
use crate::points::Point;

/// Violations that are printed; all are counted.
const SHOWN_MAX: usize = 20;

/// The result of a whole chaos.
pub(crate) struct Scorecard {
    pub(crate) seed: u64,
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
    pub(crate) mix: Mix,
    pub(crate) attempts: u64,
    pub(crate) violations: Vec<Violation>,
}

/// What kinds of runs there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mix {
    pub(crate) runs: usize,
    pub(crate) large: usize,
    /// Runs of which a generation was aborted, as answered.
    pub(crate) aborted: usize,
    pub(crate) retried: usize,
    /// Runs of real recordings.
    pub(crate) browsers: usize,
}

impl Mix {
    pub(crate) fn of(records: &[RunRecord]) -> Self {
        let count = |what: fn(&RunRecord) -> bool| records.iter().filter(|r| what(r)).count();
        Self {
            runs: records.len(),
            large: count(|record| record.plan.is_large()),
            aborted: count(|record| record.aborts.iter().any(|abort| abort.aborted)),
            retried: count(|record| record.generations > 1),
            browsers: count(|record| record.plan.browsers),
        }
    }
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, tally, mix, attempts, violations, .. } = self;
        let share = |part: usize| 100.0 * part as f64 / mix.runs.max(1) as f64;
        writeln!(f, "seed {seed}, {} s", self.took.as_secs())?;
        writeln!(
            f,
            "runs {}: large {:.0} %, aborted {:.0} %, partly retried {:.0} %, in browsers {}; {attempts} attempts stored",
            mix.runs,
            share(mix.large),
            share(mix.aborted),
            share(mix.retried),
            mix.browsers
        )?;
        let counted = tally.total();
        let (beside, missed) = (tally.beside, tally.missed);
        writeln!(
            f,
            "faults counted {counted}; struck beside their point {beside}, missed {missed}\n"
        )?;
        write!(f, "| fault |")?;
        Point::ALL.iter().try_for_each(|point| write!(f, " {} |", point.name()))?;
        writeln!(f, "\n|---|{}", "--:|".repeat(Point::ALL.len()))?;
        for fault in Fault::ALL {
            write!(f, "| {} |", fault.name())?;
            for point in Point::ALL {
                write!(f, " {} |", tally.counted.get(&(fault, point)).copied().unwrap_or(0))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "\nprocesses that ended by themselves and were started again: {}",
            tally.ended.len()
        )?;
        tally.ended.iter().take(SHOWN_MAX).try_for_each(|last| writeln!(f, "  {last}"))?;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for violation in violations {
            *kinds.entry(violation.what).or_default() += 1;
        }
        writeln!(f, "\nviolations {} {kinds:?}", violations.len())?;
        for Violation { what, detail } in violations.iter().take(SHOWN_MAX) {
            writeln!(f, "  {what}: {detail}")?;
        }
        Ok(())
    }
}
