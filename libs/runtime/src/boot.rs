//! The whole of a `fn main`.
//!
//! Owns the order of start and end: TLS provider, async runtime, program, telemetry flush. It reads no arguments; the
//! program does. After a crash in the program the telemetry is still flushed, unless the process itself is killed.

use crate::{Exit, error_chain, telemetry};
use std::{process::ExitCode, time::Duration};

/// How long blocking work may hold up the end of the process.
const RUNTIME_STOP_WAIT: Duration = Duration::from_secs(2);

/// Runs `program` on a multi-threaded runtime and turns its end into an exit code; telemetry is flushed last, always.
///
/// An error is reported once, with its sources, and exits 1.
pub fn main<F, Fut>(program: F) -> ExitCode
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = anyhow::Result<Exit>>,
{
    // Refused only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report(&error.into());
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(async {
        let exit = Box::pin(program()).await.unwrap_or_else(|error| {
            report(&error);
            Exit::Failed
        });
        telemetry::flush_installed().await;
        exit
    });
    runtime.shutdown_timeout(RUNTIME_STOP_WAIT);
    exit.into()
}

#[expect(clippy::print_stderr, reason = "without a subscriber a log line would be lost")]
fn report(error: &anyhow::Error) {
    let text = error_chain(error.as_ref());
    if telemetry::is_installed() {
        tracing::error!(error = %text, "program failed");
    } else {
        eprintln!("error: {text}");
    }
}
