//! From errors to reasons: exhaustive, no wildcard, no text of our own for bugs.

use crate::store::StoreError;
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
    #[error("the page token does not belong to this list")]
    PageToken,
    #[error("no such artifact: {0}")]
    NoSuchArtifact(String),
    #[error("artifact {hash} is not there any more: {why}")]
    Evicted { hash: String, why: &'static str },
    #[error("the store of artifacts failed")]
    Artifacts(#[source] io::Error),
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
            Self::Store(StoreError::Inconsistent { .. }) | Self::Artifacts(_) => Reason::Internal,
            Self::LeaseLost { .. } => Reason::LeaseLost,
            Self::Sealed { .. } => Reason::Sealed,
            Self::Limit { .. } => Reason::LimitExceeded,
            Self::Evicted { .. } => Reason::ArtifactEvicted,
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
            Self::Evicted { hash, why } => {
                d.metadata("why", why).resource("artifact", hash);
            }
            Self::NoSuchArtifact(hash) => {
                d.resource("artifact", hash);
            }
            Self::Store(_) | Self::PageToken | Self::Artifacts(_) => {}
        }
    }
}
