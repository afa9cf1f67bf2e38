//! From the errors of the use cases to reasons: exhaustive, no wildcard, no text of our own for bugs.

use crate::abort::AbortError;
use crate::admit::AdmitError;
use crate::commit::CommitError;
use crate::finalize::FinalizeError;
use crate::retry::RetryError;
use crate::store::StoreError;
use crate::vault::VaultError;
use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Retry};
use gauntlet_recordings::ImportErrors;
use gauntlet_rpc::{Details, Reason, ToStatus};

/// Tests of a refused run that are named; the message tells how many there are.
const REFUSALS_TOLD_MAX: usize = 20;

/// What can go wrong in handlers that have no use case of their own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("the command was not committed")]
    Commit(#[source] CommitError),
    #[error("no such run: {0}")]
    NoSuchRun(RunId),
    #[error("no such recording: {0}")]
    NoSuchRevision(String),
    #[error("the session has ended; open a new one")]
    SessionLost,
    #[error("protocol version {0} is not spoken here")]
    ProtocolUnsupported(i32),
    #[error("revision {0} is not held")]
    RevisionUnknown(i64),
    #[error("the feed is now {0}")]
    FeedReset(uuid::Uuid),
    #[error("the page token does not belong to this list")]
    PageToken,
    #[error("the secrets cannot be used")]
    Vault(#[source] VaultError),
    #[error("{} recordings cannot be imported", .0.len())]
    Recordings(Vec<ImportErrors>),
}

pub(crate) fn store_reason(error: &StoreError) -> Reason {
    match error {
        StoreError::Pg(error) => match (error.retry(), &**error) {
            (Retry::SameCall { .. }, PgError::OutcomeUnknown { .. }) => Reason::OutcomeUnknown,
            (Retry::SameCall { .. }, _) => Reason::StoreUnavailable,
            (Retry::WholeTransaction, _) => Reason::Conflict,
            (Retry::Never, _) => Reason::Internal,
        },
        StoreError::NoSuchTests => Reason::TestNotFound,
        StoreError::Inconsistent { .. } | StoreError::Illegal(_) => Reason::Internal,
    }
}

fn vault_reason(error: &VaultError) -> Reason {
    match error {
        VaultError::NoKey | VaultError::Refused { .. } => Reason::SecretsUnavailable,
        VaultError::Malformed => Reason::Internal,
    }
}

fn commit_reason(error: &CommitError) -> Reason {
    match error {
        CommitError::Draining => Reason::Draining,
        CommitError::Store(error) => store_reason(error),
    }
}

impl ToStatus for CallError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => store_reason(error),
            Self::Commit(error) => commit_reason(error),
            Self::NoSuchRun(_) => Reason::RunNotFound,
            Self::NoSuchRevision(_) => Reason::TestNotFound,
            Self::SessionLost => Reason::SessionLost,
            Self::ProtocolUnsupported(_) => Reason::ProtocolUnsupported,
            Self::RevisionUnknown(_) => Reason::RevisionCompacted,
            Self::FeedReset(_) => Reason::FeedReset,
            Self::PageToken => Reason::PageTokenInvalid,
            Self::Vault(error) => vault_reason(error),
            Self::Recordings(_) => Reason::RecordingInvalid,
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::NoSuchRun(run_id) => {
                d.resource("run", format!("runs/{run_id}"));
            }
            Self::NoSuchRevision(hash) => {
                d.resource("test_revision", hash);
            }
            Self::FeedReset(feed_id) => {
                d.metadata("feed_id", feed_id);
            }
            Self::Recordings(errors) => {
                for error in errors {
                    for problem in &error.problems {
                        d.violation(
                            format!("{}: {}", error.file, problem.field),
                            problem.to_string(),
                        );
                    }
                }
            }
            Self::ProtocolUnsupported(version) => {
                d.metadata("protocol_version", version);
            }
            Self::RevisionUnknown(revision) => {
                d.metadata("revision", revision);
            }
            Self::Store(_)
            | Self::Commit(_)
            | Self::SessionLost
            | Self::PageToken
            | Self::Vault(_) => {}
        }
    }
}

