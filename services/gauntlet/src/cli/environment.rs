//! Arguments of `environment`.

use super::TargetArgs;
use super::values::pair;
use clap::{Args, Subcommand};

/// What to do with environments.
#[derive(Subcommand, Debug)]
pub(crate) enum EnvironmentCommand {
    /// Create an environment, or put it in the place of the one before. Its secrets stay unless they are removed.
    Put(PutArgs),
    /// List the environments of a project: variables with their values, secrets by their names.
    List(ListArgs),
}

/// Arguments of `environment put`.
#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// Name, unique in the project.
    pub(crate) name: String,
    /// Project it belongs to.
    #[arg(long, default_value = "default")]
    pub(crate) project: String,
    /// Origin to aim recordings at; without it they keep their own.
    #[arg(long, default_value = "")]
    pub(crate) base_url: String,
    /// Value for `${NAME}` in recordings, as NAME=VALUE; can be repeated. Those not named are removed.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) variables: Vec<(String, String)>,
    /// Secret for `${NAME}`, as NAME=FILE; can be repeated. FILE holds the value, `-` reads it from standard input; one line
    /// end at its end does not belong to it.
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = pair)]
    pub(crate) secrets: Vec<(String, String)>,
    /// Secret to forget; can be repeated.
    #[arg(long = "remove-secret", value_name = "NAME")]
    pub(crate) removed: Vec<String>,
    /// Host that its pages may reach, and no other that is not named so: a name, *.name, an address or a network, perhaps with
    /// a port; can be repeated. Those not named are removed.
    #[arg(long = "egress-allow", value_name = "HOST")]
    pub(crate) egress_allow: Vec<String>,
    /// Host that its pages may not reach; can be repeated. Those not named are removed.
    #[arg(long = "egress-deny", value_name = "HOST")]
    pub(crate) egress_deny: Vec<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `environment list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Project they belong to.
    #[arg(long, default_value = "default")]
    pub(crate) project: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}
