//! What a person reads at the end of a run: the verdict first, then every failure with what is needed to find it.

use super::{Report, ReportedTest};
use crate::names;
use gauntlet_proto::v1;

/// Failures told in full; the rest is counted, `--json` has them all.
const FAILURES_MAX: usize = 50;
/// Steps besides the one that failed that are told of a test.
const OTHER_STEPS_MAX: usize = 5;
/// A longer text is cut: it may be a whole page.
const TEXT_CHARS_MAX: usize = 500;

/// Returns the summary.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let troubled: Vec<_> = report.tests.iter().filter(|test| is_trouble(test)).collect();
    for test in troubled.iter().take(FAILURES_MAX) {
        text.push_str(&failure(test));
    }
    if troubled.len() > FAILURES_MAX {
        text.push_str(&format!("… and {} more\n\n", troubled.len() - FAILURES_MAX));
    }
    text.push_str(&headline(report));
    text
}

/// Returns the facts of a failure, one a line, empty ones left out.
pub(crate) fn details(failure: &v1::Failure) -> Vec<String> {
    let step = match failure.step_index {
        index if index < 0 => "before the first step".to_owned(),
        index => format!("{} (index {index}) {}", index + 1, failure.step_type),
    };
    let facts = [
        ("step", step),
        ("selector", failure.selector.clone()),
        ("expected", failure.expected.clone()),
        ("found", failure.found.clone()),
        ("class", failure.failure_class.clone()),
        ("message", failure.message.clone()),
    ];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    facts.map(|(name, value)| format!("{name}: {}", cut(&value))).collect()
}

/// Returns what else is worth knowing about the steps of an attempt that failed, one a line.
pub(crate) fn steps(attempt: &v1::Attempt) -> Vec<String> {
    let failed_at = attempt.failure.as_ref().map_or(-1, |failure| failure.step_index);
    let describe = |step: &v1::StepResult| {
        let v1::StepResult { index, r#type, label, problem, .. } = step;
        let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
        cut(&format!("step {} {type}{label}: {problem}", index + 1))
    };
    let of = |outcome, word: &str| -> Vec<String> {
        let others = attempt.steps.iter().filter(|step| step.outcome() == outcome);
        let others = others.filter(|step| step.index != failed_at);
        others.map(|step| format!("{word}: {}", describe(step))).collect()
    };
    let label = attempt.steps.iter().rev().find(|step| step.index == failed_at);
    let label = label.map(|step| step.label.as_str()).filter(|label| !label.is_empty());
    let mut lines = of(v1::StepOutcome::Failed, "failed too");
    lines.extend(of(v1::StepOutcome::Skipped, "skipped"));
    let more = lines.len().saturating_sub(OTHER_STEPS_MAX);
    lines.truncate(OTHER_STEPS_MAX);
    lines.extend((more > 0).then(|| format!("… and {more} more such steps")));
    label.map(|label| format!("at: {}", cut(label))).into_iter().chain(lines).collect()
}

fn is_trouble(test: &ReportedTest) -> bool {
    match test.outcome {
        v1::TestOutcome::Failed | v1::TestOutcome::TimedOut | v1::TestOutcome::Errored => true,
        v1::TestOutcome::Passed
        | v1::TestOutcome::Flaky
        | v1::TestOutcome::Skipped
        | v1::TestOutcome::NotRun
        | v1::TestOutcome::Unspecified => false,
    }
}

fn failure(test: &ReportedTest) -> String {
    let outcome = names::outcome(test.outcome).replace('_', " ");
    let mut text = format!("{outcome}  {}  {:?}", test.planned.file, test.planned.name);
    if test.attempts.len() > 1 {
        text.push_str(&format!("  ({} attempts)", test.attempts.len()));
    }
    text.push('\n');
    let attempt = test.failed_attempt();
    let failure = attempt.and_then(|attempt| attempt.failure.as_ref());
    let lines = failure.map(details).unwrap_or_default();
    for line in lines.into_iter().chain(attempt.map(steps).unwrap_or_default()) {
        text.push_str(&format!("    {line}\n"));
    }
    if let Some(path) = &test.screenshot {
        text.push_str(&format!("    screenshot: {path}\n"));
    }
    text.push('\n');
    text
}

fn headline(report: &Report) -> String {
    let run = &report.run;
    let state = names::state(run.state());
    let counts = names::counts(&report.counts());
    let mut text = format!("{state}: {counts}, of {}", names::counted(run.test_count, "test"));
    if let Some(duration) = report.duration() {
        text.push_str(&format!(" in {:.1} s", duration.as_secs_f64()));
    }
    let shards = names::counted(run.shard_count, "shard");
    let generation = match run.generation {
        ..=1 => String::new(),
        generation => format!(" generation {generation}"),
    };
    text.push_str(&format!(" ({shards}, run {}{generation})", run.run_id));
    if let Some(reason) = report.reason() {
        text.push_str(&format!("\nreason: {reason}"));
    }
    text
}

/// One line, of a bounded length.
fn cut(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::sample;

    #[test]
    fn a_person_reads_what_failed_and_where() {
        assert_eq!(super::render(&sample()) + "\n", include_str!("golden/summary.txt"));
    }
}