impl ToStatus for AdmitError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => store_reason(error),
            Self::Commit(error) => commit_reason(error),
            Self::NoSuchTest { .. } | Self::NothingSelected { .. } | Self::Draft { .. } => {
                Reason::TestNotFound
            }
            Self::NoSuchEnvironment { .. } => Reason::EnvironmentNotFound,
            Self::TooManyTests { .. } => Reason::LimitExceeded,
            Self::Impossible { .. } => Reason::FieldInvalid,
            Self::RequestIdReused => Reason::RequestIdReused,
            Self::Secrets(error) => vault_reason(error),
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::NoSuchTest { test_id, .. } | Self::Draft { test_id } => {
                d.resource("test", format!("tests/{test_id}"));
            }
            Self::NothingSelected { project } => {
                d.resource("project", format!("projects/{project}"));
            }
            Self::NoSuchEnvironment { environment, .. } => {
                d.resource("environment", environment);
            }
            Self::TooManyTests { limit, actual } => {
                d.metadata("limit", limit).metadata("actual", actual);
            }
            Self::Impossible { tests, .. } => {
                for test in tests.iter().take(REFUSALS_TOLD_MAX) {
                    d.violation("options.browser", test);
                }
            }
            Self::RequestIdReused => {
                d.violation("request_id", "was used with another payload");
            }
            Self::Store(_) | Self::Commit(_) | Self::Secrets(_) => {}
        }
    }
}

impl ToStatus for AbortError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => store_reason(error),
            Self::Commit(error) => commit_reason(error),
            Self::NoSuchRun(_) | Self::NoSuchGeneration { .. } => Reason::RunNotFound,
            Self::GenerationUnnamed(_) => Reason::FieldInvalid,
            Self::Terminal { .. } => Reason::RunTerminal,
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::NoSuchRun(run_id) => {
                d.resource("run", format!("runs/{run_id}"));
            }
            Self::NoSuchGeneration { run_id, generation } => {
                d.resource("run", format!("runs/{run_id}/generations/{generation}"));
            }
            Self::GenerationUnnamed(_) => {
                d.violation("generation", "must be named when a run was retried");
            }
            Self::Terminal { run_id, generation, state } => {
                d.metadata("state", state).metadata("generation", generation).precondition(
                    "RUN",
                    format!("runs/{run_id}"),
                    "is terminal",
                );
            }
            Self::Store(_) | Self::Commit(_) => {}
        }
    }
}

impl ToStatus for RetryError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => store_reason(error),
            Self::Commit(error) => commit_reason(error),
            Self::NoSuchRun(_) => Reason::RunNotFound,
            Self::NoSuchTest { .. } => Reason::TestNotFound,
            Self::NotTerminal { .. } => Reason::RunNotTerminal,
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::NoSuchRun(run_id) => {
                d.resource("run", format!("runs/{run_id}"));
            }
            Self::NoSuchTest { run_id, ordinal } => {
                d.resource("test", format!("runs/{run_id}/tests/{ordinal}"));
            }
            Self::NotTerminal { run_id, state } => {
                d.metadata("state", state).precondition(
                    "RUN",
                    format!("runs/{run_id}"),
                    "is not terminal",
                );
            }
            Self::Store(_) | Self::Commit(_) => {}
        }
    }
}

impl ToStatus for FinalizeError {
    fn reason(&self) -> Reason {
        match self {
            Self::Commit(error) => commit_reason(error),
            Self::Store(error) => store_reason(error),
            Self::NoSuchRun { .. } => Reason::RunNotFound,
            Self::Lost { .. } => Reason::FinalizationLost,
            Self::Terminal { .. } => Reason::RunTerminal,
        }
    }

    fn details(&self, d: &mut Details) {
        match self {
            Self::NoSuchRun { run_id } => {
                d.resource("run", format!("runs/{run_id}"));
            }
            Self::Lost { run_id } => {
                d.precondition("LEASE", format!("runs/{run_id}"), "finalization is not held");
            }
            Self::Terminal { run_id, state } => {
                d.metadata("state", state).precondition(
                    "RUN",
                    format!("runs/{run_id}"),
                    "is terminal",
                );
            }
            Self::Commit(_) | Self::Store(_) => {}
        }
    }
}
