//! The one binary: the CLI, each service alone, and all of them in one process.
//!
//! Owns the command line (names, defaults, exit codes), the embedded mesh of `gauntlet up`, what a person and a CI job see
//! of a run (progress, summary, `--json`, `JUnit`), and the demo site. It decides nothing about runs: verdicts come from the
//! mesh, and the CLI only tells them. A crash of a client loses nothing: the run goes on, and `gauntlet wait` finds it.
//!
//! Reading order: [`main`] → `cli` (what was asked) → one module per command. The contract with users is `docs/cli.md`.
//!
//! # Adding a command
//! Add its arguments to `cli`, a module that returns an exit or a `Failure`, a line in `commands::dispatch`, and its
//! description with exit codes to `docs/cli.md`.

mod artifacts;
mod audit;
mod cli;
mod client;
mod commands;
mod demo;
mod endpoint;
mod environment;
mod export;
mod failure;
mod follow;
mod import;
mod names;
mod output;
mod report;
mod retry;
mod run;
mod up;

use clap::{CommandFactory as _, FromArgMatches as _, parser::ValueSource};
use gauntlet_runtime::Exit;
use std::process::ExitCode;
use tracing::Instrument as _;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    // The supervisor must work when everything else does not: no parser, no async runtime.
    match args.split_first() {
        Some((command, order)) if command == "supervise" => {
            gauntlet_browser::supervise_main(order.iter().cloned())
        }
        _ => gauntlet_runtime::main(program),
    }
}

async fn program() -> anyhow::Result<Exit> {
    let matches = match cli::Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return Ok(output::parser_message(&error)),
    };
    let mut cli = cli::Cli::from_arg_matches(&matches)?;
    // A client's terminal belongs to its own output; only what needs attention is logged beside it.
    if !cli.command.is_service() && matches.value_source("log") == Some(ValueSource::DefaultValue) {
        cli.telemetry.log = cli::CLIENT_LOG.to_owned();
    }
    let service_name = cli.command.service_name();
    if let Err(error) = gauntlet_runtime::telemetry::init(&cli.telemetry, service_name) {
        output::error(&gauntlet_runtime::error_chain(&error));
        return Ok(Exit::BadConfig);
    }
    // One trace for all calls of a command; a service lives too long to be one, its calls have their own.
    let span = match cli.command.is_service() {
        true => tracing::Span::none(),
        false => tracing::info_span!("command", otel.kind = "client"),
    };
    match commands::dispatch(cli.command).instrument(span).await {
        Ok(exit) => Ok(exit),
        Err(failure) => {
            output::error(&failure.to_string());
            Ok(failure.exit())
        }
    }
}
