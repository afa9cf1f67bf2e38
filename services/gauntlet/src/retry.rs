//! `gauntlet retry`: tests of a run that has ended, again, as its next generation (A10).
//!
//! Which tests is decided here, from the results; the generation that was looked at travels along, so two who retry at once
//! get one retry. A crash after the request leaves a run that `gauntlet wait` finds.

use crate::cli::retry::RetryArgs;
use crate::commands::mesh_of;
use crate::failure::Failure;
use crate::report::{self, Report};
use crate::{names, output, run};
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;

/// Carries out `gauntlet retry`.
pub(crate) async fn retry(args: RetryArgs) -> Result<Exit, Failure> {
    let signals = run::signals()?;
    let mesh = mesh_of(&args.target).await?;
    let report = report::gather(&mesh, &args.run_id).await?;
    let state = report.run.state();
    if !names::is_terminal(state) {
        let state = names::state(state);
        let why = format!("run {} is {state}: only a run that has ended is retried", args.run_id);
        return Err(Failure::Usage(why));
    }
    let ordinals = ordinals(&report, &args)?;
    if ordinals.is_empty() {
        output::note("no test of the run is to run again");
        return run::finish(&mesh, &args.run_id, &args.report).await;
    }
    let count = i64::try_from(ordinals.len()).unwrap_or(i64::MAX);
    let request = v1::RetryRunRequest {
        run_id: args.run_id.clone(),
        generation: report.run.generation,
        ordinals,
        shards: args.shards.unwrap_or(0).into(),
    };
    let again = mesh.retry_run(request).await?;
    if args.detach {
        output::line(&again.run_id);
        return Ok(Exit::Clean);
    }
    output::note(&format!(
        "run {} generation {}: {} again in {}",
        again.run_id,
        again.generation,
        names::counted(count, "test"),
        names::counted(again.shard_count, "shard")
    ));
    run::follow_and_report(&mesh, &again, &args.report, &signals).await
}

/// Returns the tests to run again, ascending.
fn ordinals(report: &Report, args: &RetryArgs) -> Result<Vec<i32>, Failure> {
    let is = |test: &report::ReportedTest, name: &String| {
        test.planned.name == *name || test.planned.file == *name
    };
    let unknown = args.tests.iter().find(|name| !report.tests.iter().any(|test| is(test, name)));
    if let Some(name) = unknown {
        let run_id = &report.run.run_id;
        return Err(Failure::Usage(format!("run {run_id} has no test {name:?}")));
    }
    let wanted = report.tests.iter().filter(|test| match args.tests.as_slice() {
        [] => args.takes(test.outcome),
        names => names.iter().any(|name| is(test, name)),
    });
    Ok(wanted.map(|test| test.planned.ordinal).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::report::tests::sample;
    use clap::Parser as _;

    fn chosen(flags: &[&str]) -> Result<Vec<i32>, Failure> {
        let cli = Cli::try_parse_from(["gauntlet", "retry", "r"].iter().chain(flags)).unwrap();
        let Command::Retry(args) = cli.command else { panic!("{flags:?}") };
        ordinals(&sample(), &args)
    }

    #[test]
    fn a10_flags_choose_tests_by_how_they_ended_and_names_whatever_they_did() {
        use v1::TestOutcome::{Failed, Flaky, NotRun, Passed, Skipped};
        let report = sample();
        let outcomes: Vec<_> = report.tests.iter().map(|test| test.outcome).collect();
        assert_eq!(outcomes, [Passed, Flaky, Failed, NotRun, Skipped]);
        for (flags, expected) in [
            (&[][..], &[2, 3, 4][..]),
            (&["--all-unpassed"], &[2, 3, 4]),
            (&["--failed"], &[2]),
            (&["--skipped", "--not-run"], &[3, 4]),
            (&["--errored"], &[]),
            (&["--test", &report.tests[0].planned.name], &[0]),
        ] {
            assert_eq!(chosen(flags).unwrap(), expected, "{flags:?}");
        }
        let refused = chosen(&["--test", "no such test"]).unwrap_err();
        assert_eq!(refused.exit(), Exit::Code(2));
    }
}
