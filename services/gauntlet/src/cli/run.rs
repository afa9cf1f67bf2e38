//! Arguments of `run`, and the request they make.

use super::emulation::EmulationArgs;
use super::values::{
    Browser, Dialogs, Isolation, Keep, OnInfraFailure, Screenshots, Timing, duration, pair, speed,
};
use super::{FilesArgs, TargetArgs};
use clap::{Args, ValueHint};
use gauntlet_proto::{edge::wire_duration, v1};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet run examples/demo --demo --shards 4
  gauntlet run recordings/ --shards 8 --workers 2 --base-url https://pr-7.preview.example
  gauntlet run --tag smoke --environment staging --retries 1 --junit report.xml
  gauntlet run recordings/ --detach            print the run's id and return; then: gauntlet wait ID

Without --server and without a mesh on --data-dir, `run` starts an ephemeral mesh for itself.
The first Ctrl-C aborts the run, the second exits at once.

Exit codes: 0 passed, 1 tests or gates failed, 2 usage or import error, 3 infrastructure error, 4 aborted.")]
pub(crate) struct RunArgs {
    /// Recordings, or folders of them: imported, then run in this order. Without any, stored tests run.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, conflicts_with_all = ["test_ids", "tags"])]
    pub(crate) paths: Vec<PathBuf>,
    /// Run this stored test; can be repeated, order is kept.
    #[arg(long = "test-id", value_name = "ID", conflicts_with = "tags")]
    pub(crate) test_ids: Vec<String>,
    /// Run the stored tests with this label; repeated: with all of them.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Project of the tests.
    #[arg(long, default_value = "default")]
    pub(crate) project: String,
    /// Test that signs in, a recording or the id of a stored test; the others begin with the cookies and local storage it left.
    #[arg(long, value_name = "PATH|ID")]
    pub(crate) sign_in: Option<String>,
    /// Environment of the project: its base URL and variables.
    #[arg(long, default_value = "")]
    pub(crate) environment: String,
    #[command(flatten)]
    pub(crate) options: OptionArgs,
    /// URL that gets one signed POST when the run has ended.
    #[arg(long, value_name = "URL", default_value = "")]
    pub(crate) callback_url: String,
    /// Free-form label such as commit=abc; can be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) labels: Vec<(String, String)>,
    /// Print the run's id and return at once. Needs a running mesh.
    #[arg(long, conflicts_with_all = ["junit", "json"])]
    pub(crate) detach: bool,
    /// Executors of the mesh that this command starts for itself.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) executors: u16,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// Serve the demo site on a free port and aim the tests at it.
    #[arg(long, conflicts_with_all = ["base_url", "detach"])]
    pub(crate) demo: bool,
    /// Set by CI systems; marks the run as triggered by one.
    #[arg(long, env = "CI", hide = true)]
    pub(crate) ci: Option<String>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// How tests are executed.
#[derive(Args, Debug)]
pub(crate) struct OptionArgs {
    /// Parts that run on executors independently.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: u16,
    /// Tests run at once within a shard.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    pub(crate) workers: u16,
    /// Browser to drive.
    #[arg(long, value_enum, default_value_t = Browser::Chromium)]
    pub(crate) browser: Browser,
    /// Show the browser's window; needs a display at the executors.
    #[arg(long)]
    pub(crate) headed: bool,
    /// Aim recordings with absolute URLs at this origin.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Value of ${KEY} in recordings; can be repeated.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) variables: Vec<(String, String)>,
    /// Retries of a failed test.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=10))]
    pub(crate) retries: u8,
    /// Limit of one attempt of a test, such as 30s or 2m; default 5m.
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Stop the run once so many tests have failed; without a number: one.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(crate) fail_fast: Option<i32>,
    /// Stop the run after this time, such as 30m; default: none.
    #[arg(long, value_parser = duration)]
    pub(crate) run_timeout: Option<Duration>,
    /// What an infrastructure failure of one shard does to the run.
    #[arg(long, value_enum, default_value_t = OnInfraFailure::Continue)]
    pub(crate) on_infra_failure: OnInfraFailure,
    /// What to do with alert, confirm and prompt.
    #[arg(long, value_enum, default_value_t = Dialogs::Accept)]
    pub(crate) dialogs: Dialogs,
    /// Also compare the URL and title that a recording saw after a navigation.
    #[arg(long)]
    pub(crate) strict_navigation: bool,
    /// What keeps tests apart: a context of its own for each, or one that is cleared between them.
    #[arg(long, value_enum, default_value_t = Isolation::Context)]
    pub(crate) isolation: Isolation,
    /// When pictures of the page are taken.
    #[arg(long, value_enum, default_value_t = Screenshots::OnFailure)]
    pub(crate) screenshots: Screenshots,
    /// Which attempts keep a film of them. Not webkit; the executors need ffmpeg.
    #[arg(long, value_enum, default_value_t = Keep::Off)]
    pub(crate) video: Keep,
    /// Which attempts keep what pages wrote to the console and fetched. Default: on-failure, where the browser tells them.
    #[arg(long, value_enum)]
    pub(crate) logs: Option<Keep>,
    /// How much of the pauses between recorded steps is waited again: all, a quarter, or none.
    #[arg(long, value_enum, default_value_t = Timing::Instant)]
    pub(crate) timing: Timing,
    /// How many times faster than that; 0.1 to 10.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    #[command(flatten)]
    pub(crate) emulation: EmulationArgs,
}

/// What is written about a finished run.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// Write `JUnit` XML to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the JSON document to this file, or with none to standard output (the summary then goes to standard error).
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) json: Option<Option<PathBuf>>,
    /// Where screenshots of failures are saved, in a folder per run.
    #[arg(long, value_name = "DIR", default_value = "gauntlet-report")]
    pub(crate) report_dir: PathBuf,
}

