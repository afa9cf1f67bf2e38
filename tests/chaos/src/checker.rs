//! What must be true of every run after the chaos, recomputed from the seed and compared with database and receiver.
//!
//! Pure: `facts.rs` reads, this judges, so that seeded violations prove that it can find some. It shares two things with
//! the mesh, whose own tests hold them: how the attempts of one test are merged, and the digest.

pub(crate) mod facts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gauntlet_core::verdict::{AttemptOutcome, Counts, TestOutcome, digest, merge_attempts};

use crate::load::{AbortRecord, RunRecord};
use facts::{Attempt, Generation, RunFacts};

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which promise, in one word.
    pub(crate) what: &'static str,
    pub(crate) detail: String,
}

/// Judges one run.
pub(crate) fn check(record: &RunRecord, facts: &RunFacts) -> Vec<Violation> {
    let mut found = Found { record, all: Vec::new() };
    for trouble in &record.trouble {
        found.note("outside", trouble.clone());
    }
    log(&mut found, facts);
    let mut outcomes: BTreeMap<i32, (TestOutcome, u32)> = BTreeMap::new();
    for number in 1..=record.generations {
        let Some(generation) = facts.generations.get(&number) else {
            found.note("lost", format!("generation {number} left nothing"));
            continue;
        };
        planned(&mut found, facts, number, generation);
        attempts(&mut found, number, generation);
        ended(&mut found, number, generation);
        outcomes = merged(&mut found, number, generation, &outcomes);
        verdict(&mut found, number, generation, &outcomes);
        deliveries(&mut found, number, generation);
    }
    listed(&mut found, facts, &outcomes);
    found.all
}

struct Found<'a> {
    record: &'a RunRecord,
    all: Vec<Violation>,
}

impl Found<'_> {
    fn note(&mut self, what: &'static str, detail: String) {
        let detail = format!("run {} ({}): {detail}", self.record.run_id, self.record.plan.number);
        self.all.push(Violation { what, detail });
    }
}

/// The run's row and its log: terminal, every shard closed, revisions without a gap.
fn log(found: &mut Found<'_>, facts: &RunFacts) {
    if !TERMINAL.contains(&facts.state.as_str()) {
        found.note("stuck", format!("is {} in generation {}", facts.state, facts.generation));
    }
    if facts.open_shard_count != 0 || facts.open_shards != 0 {
        let (count, rows) = (facts.open_shard_count, facts.open_shards);
        found.note("open", format!("open_shard_count {count}, open shards {rows}"));
    }
    if facts.generation != found.record.generations {
        let (is, asked) = (facts.generation, found.record.generations);
        found.note("generation", format!("is {is}, asked for {asked}"));
    }
    let expected: Vec<i64> = (1..=facts.revision).collect();
    if facts.revisions != expected {
        found.note("gap", format!("revisions {:?} of {}", facts.revisions, facts.revision));
    }
}

const TERMINAL: [&str; 4] = ["PASSED", "FAILED", "ERRORED", "ABORTED"];

/// The tests of the generation are those that were asked for.
fn planned(found: &mut Found<'_>, facts: &RunFacts, number: i32, generation: &Generation) {
    let asked: BTreeSet<i32> = match number {
        1 => (0..facts.test_count).collect(),
        _ => found.record.plan.again.iter().copied().collect(),
    };
    if facts.test_count != found.record.plan.tests.cast_signed() || generation.planned != asked {
        let planned = &generation.planned;
        found.note("plan", format!("generation {number} planned {planned:?}, asked was {asked:?}"));
    }
}

/// Every row is what the script says, in order, final where it should be, and nothing acknowledged is missing.
fn attempts(found: &mut Found<'_>, number: i32, generation: &Generation) {
    let plan = &found.record.plan;
    for (ordinal, rows) in &generation.attempts {
        let says = plan.attempts(number, *ordinal);
        // A browser that broke is told of, and is no try of the test.
        let broke = |row: &&Attempt| {
            plan.browsers && row.outcome == AttemptOutcome::Errored && !row.is_final
        };
        let broken = rows.iter().filter(broke).count();
        for (index, row) in rows.iter().filter(|row| !broke(row)).enumerate() {
            let poisoned = row.outcome == AttemptOutcome::Errored && row.is_final;
            if poisoned && generation.poisoned.contains(ordinal) && index + broken + 1 == rows.len()
            {
                continue;
            }
            let expected = says.get(index).map(|outcome| Attempt {
                number: if broken > 0 {
                    row.number
                } else {
                    i32::try_from(index).unwrap_or(i32::MAX) + 1
                },
                outcome: *outcome,
                is_final: index + 1 == says.len(),
            });
            if expected != Some(*row) {
                let detail = format!(
                    "generation {number} test {ordinal}: stored {row:?}, the script says {expected:?}"
                );
                found.note("wrong", detail);
            }
        }
        if !generation.planned.contains(ordinal) {
            found.note("stray", format!("generation {number} stored test {ordinal}"));
        }
    }
    for (ordinal, attempt, outcome) in &generation.acknowledged {
        let rows = generation.attempts.get(ordinal).map_or(&[][..], Vec::as_slice);
        let kept = rows.iter().any(|row| row.number == *attempt && row.outcome == *outcome);
        if !kept {
            let detail = format!(
                "generation {number} test {ordinal} attempt {attempt} was acknowledged as {outcome:?}"
            );
            found.note("lost", detail);
        }
    }
}

