//! What can go wrong with Postgres, sorted by what the caller should do about it.
//!
//! Owns the translation of SQLSTATE and of lost connections. It does not retry; the pool does, by these answers.

use std::{error::Error, time::Duration};
use tokio_postgres::error::SqlState;

/// The cause of a [`PgError`], as reported by the driver or the pool.
type Cause = Box<dyn Error + Send + Sync>;

/// How long a caller should wait when Postgres cannot be reached.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether trying again makes sense, and what to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call would fail again.
    Never,
    /// The same call may succeed later.
    SameCall {
        /// How long to wait first.
        after: Duration,
    },
    /// A race was lost: read again, decide again.
    WholeTransaction,
}

/// What went wrong with Postgres.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// The server cannot be reached or took too long. Nothing was committed.
    #[error("postgres is unavailable ({doing})")]
    Unavailable {
        /// Label of the transaction or name of the statement.
        doing: &'static str,
        /// As reported by the driver or the pool; none when our own time limit passed.
        source: Option<Cause>,
    },
    /// A serialization failure or deadlock that outlived the retries. Nothing was committed.
    #[error("lost a race in postgres ({doing})")]
    Conflict {
        /// Label of the transaction or name of the statement.
        doing: &'static str,
        /// As reported by the server.
        source: Option<Cause>,
    },
    /// The connection was lost while a COMMIT or a single write was in flight: it happened or it did not. Repeat the command.
    #[error("postgres was lost while committing ({doing})")]
    OutcomeUnknown {
        /// Label of the transaction.
        doing: &'static str,
        /// As reported by the driver; none when our own time limit passed.
        source: Option<Cause>,
    },
    /// A row with the same key exists.
    #[error("unique constraint {constraint} is violated ({doing})")]
    UniqueViolation {
        /// Name of the statement.
        doing: &'static str,
        /// Name of the constraint.
        constraint: String,
        /// As reported by the server.
        source: Option<Cause>,
    },
    /// A row that the schema forbids.
    #[error("check constraint {constraint} is violated ({doing})")]
    CheckViolation {
        /// Name of the statement.
        doing: &'static str,
        /// Name of the constraint.
        constraint: String,
        /// As reported by the server.
        source: Option<Cause>,
    },
    /// Anything else, most likely a bug.
    #[error("postgres refused ({doing})")]
    Other {
        /// Label of the transaction or name of the statement.
        doing: &'static str,
        /// As reported by the driver or the server.
        source: Option<Cause>,
    },
}

impl PgError {
    /// Returns whether trying again makes sense.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } | Self::OutcomeUnknown { .. } => {
                Retry::SameCall { after: UNAVAILABLE_RETRY_AFTER }
            }
            Self::Conflict { .. } => Retry::WholeTransaction,
            Self::UniqueViolation { .. } | Self::CheckViolation { .. } | Self::Other { .. } => {
                Retry::Never
            }
        }
    }

    /// Returns the error for a failed statement.
    pub(crate) fn of_statement(doing: &'static str, error: tokio_postgres::Error) -> Self {
        let constraint =
            error.as_db_error().and_then(|e| e.constraint()).unwrap_or("(unnamed)").to_owned();
        let flaw = Flaw::of(&error);
        let code = error.code().cloned();
        let source = Some(Cause::from(error));
        match (flaw, code) {
            (Flaw::Conflict, _) => Self::Conflict { doing, source },
            (Flaw::Lost | Flaw::Late, _) => Self::Unavailable { doing, source },
            (_, Some(code)) if code == SqlState::UNIQUE_VIOLATION => {
                Self::UniqueViolation { doing, constraint, source }
            }
            (_, Some(code)) if code == SqlState::CHECK_VIOLATION => {
                Self::CheckViolation { doing, constraint, source }
            }
            (Flaw::None | Flaw::Broken, _) => Self::Other { doing, source },
        }
    }

    /// Returns the error for a failed COMMIT: a refusal by the server is certain, a lost connection is not.
    pub(crate) fn of_commit(doing: &'static str, error: tokio_postgres::Error) -> Self {
        match Flaw::of(&error) {
            Flaw::Lost => Self::OutcomeUnknown { doing, source: Some(error.into()) },
            Flaw::None | Flaw::Broken | Flaw::Late | Flaw::Conflict => {
                Self::of_statement(doing, error)
            }
        }
    }

    /// Returns the error for a connection that could not be had.
    pub(crate) fn of_pool(doing: &'static str, error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::of_statement(doing, error),
            other => Self::Unavailable { doing, source: Some(other.into()) },
        }
    }
}

/// What a failed statement did to its transaction. Declared in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Flaw {
    /// Nothing; the mistake was on our side.
    None,
    /// The server aborted the transaction.
    Broken,
    /// The server gave up on a statement or a lock that took too long.
    Late,
    /// A race was lost; the whole transaction can be repeated.
    Conflict,
    /// The connection is gone.
    Lost,
}

impl Flaw {
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else {
            let io = error.source().is_some_and(|source| source.is::<std::io::Error>());
            // "timeout waiting for server" has neither a code nor a source.
            let timeout = error.source().is_none() && error.to_string().starts_with("timeout");
            return if error.is_closed() || io || timeout { Self::Lost } else { Self::None };
        };
        match code.code() {
            "40001" | "40P01" => Self::Conflict,
            // Statement timeout, lock timeout.
            "57014" | "55P03" => Self::Late,
            // Shutdown, crash, starting up, idle in transaction, read-only after a failover.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006" => Self::Lost,
            // Connection trouble, and a server without resources for another connection.
            code if code.starts_with("08") || code.starts_with("53") => Self::Lost,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_race_asks_for_the_whole_transaction() {
        let conflict = PgError::Conflict { doing: "t", source: None };
        let unknown = PgError::OutcomeUnknown { doing: "t", source: None };
        let check =
            PgError::CheckViolation { doing: "t", constraint: "c".to_owned(), source: None };
        assert_eq!(conflict.retry(), Retry::WholeTransaction);
        assert!(matches!(unknown.retry(), Retry::SameCall { .. }));
        assert_eq!(check.retry(), Retry::Never);
        assert_eq!(check.to_string(), "check constraint c is violated (t)");
    }
}
