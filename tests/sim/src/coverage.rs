//! Which change of state met which fault: every pair that can be reached is, often enough.

use crate::story::Fault;
use crate::world::{Reached, cells};
use std::collections::BTreeMap;
use std::fmt;

/// How often a change of state has to come after a fault.
const REACHED_MIN: u32 = 10;

/// Changes of state that the tables allow and no run from its admission on can make.
const UNREACHABLE: [(&str, &str); 3] = [
    (
        "run QUEUED complete ERRORED",
        "a shard fails for good at its third failure, and the first makes the run RUNNING",
    ),
    (
        "run QUEUED lose ERRORED",
        "a shard is lost for good at its third loss, and the first makes the run RUNNING",
    ),
    (
        "run QUEUED lose FINALIZING",
        "a shard is lost for good at its third loss, and the first makes the run RUNNING",
    ),
];

#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<(String, Fault), u32>);

impl Coverage {
    pub(crate) fn add(&mut self, fault: Fault, reached: &Reached) {
        for (cell, count) in reached {
            *self.0.entry((cell.clone(), fault)).or_default() += count;
        }
    }

    fn count(&self, cell: &str, fault: Fault) -> u32 {
        self.0.get(&(cell.to_owned(), fault)).copied().unwrap_or(0)
    }

    /// Returns each pair that is too rare, and each that cannot be and is there.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for cell in cells() {
            let unreachable = UNREACHABLE.iter().find(|(name, _)| *name == cell);
            for fault in Fault::ALL {
                let count = self.count(&cell, fault);
                match unreachable {
                    None if count < REACHED_MIN => {
                        wrong.push(format!("{cell} after {fault:?}: {count}"))
                    }
                    Some((_, why)) if count > 0 => {
                        wrong.push(format!("{cell} after {fault:?}: {count}, although {why}"));
                    }
                    _ => {}
                }
            }
        }
        wrong
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Fault::ALL.iter().map(|fault| format!("{fault:?}")).collect();
        writeln!(f, "| change of state | {} |", names.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(names.len()))?;
        for cell in cells() {
            let counts = Fault::ALL.iter().map(|fault| self.count(&cell, *fault).to_string());
            writeln!(f, "| {cell} | {} |", counts.collect::<Vec<_>>().join(" | "))?;
        }
        Ok(())
    }
}
