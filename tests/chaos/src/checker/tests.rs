//! Seeded violations: the checker finds each, and nothing in a run that is right.

use super::facts::{Generation, Verdict};
use super::*;
use crate::plan::RunPlan;
use crate::receiver::Call;
use uuid::Uuid;

const RETRIES: i32 = 1;

/// A run of four tests in one generation, as it should be.
fn right() -> (RunRecord, RunFacts) {
    let plan =
        RunPlan { tests: 4, shards: 2, retries: RETRIES, again: vec![1, 2], ..RunPlan::of(11, 0) };
    let record = RunRecord {
        plan,
        run_id: Uuid::max(),
        generations: 1,
        aborts: Vec::new(),
        trouble: Vec::new(),
    };
    let mut facts = RunFacts { test_count: 4, generation: 1, ..RunFacts::default() };
    append(&record, &mut facts, 1, "");
    (record, facts)
}

/// Adds a generation as it should be; `state` is how it ended, empty for the verdict's.
fn append(record: &RunRecord, facts: &mut RunFacts, number: i32, state: &str) {
    let planned: BTreeSet<i32> = match number {
        1 => (0..4).collect(),
        _ => record.plan.again.iter().copied().collect(),
    };
    let mut generation = Generation { planned: planned.clone(), ..Generation::default() };
    let mut outcomes: BTreeMap<i32, TestOutcome> = facts.listed.iter().copied().collect();
    let mut counted: BTreeMap<i32, u32> = match facts.generations.get(&(number - 1)) {
        Some(before) => before.attempts.iter().map(|(o, rows)| (*o, rows.len() as u32)).collect(),
        None => BTreeMap::new(),
    };
    for ordinal in planned {
        let says = record.plan.attempts(number, ordinal);
        let row = |(index, outcome): (usize, &AttemptOutcome)| Attempt {
            number: i32::try_from(index).unwrap() + 1,
            outcome: *outcome,
            is_final: index + 1 == says.len(),
        };
        let rows: Vec<Attempt> = says.iter().enumerate().map(row).collect();
        let tries: Vec<_> = rows.iter().map(|row| row.outcome).collect();
        let outcome = merge_attempts(&tries).unwrap();
        outcomes.insert(ordinal, outcome);
        counted.insert(ordinal, u32::try_from(rows.len()).unwrap());
        let told = rows.iter().map(|row| (ordinal, row.number, row.outcome));
        generation.acknowledged.extend(told);
        generation.attempts.insert(ordinal, rows);
    }
    let lines = outcomes.iter().map(|(o, outcome)| (o.unsigned_abs(), *outcome, counted[o]));
    let lines: Vec<_> = lines.collect();
    let counts = Counts::of(outcomes.values().copied());
    let judged = judged(&counts).to_owned();
    let state = if state.is_empty() { judged.clone() } else { state.to_owned() };
    generation.verdict = Some(Verdict { state: judged, counts, digest: digest(lines) });
    generation.terminals = vec![state.clone()];
    let webhook_id = format!("msg_{number}");
    generation.deliveries = vec![(webhook_id.clone(), "SUCCEEDED".to_owned())];
    let call = Call { webhook_id, run_id: record.run_id, generation: number, state: state.clone() };
    // Twice under one id is no second delivery.
    generation.calls = vec![call.clone(), call];
    facts.state = state;
    facts.generation = number;
    facts.listed = outcomes.into_iter().collect();
    facts.revision += 3;
    facts.revisions = (1..=facts.revision).collect();
    facts.generations.insert(number, generation);
}

fn first(facts: &mut RunFacts) -> &mut Generation {
    facts.generations.get_mut(&1).unwrap()
}

fn found(break_it: impl FnOnce(&mut RunRecord, &mut RunFacts)) -> Vec<&'static str> {
    let (mut record, mut facts) = right();
    break_it(&mut record, &mut facts);
    check(&record, &facts).into_iter().map(|violation| violation.what).collect()
}

#[test]
fn a_run_that_is_right_has_no_violation_retried_or_not() {
    assert_eq!(found(|_, _| {}), [""; 0]);
    let retried = |record: &mut RunRecord, facts: &mut RunFacts| {
        record.generations = 2;
        append(record, facts, 2, "");
    };
    assert_eq!(found(retried), [""; 0]);
}

#[test]
fn an_aborted_retry_skips_what_it_did_not_run_and_leaves_the_rest_as_it_was() {
    let abort = |record: &mut RunRecord, facts: &mut RunFacts| {
        record.generations = 2;
        record.aborts.push(AbortRecord { generation: 2, aborted: true });
        append(record, facts, 2, "ABORTED");
        let again = facts.generations.get_mut(&2).unwrap();
        again.attempts.remove(&1);
        again.acknowledged.retain(|(ordinal, ..)| *ordinal != 1);
        facts.listed.iter_mut().find(|(ordinal, _)| *ordinal == 1).unwrap().1 =
            TestOutcome::Skipped;
    };
    assert_eq!(found(abort), [""; 0]);
}

