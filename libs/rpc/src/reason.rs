//! The one table from reason to gRPC code.
//!
//! Owns that mapping, repeated from the comments of `error_reason.proto`. It makes no status.

use tonic::Code;

/// Why a call failed; the `reason` of `google.rpc.ErrorInfo`.
pub use gauntlet_proto::v1::ErrorReason as Reason;

const PREFIX: &str = "ERROR_REASON_";

/// Returns the gRPC code of a reason.
pub(crate) fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::FieldInvalid
        | Reason::RecordingInvalid
        | Reason::RequestIdReused
        | Reason::PageTokenInvalid
        | Reason::LimitExceeded => Code::InvalidArgument,
        Reason::RunNotFound
        | Reason::TestNotFound
        | Reason::EnvironmentNotFound
        | Reason::ArtifactNotFound
        | Reason::ArtifactEvicted => Code::NotFound,
        Reason::RunTerminal
        | Reason::RunNotTerminal
        | Reason::LeaseLost
        | Reason::SessionLost
        | Reason::Sealed
        | Reason::FinalizationLost
        | Reason::ProtocolUnsupported
        | Reason::SecretsUnavailable => Code::FailedPrecondition,
        Reason::RevisionCompacted | Reason::FeedReset => Code::OutOfRange,
        Reason::Conflict => Code::Aborted,
        Reason::QuotaExhausted => Code::ResourceExhausted,
        Reason::Draining
        | Reason::StoreUnavailable
        | Reason::OutcomeUnknown
        | Reason::PeerUnavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Internal | Reason::Unspecified => Code::Internal,
    }
}

/// Returns the reason as it travels, such as `LEASE_LOST`.
pub(crate) fn name_of(reason: Reason) -> &'static str {
    reason.as_str_name().trim_start_matches(PREFIX)
}

/// Returns the reason that travelled as `name`; none when this program does not know it.
pub(crate) fn parse(name: &str) -> Option<Reason> {
    Reason::from_str_name(&format!("{PREFIX}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_without_the_prefix_and_back() {
        assert_eq!(name_of(Reason::LeaseLost), "LEASE_LOST");
        assert_eq!(parse("LEASE_LOST"), Some(Reason::LeaseLost));
        assert_eq!(parse("FROM_THE_FUTURE"), None);
    }
}
