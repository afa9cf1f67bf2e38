//! The command line: what can be asked for. Owns names, defaults and help; carries nothing out.

pub(crate) mod artifacts;
mod emulation;
pub(crate) mod environment;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod values;

use crate::endpoint::{DATA_DIR, GATEWAY_PORT};
use clap::{Args, Parser, Subcommand};
use gauntlet_runtime::telemetry::TelemetryArgs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// What a client logs unless it is told otherwise.
pub(crate) const CLIENT_LOG: &str = "error";

const EXAMPLES: &str = "\
Examples:
  gauntlet run examples/demo --demo --shards 4    run the demo on a mesh of its own
  gauntlet up --executors 2                       start a mesh that stays
  gauntlet run recordings/ --base-url https://preview.example --junit report.xml
  gauntlet list

Exit codes: 0 passed, 1 tests or gates failed, 2 usage or import error, 3 infrastructure error, 4 aborted.";

/// Runs browser tests on a mesh of executors.
#[derive(Parser, Debug)]
#[command(name = "gauntlet", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run tests and wait for the verdict.
    Run(Box<run::RunArgs>),
    /// Run tests of a run that has ended again, and wait for the verdict over all its tests.
    Retry(Box<retry::RetryArgs>),
    /// Start the whole mesh in this process, with a Postgres and a Redis of its own.
    Up(UpArgs),
    /// Check recordings and store them as tests.
    Import(ImportArgs),
    /// Print recordings of any format as Gauntlet flows (YAML).
    Export(ExportArgs),
    /// Wait for a run and report it as `run` does.
    Wait(WaitArgs),
    /// Print a run's events as they happen.
    Watch(RunIdArgs),
    /// Show a run and its tests.
    Get(GetArgs),
    /// List runs, newest first.
    List(ListArgs),
    /// Abort a run.
    Abort(AbortArgs),
    /// Store and list environments: base URL, variables and secrets.
    #[command(subcommand)]
    Environment(environment::EnvironmentCommand),
    /// List and save what a run has kept: screenshots, videos, logs, timelines.
    #[command(subcommand)]
    Artifacts(artifacts::ArtifactsCommand),
    /// Tell whether the mesh keeps its invariants.
    Audit(AuditArgs),
    /// Serve the demo site alone.
    Demo(DemoArgs),
    /// Run one service alone, as on a cluster.
    #[command(subcommand)]
    Serve(Box<ServeCommand>),
    /// Bring the database to this program's version.
    Migrate(MigrateArgs),
}

impl Command {
    /// Returns whether the command serves others, so that its log is its output.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Serve(_) | Self::Migrate(_) | Self::Demo(_))
    }

    /// Returns what the process is called in its traces.
    pub(crate) fn service_name(&self) -> &'static str {
        let Self::Serve(service) = self else { return "gauntlet" };
        match service.as_ref() {
            ServeCommand::Scheduler(_) => "gauntlet-scheduler",
            ServeCommand::Results(_) => "gauntlet-results",
            ServeCommand::Notifier(_) => "gauntlet-notifier",
            ServeCommand::Gateway(_) => "gauntlet-gateway",
            ServeCommand::Executor(_) => "gauntlet-executor",
        }
    }
}

/// Which mesh a command talks to.
#[derive(Args, Debug, Clone)]
pub(crate) struct TargetArgs {
    /// The gateway of a running mesh, such as http://127.0.0.1:7430; without it the mesh of --data-dir, if one runs.
    #[arg(long, env = "GAUNTLET_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// Where an embedded mesh keeps its data.
#[derive(Args, Debug, Clone)]
pub(crate) struct DataArgs {
    /// The data folder of `gauntlet up`; its endpoints are found there.
    #[arg(long, env = "GAUNTLET_DATA_DIR", default_value = DATA_DIR, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
}

/// Arguments of `up`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet up                              one executor, gateway on 127.0.0.1:7430, data in .gauntlet
  gauntlet up --executors 2 --slots 4      eight tests at once
  gauntlet up --ephemeral                  nothing is kept, free port

The first Ctrl-C drains: running tests finish, then everything stops. The second stops at once.")]
pub(crate) struct UpArgs {
    /// How many executors to start.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) executors: u16,
    /// Tests that one executor runs at once; the default follows the machine.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) slots: Option<u16>,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// Keep nothing: data goes to a temporary folder that is removed, and the gateway takes a free port.
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Serve the demo site too.
    #[arg(long)]
    pub(crate) demo: bool,
    /// Where the gateway listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) data: UpDataArgs,
}

/// What executors of a mesh in this process may read.
#[derive(Args, Debug)]
pub(crate) struct FilesArgs {
    /// Folder whose files tests may give to pages, for executors that this command starts; none when not set.
    #[arg(long, env = "GAUNTLET_EXECUTOR_FILES_DIR", value_name = "DIR", value_parser = values::folder)]
    pub(crate) files_dir: Option<PathBuf>,
}

/// Where `up` keeps its data; no default here, since an ephemeral mesh must not take the usual folder.
#[derive(Args, Debug)]
pub(crate) struct UpDataArgs {
    /// The data folder; made if it is absent. Default: .gauntlet, or a temporary folder with --ephemeral.
    #[arg(long, env = "GAUNTLET_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl UpArgs {
    /// Returns where the gateway listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        let port = if self.ephemeral { 0 } else { GATEWAY_PORT };
        self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, port).into())
    }
}