#[test]
fn lost_and_doubled_results_are_found() {
    let lost = found(|_, facts| {
        first(facts).attempts.remove(&2);
    });
    assert!(lost.contains(&"lost"), "{lost:?}");
    let wrong = found(|_, facts| {
        let row = first(facts).attempts.get_mut(&0).unwrap().last_mut().unwrap();
        row.outcome = AttemptOutcome::Errored;
    });
    assert!(wrong.contains(&"wrong") && wrong.contains(&"lost"), "{wrong:?}");
    let twice = found(|_, facts| {
        let rows = first(facts).attempts.get_mut(&0).unwrap();
        let again = Attempt { number: 9, ..rows[0] };
        rows.push(again);
    });
    assert!(twice.contains(&"wrong"), "{twice:?}");
    let stray = found(|_, facts| {
        let rows = first(facts).attempts[&0].clone();
        first(facts).attempts.insert(77, rows);
    });
    assert!(stray.contains(&"stray"), "{stray:?}");
}

#[test]
fn a_poisoned_test_may_be_errored_and_no_other() {
    let errored = |facts: &mut RunFacts| {
        let row = Attempt { number: 1, outcome: AttemptOutcome::Errored, is_final: true };
        first(facts).attempts.insert(0, vec![row]);
        first(facts).acknowledged.retain(|(ordinal, ..)| *ordinal != 0);
    };
    assert!(found(|_, facts| errored(facts)).contains(&"wrong"));
    let poisoned = found(|_, facts| {
        errored(facts);
        first(facts).poisoned.insert(0);
    });
    assert!(!poisoned.contains(&"wrong") && poisoned.contains(&"verdict"), "{poisoned:?}");
}

#[test]
fn two_ends_and_an_abort_that_was_answered_otherwise_are_found() {
    let two = found(|_, facts| first(facts).terminals.push("PASSED".to_owned()));
    assert!(two.contains(&"terminals"), "{two:?}");
    let none = found(|_, facts| first(facts).terminals.clear());
    assert!(none.contains(&"terminals"), "{none:?}");
    let unheard = found(|record, _| {
        record.aborts.push(AbortRecord { generation: 1, aborted: true });
    });
    assert_eq!(unheard, ["abort"]);
}

#[test]
fn a_log_with_a_gap_an_open_shard_and_a_run_that_goes_on_are_found() {
    assert_eq!(found(|_, facts| facts.revisions = vec![1, 3]), ["gap"]);
    assert_eq!(found(|_, facts| facts.open_shard_count = 1), ["open"]);
    assert_eq!(found(|_, facts| facts.open_shards = 1), ["open"]);
    assert_eq!(found(|_, facts| facts.state = "RUNNING".to_owned()), ["stuck"]);
    assert_eq!(found(|_, facts| facts.generation = 2), ["generation"]);
    assert_eq!(found(|record, _| record.trouble.push("x".to_owned())), ["outside"]);
}

#[test]
fn a_verdict_a_list_or_a_plan_that_does_not_follow_is_found() {
    let verdict = found(|_, facts| first(facts).verdict.as_mut().unwrap().counts.passed += 1);
    assert_eq!(verdict, ["verdict"]);
    let digest = found(|_, facts| first(facts).verdict.as_mut().unwrap().digest.clear());
    assert_eq!(digest, ["digest"]);
    assert_eq!(found(|_, facts| facts.listed.truncate(3)), ["listed"]);
    assert_eq!(found(|_, facts| facts.listed.push(facts.listed[0])), ["listed"]);
    assert_eq!(found(|_, facts| facts.listed[0].1 = TestOutcome::Skipped), ["listed"]);
    let plan = found(|_, facts| {
        first(facts).planned.insert(5);
    });
    assert!(plan.contains(&"plan"), "{plan:?}");
}

#[test]
fn a_webhook_that_is_missing_doubled_or_says_something_else_is_found() {
    assert_eq!(found(|_, facts| first(facts).calls.clear()), ["webhook"]);
    assert_eq!(found(|_, facts| first(facts).deliveries[0].1 = "DEAD".to_owned()), ["webhook"]);
    assert_eq!(found(|_, facts| first(facts).calls[1].webhook_id.push('x')), ["webhook"]);
    assert_eq!(found(|_, facts| first(facts).calls[1].state.push('x')), ["webhook"]);
    let two = found(|_, facts| {
        let again = ("msg_other".to_owned(), "SUCCEEDED".to_owned());
        first(facts).deliveries.push(again);
    });
    assert_eq!(two, ["webhook"]);
}
