//! From an error to a `tonic::Status` and, for callers, back to its reason.
//!
//! Owns the only construction of a status. The text of an internal error never leaves the process: it goes to the log
//! under the request id that the caller gets.

use crate::{
    Details, Reason, context,
    details::DOMAIN,
    reason::{code_of, parse},
};
use gauntlet_proto::FieldViolation;
use gauntlet_runtime::error_chain;
use std::{error::Error, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How long a caller should wait when the error does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error of a service that knows its reason. Implement it in `grpc/error.rs` with an exhaustive match.
pub trait ToStatus {
    /// Returns why the call failed; the code follows from it.
    fn reason(&self) -> Reason;

    /// Adds what the caller needs to act.
    fn details(&self, d: &mut Details) {
        let _ = d;
    }
}

/// Returns the status for an error; logs the chain of an internal or unavailable one.
#[must_use]
pub fn status<E: ToStatus + Error + 'static>(error: &E) -> Status {
    let reason = error.reason();
    let mut details = Details::default();
    error.details(&mut details);
    match code_of(reason) {
        Code::Internal => {
            let chain = error_chain(error);
            tracing::error!(error = %chain, request.id = context::request_id(), "call failed by a bug");
            build(reason, "internal error", Details::default())
        }
        Code::Unavailable => {
            let chain = error_chain(error);
            tracing::warn!(error = %chain, request.id = context::request_id(), "call failed, caller may retry");
            build(reason, &error.to_string(), details)
        }
        _ => build(reason, &error.to_string(), details),
    }
}

/// Returns INVALID_ARGUMENT with every violation.
#[must_use]
pub fn invalid_fields(violations: &[FieldViolation]) -> Status {
    let mut details = Details::default();
    for violation in violations {
        details.violation(&violation.field, &violation.description);
    }
    let message = match violations {
        [only] => format!("{} {}", only.field, only.description),
        several => format!("{} fields are invalid", several.len()),
    };
    build(Reason::FieldInvalid, &message, details)
}

/// Returns the status with which streams and long polls end when the process drains.
#[must_use]
pub fn draining() -> Status {
    build(Reason::Draining, "server is shutting down", Details::default())
}

/// Returns the status of a handler that panicked; the panic itself was logged by its hook.
pub(crate) fn internal() -> Status {
    build(Reason::Internal, "internal error", Details::default())
}

pub(crate) fn deadline_exceeded() -> Status {
    build(Reason::DeadlineExceeded, "deadline exceeded", Details::default())
}

fn build(reason: Reason, message: &str, mut details: Details) -> Status {
    let code = code_of(reason);
    let may_retry = matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Aborted);
    if may_retry && !details.has_retry() {
        details.retry_after(RETRY_AFTER);
    }
    Status::with_error_details(code, message, details.finish(reason, context::request_id()))
}

/// Returns the reason of a status received from a Gauntlet service; none when it came from elsewhere or is newer.
#[must_use]
pub fn reason_of(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info()?;
    if info.domain == DOMAIN { parse(&info.reason) } else { None }
}

/// Returns how long the sender of a status asks to wait before a retry.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Returns whether the peer cannot be reached or said so: the only failure that may be retried blindly (AIP-194).
///
/// tonic reports a connection that broke in the middle of a call as UNKNOWN with a source; that counts too.
#[must_use]
pub fn is_unavailable(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown => status.source().is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum DemoError {
        #[error("lease of shard {index} is lost")]
        Lease { index: u32 },
        #[error("secret table is broken")]
        Bug,
        #[error("store is away")]
        Away,
    }

    impl ToStatus for DemoError {
        fn reason(&self) -> Reason {
            match self {
                Self::Lease { .. } => Reason::LeaseLost,
                Self::Bug => Reason::Internal,
                Self::Away => Reason::StoreUnavailable,
            }
        }

        fn details(&self, d: &mut Details) {
            match self {
                Self::Lease { index } => {
                    d.metadata("shard_index", index).precondition(
                        "LEASE",
                        format!("runs/r/shards/{index}"),
                        "is lost",
                    );
                }
                Self::Bug | Self::Away => {}
            }
        }
    }

    #[test]
    fn a_reason_travels_with_its_details() {
        let status = status(&DemoError::Lease { index: 3 });
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason_of(&status), Some(Reason::LeaseLost));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["shard_index"], "3");
        assert_eq!(
            details.precondition_failure().unwrap().violations[0].subject,
            "runs/r/shards/3"
        );
        assert_eq!(retry_after(&status), None);
    }

    #[test]
    fn an_internal_error_keeps_its_text_to_itself() {
        let status = status(&DemoError::Bug);
        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    }

    #[test]
    fn an_unavailable_store_says_when_to_retry() {
        let status = status(&DemoError::Away);
        assert!(is_unavailable(&status));
        assert_eq!(retry_after(&status), Some(RETRY_AFTER));
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let status = invalid_fields(&[
            FieldViolation::new("a.b", "must be set"),
            FieldViolation::new("c", "too long"),
        ]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 2);
    }
}
