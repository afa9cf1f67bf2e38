//! Arguments of `artifacts`.

use super::TargetArgs;
use clap::{Args, Subcommand, ValueEnum};
use gauntlet_proto::v1;
use std::path::PathBuf;

/// What can be done with the artifacts of a run.
#[derive(Subcommand, Debug)]
pub(crate) enum ArtifactsCommand {
    /// List what the attempts of a run have kept.
    List(ListArgs),
    /// Save it to files.
    Get(GetArgs),
}

/// Which artifacts.
#[derive(Args, Debug)]
pub(crate) struct WhichArgs {
    /// The run.
    pub(crate) run_id: String,
    /// Only tests of this name or file; can be repeated.
    #[arg(value_name = "TEST")]
    pub(crate) tests: Vec<String>,
    /// Only artifacts of this kind; can be repeated.
    #[arg(long = "kind", value_enum)]
    pub(crate) kinds: Vec<Kind>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `artifacts list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

/// Arguments of `artifacts get`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  gauntlet artifacts get 0190a0a0-…                        everything that the run has kept
  gauntlet artifacts get 0190a0a0-… checkout --kind video   the videos of one test

Exit codes: 0 all that was chosen is saved, 1 some is not (each is told, with why), 2 usage error, 3 infrastructure error.")]
pub(crate) struct GetArgs {
    /// Where to save it, in a folder per run.
    #[arg(long, value_name = "DIR", default_value = "gauntlet-report")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

/// Kinds of artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The page when the test failed.
    Screenshot,
    /// Its HTML.
    PageSource,
    /// What pages wrote to the console.
    Console,
    /// What pages fetched.
    Network,
    /// The page after a step.
    StepScreenshot,
    /// A film of the attempt.
    Video,
    /// What happened when.
    Timeline,
}

impl From<Kind> for v1::ArtifactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Screenshot => Self::Screenshot,
            Kind::PageSource => Self::PageSource,
            Kind::Console => Self::ConsoleLog,
            Kind::Network => Self::NetworkLog,
            Kind::StepScreenshot => Self::StepScreenshot,
            Kind::Video => Self::Video,
            Kind::Timeline => Self::Timeline,
        }
    }
}