impl RunArgs {
    /// Returns the request; `test_ids` are those of imported paths, or those that were named.
    pub(crate) fn request(
        &self,
        request_id: String,
        test_ids: Vec<String>,
        sign_in: Option<String>,
    ) -> v1::TriggerRunRequest {
        let sign_in = sign_in.map(|test_id| v1::SignIn { test_id, ..Default::default() });
        v1::TriggerRunRequest {
            request_id,
            project: self.project.clone(),
            environment: self.environment.clone(),
            selection: Some(v1::TestSelection {
                test_ids,
                tags: self.tags.clone(),
                include_drafts: false,
            }),
            options: Some(v1::RunOptions { sign_in, ..self.options.wire() }),
            trigger: Some(v1::Trigger {
                triggered_by: self.triggered_by() as i32,
                callback_url: self.callback_url.clone(),
                labels: self.labels.iter().cloned().collect(),
            }),
        }
    }

    fn triggered_by(&self) -> v1::TriggeredBy {
        match self.ci.as_deref() {
            None | Some("" | "0" | "false") => v1::TriggeredBy::Manual,
            Some(_) => v1::TriggeredBy::Ci,
        }
    }
}

impl OptionArgs {
    fn wire(&self) -> v1::RunOptions {
        v1::RunOptions {
            shards: self.shards.into(),
            workers: self.workers.into(),
            browser: v1::Browser::from(self.browser) as i32,
            headed: self.headed,
            base_url: self.base_url.clone().unwrap_or_default(),
            variables: self.variables.iter().cloned().collect(),
            retries: self.retries.into(),
            test_timeout: self.timeout.map(wire_duration),
            on_infra_failure: v1::OnInfraFailure::from(self.on_infra_failure) as i32,
            dialog_policy: v1::DialogPolicy::from(self.dialogs) as i32,
            screenshots: v1::ScreenshotMode::from(self.screenshots) as i32,
            stop_after_failures: self.fail_fast.unwrap_or(0),
            run_timeout: self.run_timeout.map(wire_duration),
            emulation: self.emulation.wire(),
            strict_navigation: self.strict_navigation,
            isolation: v1::Isolation::from(self.isolation) as i32,
            video: v1::VideoMode::from(self.video) as i32,
            logs: self.logs.map_or(v1::LogMode::Unspecified, Into::into) as i32,
            timing: v1::TimingMode::from(self.timing) as i32,
            speed: self.speed,
            sign_in: None,
            // The environment's.
            egress: None,
        }
    }
}
