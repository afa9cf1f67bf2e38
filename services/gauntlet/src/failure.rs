//! Why a command failed, and the exit code that follows.
//!
//! Owns the table from failure to exit code for everything that is not a verdict, and how an error of the mesh is told to a
//! person. A verdict is never a failure: see `names::exit_of`.

use gauntlet_runtime::Exit;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Usage or import error.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The mesh, the network or this machine failed.
pub(crate) const EXIT_INFRASTRUCTURE: u8 = 3;
/// The run was aborted.
pub(crate) const EXIT_ABORTED: u8 = 4;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked for makes no sense; asking again will not help.
    #[error("{0}")]
    Usage(String),
    /// Recordings cannot be imported: one problem a line.
    #[error("{}", import_text(.0))]
    Import(Vec<String>),
    /// Something around the tests failed; the same command may work later.
    #[error("{0}")]
    Infrastructure(String),
}

impl Failure {
    /// Returns the exit code of the process.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Import(_) => Exit::Code(EXIT_USAGE),
            Self::Infrastructure(_) => Exit::Code(EXIT_INFRASTRUCTURE),
        }
    }

    /// Returns an infrastructure failure that tells `error` with its sources.
    pub(crate) fn infrastructure(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Infrastructure(format!("{what}: {}", gauntlet_runtime::error_chain(error)))
    }

    /// Returns the failure for a refused call: field by field where the mesh named fields.
    pub(crate) fn remote(what: &str, status: &Status) -> Self {
        let mut text = format!("{what}: {}", message_of(status));
        if let Some(reason) = gauntlet_rpc::reason_of(status) {
            text.push_str(&format!(" [{}]", reason_name(reason)));
        }
        let bad_request = status.get_details_bad_request();
        for violation in bad_request.iter().flat_map(|bad_request| &bad_request.field_violations) {
            // The message of a single violation says it already.
            if !status.message().contains(&violation.description) {
                text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
            }
        }
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated => Self::Usage(text),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Infrastructure(text),
        }
    }
}

fn import_text(problems: &[String]) -> String {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    format!("nothing was imported: {count} {noun}\n  {}", problems.join("\n  "))
}

fn reason_name(reason: gauntlet_rpc::Reason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// tonic's own text for a broken connection is "transport error"; the cause says more.
fn message_of(status: &Status) -> String {
    let cause = std::error::Error::source(status).map(gauntlet_runtime::error_chain);
    match cause {
        Some(cause) if !cause.is_empty() => cause,
        _ if status.message().is_empty() => format!("{:?}", status.code()),
        _ => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_proto::FieldViolation;

    #[test]
    fn a_refused_call_names_every_field_once_and_exits_2() {
        let one = gauntlet_rpc::invalid_fields(&[FieldViolation::new("a.b", "must be set")]);
        let failure = Failure::remote("cannot run", &one);
        assert_eq!(failure.to_string(), "cannot run: a.b must be set [FIELD_INVALID]");
        let two = [FieldViolation::new("a", "is long"), FieldViolation::new("b", "is short")];
        let failure = Failure::remote("cannot run", &gauntlet_rpc::invalid_fields(&two));
        assert_eq!(
            failure.to_string(),
            "cannot run: 2 fields are invalid [FIELD_INVALID]\n  a: is long\n  b: is short"
        );
        assert_eq!(failure.exit(), Exit::Code(2));
    }

    #[test]
    fn a_mesh_that_goes_away_exits_3() {
        let failure = Failure::remote("cannot run", &gauntlet_rpc::draining());
        assert_eq!(failure.exit(), Exit::Code(3));
        assert!(failure.to_string().ends_with("[DRAINING]"), "{failure}");
    }
}
