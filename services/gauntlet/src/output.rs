//! The only place that writes to standard output and standard error.
//!
//! Results go to standard output, everything about the way there to standard error. A reader that went away (a closed
//! pipe) is no reason to fail or to panic, so write errors are ignored.

use gauntlet_runtime::Exit;
use std::io::Write as _;

/// Writes one line (or several) of a command's result.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Writes a remark about what is going on.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes why a command failed.
pub(crate) fn error(text: &str) {
    note(&format!("error: {text}"));
}

/// Writes what the argument parser has to say: help to standard output (exit 0), a usage error to standard error (exit 2).
pub(crate) fn parser_message(message: &clap::Error) -> Exit {
    let _ = message.print();
    if message.use_stderr() { Exit::BadConfig } else { Exit::Clean }
}