/// One terminal event, and aborted exactly when an abort was answered so.
fn ended(found: &mut Found<'_>, number: i32, generation: &Generation) {
    let [state] = &generation.terminals[..] else {
        let terminals = &generation.terminals;
        found.note("terminals", format!("generation {number} ended {terminals:?}"));
        return;
    };
    let asked: Vec<&AbortRecord> =
        found.record.aborts.iter().filter(|abort| abort.generation == number).collect();
    let aborted = asked.iter().any(|abort| abort.aborted);
    if aborted != (state == "ABORTED") {
        let detail = format!("generation {number} ended {state}, aborts were answered {asked:?}");
        found.note("abort", detail);
    }
}

/// Exactly one outcome for every test: of its attempts in this generation if it planned the test; else what it was before.
fn merged(
    found: &mut Found<'_>,
    number: i32,
    generation: &Generation,
    before: &BTreeMap<i32, (TestOutcome, u32)>,
) -> BTreeMap<i32, (TestOutcome, u32)> {
    let aborted = generation.terminals.iter().any(|state| state == "ABORTED");
    let mut outcomes = before.clone();
    for ordinal in &generation.planned {
        let rows = generation.attempts.get(ordinal).map_or(&[][..], Vec::as_slice);
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let tries: Vec<AttemptOutcome> = rows.iter().map(|row| row.outcome).collect();
        let is_final = rows.last().is_some_and(|row| row.is_final);
        let outcome = match merge_attempts(&tries).filter(|_| is_final) {
            Some(outcome) => outcome,
            None if aborted => TestOutcome::Skipped,
            None if generation.given_up.contains(ordinal) => TestOutcome::Errored,
            None => {
                found.note("lost", format!("generation {number} test {ordinal} has no outcome"));
                TestOutcome::NotRun
            }
        };
        outcomes.insert(*ordinal, (outcome, count));
    }
    outcomes
}

/// The stored verdict and the closed state follow from the outcomes.
fn verdict(
    found: &mut Found<'_>,
    number: i32,
    generation: &Generation,
    outcomes: &BTreeMap<i32, (TestOutcome, u32)>,
) {
    let Some(state) = generation.terminals.first().filter(|state| *state != "ABORTED") else {
        return;
    };
    let Some(stored) = &generation.verdict else {
        found.note("verdict", format!("generation {number} ended {state} without a verdict"));
        return;
    };
    let counts = Counts::of(outcomes.values().map(|(outcome, _)| *outcome));
    let judged = judged(&counts);
    if *state != judged || stored.state != judged || stored.counts != counts {
        let detail = format!(
            "generation {number} is {state}, stored {stored:?}, judged {judged} by {counts:?}"
        );
        found.note("verdict", detail);
    }
    let lines = outcomes
        .iter()
        .map(|(ordinal, (outcome, count))| (ordinal.unsigned_abs(), *outcome, *count));
    if stored.digest != digest(lines) {
        found.note("digest", format!("generation {number}: {}", stored.digest));
    }
}

/// Returns the state that follows from the outcomes. What an abort left out and no retry made up for is no pass.
fn judged(counts: &Counts) -> &'static str {
    let Counts { passed, flaky, failed, timed_out, skipped, errored, not_run } = *counts;
    if not_run + errored > 0 || passed + flaky + failed + timed_out == 0 {
        "ERRORED"
    } else if failed + timed_out + skipped > 0 {
        "FAILED"
    } else {
        "PASSED"
    }
}

/// One delivery that succeeded under one id, and nothing else was sent.
fn deliveries(found: &mut Found<'_>, number: i32, generation: &Generation) {
    let ids: BTreeSet<&str> =
        generation.calls.iter().map(|call| call.webhook_id.as_str()).collect();
    let states: BTreeSet<&str> = generation.calls.iter().map(|call| call.state.as_str()).collect();
    let ended = generation.terminals.first().map(String::as_str);
    let right = match &generation.deliveries[..] {
        [(id, state)] => {
            state == "SUCCEEDED"
                && ids.iter().eq([&id.as_str()])
                && states.iter().copied().eq(ended)
        }
        _ => false,
    };
    if !right {
        let rows = &generation.deliveries;
        found.note(
            "webhook",
            format!(
                "generation {number} ended {ended:?}: rows {rows:?}, received {ids:?} {states:?}"
            ),
        );
    }
}

/// What the API lists is each test once with the outcome that follows.
fn listed(found: &mut Found<'_>, facts: &RunFacts, outcomes: &BTreeMap<i32, (TestOutcome, u32)>) {
    let mut left: HashMap<i32, TestOutcome> =
        outcomes.iter().map(|(ordinal, (outcome, _))| (*ordinal, *outcome)).collect();
    for (ordinal, outcome) in &facts.listed {
        match left.remove(ordinal) {
            Some(expected) if expected == *outcome => {}
            expected => {
                found.note(
                    "listed",
                    format!("test {ordinal} as {outcome:?}, expected {expected:?}"),
                );
            }
        }
    }
    if !left.is_empty() {
        found.note("listed", format!("not at all: {left:?}"));
    }
}
