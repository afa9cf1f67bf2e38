//! Arguments of `retry`, and which tests they mean.

use super::TargetArgs;
use super::run::ReportArgs;
use clap::Args;
use gauntlet_proto::v1::TestOutcome;

/// Arguments of `retry`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet retry 0190a0a0-…                        all tests that did not pass
  gauntlet retry 0190a0a0-… --errored --not-run    what the infrastructure took
  gauntlet retry 0190a0a0-… --test \"log in\" --shards 2

The tests run again as the next generation of the same run; every other result stays, and the verdict is over all of them.
The first Ctrl-C aborts the retry, the second exits at once. Exit codes are those of `run`.")]
pub(crate) struct RetryArgs {
    /// The run; it must have ended.
    pub(crate) run_id: String,
    /// Tests that failed or timed out.
    #[arg(long)]
    pub(crate) failed: bool,
    /// Tests that an infrastructure error ended.
    #[arg(long)]
    pub(crate) errored: bool,
    /// Tests that were planned, but not run.
    #[arg(long)]
    pub(crate) not_run: bool,
    /// Tests that an abort or a stop left out.
    #[arg(long)]
    pub(crate) skipped: bool,
    /// All of these: the default.
    #[arg(long)]
    pub(crate) all_unpassed: bool,
    /// This test by its name or file, however it ended; can be repeated.
    #[arg(long = "test", value_name = "NAME",
          conflicts_with_all = ["failed", "errored", "not_run", "skipped", "all_unpassed"])]
    pub(crate) tests: Vec<String>,
    /// Parts that run on executors independently; default: as many as the run asked for.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
    /// Print the run's id and return at once.
    #[arg(long, conflicts_with_all = ["junit", "json"])]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

impl RetryArgs {
    /// Returns whether a test that ended so runs again.
    pub(crate) fn takes(&self, outcome: TestOutcome) -> bool {
        let Self { failed, errored, not_run, skipped, .. } = *self;
        let all = self.all_unpassed || !(failed || errored || not_run || skipped);
        match outcome {
            TestOutcome::Failed | TestOutcome::TimedOut => all || failed,
            TestOutcome::Errored => all || errored,
            TestOutcome::NotRun => all || not_run,
            TestOutcome::Skipped => all || skipped,
            TestOutcome::Passed | TestOutcome::Flaky | TestOutcome::Unspecified => false,
        }
    }
}
