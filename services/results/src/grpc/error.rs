//! From errors to reasons: exhaustive, no wildcard, no text of our own for bugs.

use crate::store::StoreError;
use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Retry};
use gauntlet_rpc::{Details, Reason, ToStatus};
use std::io;

/// What can go wrong in a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("the lease of {subject} is lost")]
    LeaseLost { subject: String },
    #[error("{subject} is sealed")]
    Sealed { subject: String },
    #[error("{what}: {actual} is over the limit of {limit}")]
    Limit { what: &'static str, limit: u64, actual: u64 },
    #[error(
        "artifacts of run {run_id}: another {size_bytes} bytes would be over its budget of {limit} bytes"
    )]
    ArtifactBudget { run_id: RunId, size_bytes: u64, limit: u64 },
    #[error("the page token does not belong to this list")]
    PageToken,
    #[error("no such artifact: {0}")]
    NoSuchArtifact(String),
    #[error("the artifacts folder failed")]
    Folder(#[source] io::Error),
}

impl ToStatus for CallError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(StoreError::Pg(error)) => match (error.retry(), &**error) {
                (Retry::SameCall { .. }, PgError::OutcomeUnknown { .. }) => Reason::OutcomeUnknown,
                (Retry::SameCall { .. }, _) => Reason::StoreUnavailable,
                (Retry::WholeTransaction, _) => Reason::Conflict,
                (Retry::Never, _) => Reason::Internal,
            },
            Self::Store(StoreError::Inconsistent { .. }) | Self::Folder(_) => Reason::Internal,
            Self::LeaseLost { .. } => Reason::LeaseLost,
            Self::Sealed { .. } => Reason::Sealed,
            Self::Limit { .. } | Self::ArtifactBudget { .. } => Reason::LimitExceeded,
            Self::PageToken => Reason::PageTokenInvalid,
            Self::NoSuchArtifact(_) => Reason::ArtifactNotFound,
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::LeaseLost { subject } => {
                d.precondition("LEASE", subject, "a newer epoch holds it");
            }
            Self::Sealed { subject } => {
                d.precondition("SEAL", subject, "takes no more reports");
            }
            Self::Limit { what, limit, actual } => {
                d.metadata("limit", limit)
                    .metadata("actual", actual)
                    .violation(*what, "over the limit");
            }
            Self::ArtifactBudget { limit, .. } => {
                d.metadata("limit", limit)
                    .violation("artifacts of the run", "over their budget in bytes");
            }
            Self::NoSuchArtifact(hash) => {
                d.resource("artifact", hash);
            }
            Self::Store(_) | Self::PageToken | Self::Folder(_) => {}
        }
    }
}