/// Arguments of `import`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet import recordings/ --tag smoke
  gauntlet import login.side --check      only check: which browser performs which step how

Either every recording is stored or none: all problems of all files are told at once (exit 2).")]
pub(crate) struct ImportArgs {
    /// Recordings, or folders of them: Chrome DevTools Recorder JSON, Selenium IDE (.side), Gauntlet flows (.yaml).
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Project to store them in.
    #[arg(long, default_value = "default")]
    pub(crate) project: String,
    /// Store them as drafts, which do not run by default.
    #[arg(long)]
    pub(crate) draft: bool,
    /// Label of the tests; can be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Only check the recordings, and print for every step how each browser performs it; nothing is sent.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet export login.side > login.yaml    one YAML stream, a document for each test
  gauntlet export --schema                   the JSON Schema of the format, for editors")]
pub(crate) struct ExportArgs {
    /// Recordings of any format, or folders of them.
    #[arg(required_unless_present = "schema", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Print the JSON Schema of Gauntlet flows instead.
    #[arg(long, conflicts_with = "paths")]
    pub(crate) schema: bool,
}

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub(crate) struct RunIdArgs {
    /// The run.
    pub(crate) run_id: String,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `wait`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  gauntlet wait 0190a0a0-… --junit report.xml\n\nCtrl-C ends the wait, not the run."
)]
pub(crate) struct WaitArgs {
    /// The run.
    pub(crate) run_id: String,
    #[command(flatten)]
    pub(crate) report: run::ReportArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The run.
    pub(crate) run_id: String,
    /// Print the same document as `run --json`; tests that have not ended are `pending`.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Only runs of this project.
    #[arg(long, default_value = "")]
    pub(crate) project: String,
    /// Only runs in this state; can be repeated.
    #[arg(long = "state", value_enum, ignore_case = true)]
    pub(crate) states: Vec<values::State>,
    /// Most runs to list.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `abort`.
#[derive(Args, Debug)]
pub(crate) struct AbortArgs {
    /// The run.
    pub(crate) run_id: String,
    /// The generation to abort; without it, the one that the run is in. One that has ended is left as it ended.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) generation: Option<i32>,
    /// Why, for those who read the run later.
    #[arg(long, default_value = "aborted by hand")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `audit`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 every invariant holds, 1 some do not, 3 the mesh is away.")]
pub(crate) struct AuditArgs {
    /// A run to audit now; without it, what the continuous audit has found is told.
    pub(crate) run_id: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Where to serve it; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7431", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// Where Postgres is: `postgres://user:password@host:5432/database`.
    #[arg(long, env = "GAUNTLET_PG_URL", hide_env_values = true)]
    pub(crate) pg_url: Option<String>,
    /// File that holds the URL, for a mounted secret.
    #[arg(long, env = "GAUNTLET_PG_URL_FILE", conflicts_with = "pg_url")]
    pub(crate) pg_url_file: Option<PathBuf>,
}

/// The services that can run alone.
#[derive(Subcommand, Debug)]
pub(crate) enum ServeCommand {
    /// Control plane: runs, shards, leases, the catalog of tests.
    Scheduler(gauntlet_scheduler::Args),
    /// Data plane: attempts, artifacts, verdicts.
    Results(Box<gauntlet_results::Args>),
    /// Egress: one signed webhook per finished run.
    Notifier(gauntlet_notifier::Args),
    /// The public face of the mesh: gRPC and gRPC-Web for clients.
    Gateway(gauntlet_gateway::Args),
    /// Runs tests in browsers.
    Executor(Box<gauntlet_executor::Args>),
}

#[cfg(test)]
mod tests;
