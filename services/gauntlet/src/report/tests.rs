//! The report that the renderers' golden files are made of, and the merge rules.

use super::*;
use pbjson_types::{Duration as WireDuration, Timestamp as WireTimestamp};

fn planned(ordinal: i32, file: &str, name: &str) -> v1::PlannedTest {
    v1::PlannedTest {
        ordinal,
        test_id: format!("t{ordinal}"),
        revision_hash: String::new(),
        name: name.to_owned(),
        file: file.to_owned(),
        shard_index: ordinal % 2,
    }
}

fn attempt(ordinal: i32, number: i32, failure: Option<v1::Failure>) -> v1::Attempt {
    v1::Attempt {
        ordinal,
        attempt: number,
        duration: Some(WireDuration { seconds: 1, nanos: 250_000_000 }),
        failure,
        executor: "executor-1".to_owned(),
        ..v1::Attempt::default()
    }
}

/// Gives an attempt steps that did not do what they should without ending it.
fn soft(attempt: v1::Attempt) -> v1::Attempt {
    let step = |index, outcome: v1::StepOutcome, label: &str, problem: &str| v1::StepResult {
        index,
        r#type: "click".to_owned(),
        label: label.to_owned(),
        outcome: outcome as i32,
        problem: problem.to_owned(),
        ..v1::StepResult::default()
    };
    let steps = vec![
        step(0, v1::StepOutcome::Passed, "open", ""),
        step(1, v1::StepOutcome::Skipped, "", "no banner to close"),
        step(4, v1::StepOutcome::Failed, "basket › 5 total", "the total is wrong"),
        step(6, v1::StepOutcome::Failed, "basket › 7 tax", "the tax is wrong"),
    ];
    v1::Attempt { steps, ..attempt }
}

fn wrong_text() -> v1::Failure {
    v1::Failure {
        step_index: 4,
        step_type: "waitForElement".to_owned(),
        selector: "#total".to_owned(),
        expected: "12 <EUR> & \"more\"".to_owned(),
        found: "11\u{1b}[31m EUR".to_owned(),
        failure_class: "ASSERTION".to_owned(),
        message: "the total is wrong".to_owned(),
    }
}

fn result(ordinal: i32, outcome: v1::TestOutcome, attempts: Vec<v1::Attempt>) -> v1::TestResult {
    v1::TestResult { ordinal, outcome: outcome as i32, skip_reason: String::new(), attempts }
}

fn run(state: v1::RunState) -> v1::Run {
    v1::Run {
        generation: 1,
        run_id: "0190a0a0-0000-7000-8000-000000000001".to_owned(),
        project: "default".to_owned(),
        state: state as i32,
        test_count: 5,
        shard_count: 2,
        verdict: Some(v1::Verdict { digest: "ab12".to_owned(), ..v1::Verdict::default() }),
        create_time: Some(WireTimestamp { seconds: 1_700_000_000, nanos: 0 }),
        finish_time: Some(WireTimestamp { seconds: 1_700_000_012, nanos: 500_000_000 }),
        ..v1::Run::default()
    }
}

/// A failed run with a test of each kind.
pub(crate) fn sample() -> Report {
    let tests = vec![
        planned(4, "shop/pay.json", "pay"),
        planned(0, "login.json", "log in"),
        planned(1, "login.json", "log in twice"),
        planned(2, "shop/basket.json", "fill a <basket>"),
        planned(3, "shop/basket.json", "never started"),
    ];
    let results = vec![
        result(0, v1::TestOutcome::Passed, vec![attempt(0, 1, None)]),
        result(
            1,
            v1::TestOutcome::Flaky,
            vec![attempt(1, 1, Some(wrong_text())), attempt(1, 2, None)],
        ),
        result(2, v1::TestOutcome::Failed, vec![soft(attempt(2, 1, Some(wrong_text())))]),
        v1::TestResult {
            skip_reason: "POISON".to_owned(),
            ..result(4, v1::TestOutcome::Skipped, Vec::new())
        },
    ];
    let mut report = merge(run(v1::RunState::Failed), tests, results);
    report.tests[2].screenshot = Some("gauntlet-report/r/0002-fill.png".to_owned());
    report
}

#[test]
fn every_planned_test_is_told_once_and_in_order() {
    let report = sample();
    let ordinals: Vec<_> = report.tests.iter().map(|test| test.planned.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4]);
    assert_eq!(names::ended(&report.counts()), 5);
}

#[test]
fn a_test_without_a_result_is_told_by_how_the_run_ended() {
    for (state, outcome, reason) in [
        (v1::RunState::Aborted, v1::TestOutcome::Skipped, "ABORTED"),
        (v1::RunState::Errored, v1::TestOutcome::NotRun, ""),
        (v1::RunState::Running, v1::TestOutcome::Unspecified, ""),
    ] {
        let report = merge(run(state), vec![planned(0, "a", "b")], Vec::new());
        let test = &report.tests[0];
        assert_eq!((test.outcome, test.skip_reason.as_str()), (outcome, reason));
    }
}

/// Writes the golden files anew: `cargo test -p gauntlet -- --ignored golden`; read the difference before committing it.
#[test]
#[ignore = "changes files of this repository"]
fn golden_files_are_written() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/golden"));
    let report = sample();
    let files = [
        ("report.json", document::Document::new(&report).render()),
        ("report.xml", junit::render(&report)),
        ("summary.txt", summary::render(&report) + "\n"),
    ];
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
}
