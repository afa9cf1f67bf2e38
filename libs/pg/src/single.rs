//! Single statements outside a transaction.
//!
//! Owns nothing between calls: each call borrows a connection and gives it back. Owns the question of what may be repeated
//! when a connection is lost in the middle. Several statements that belong together are a [`crate::Transaction`]. Two calls
//! may see two different states of the database.

use crate::{PgError, Pool, Statement, error::Flaw, lease::Lease, statement::SpanName};
use tokio_postgres::{Row, types::ToSql};
use tracing::Instrument as _;

type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// What repeating a statement would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It writes nothing.
    Reads,
    /// It writes the same again.
    Idempotent,
    /// It could write twice, or undo what others wrote since.
    Harmful,
}

/// Runs single statements; made by [`Pool::read`], [`Pool::write_idempotent`] and [`Pool::write_once`].
#[derive(Clone, Copy, Debug)]
pub struct Single<'p> {
    pool: &'p Pool,
    repeat: Repeat,
}

impl<'p> Single<'p> {
    pub(crate) fn new(pool: &'p Pool, repeat: Repeat) -> Self {
        Self { pool, repeat }
    }

    /// Returns all rows of a statement; tried once more when the connection turns out to be lost, unless that would harm.
    ///
    /// # Errors
    /// When the server refuses, is lost or takes too long. A write that was lost on its way is [`PgError::OutcomeUnknown`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the statement and discards the connection.
    pub async fn query(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Vec<Row>, PgError> {
        let statement = statement.into();
        let span = tracing::debug_span!("pg.query", otel.name = %SpanName(statement.name));
        let work = async {
            match self.once(statement, params).await {
                Err(error) if self.repeat != Repeat::Harmful && is_lost(&error) => {
                    let again = self.once(statement, params).await;
                    // Whatever the second try met, the first may have been carried out.
                    again.map_err(|again| if self.repeat == Repeat::Reads { again } else { error })
                }
                result => result,
            }
        };
        work.instrument(span).await.map_err(|(error, _)| error)
    }

    /// Returns the only row of a statement.
    ///
    /// # Errors
    /// As [`Single::query`], and when there is not exactly one row.
    pub async fn query_one(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Row, PgError> {
        let statement = statement.into();
        match self.query_opt(statement, params).await? {
            Some(row) => Ok(row),
            None => Err(PgError::Other {
                doing: statement.name,
                source: Some("no row where one was expected".into()),
            }),
        }
    }

    /// Returns the row of a statement, if there is one.
    ///
    /// # Errors
    /// As [`Single::query`], and when there are several rows.
    pub async fn query_opt(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Option<Row>, PgError> {
        let statement = statement.into();
        let mut rows = self.query(statement, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            _ => Err(PgError::Other {
                doing: statement.name,
                source: Some("several rows where one was expected".into()),
            }),
        }
    }

    /// A write commits by itself, so its answer is the answer of a COMMIT.
    fn failed(&self, doing: &'static str, error: tokio_postgres::Error) -> PgError {
        match self.repeat {
            Repeat::Reads => PgError::of_statement(doing, error),
            Repeat::Idempotent | Repeat::Harmful => PgError::of_commit(doing, error),
        }
    }

    async fn once(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, (PgError, Flaw)> {
        #[cfg(feature = "step")]
        let _running = crate::step::before(statement).await;
        let mut lease =
            self.pool.lease(statement.name).await.map_err(|error| (error, Flaw::None))?;
        let work = run(&mut lease, statement.sql, params);
        match tokio::time::timeout(self.pool.attempt_timeout, work).await {
            Ok(Ok(rows)) => {
                lease.give_back();
                Ok(rows)
            }
            Ok(Err(error)) => {
                let flaw = Flaw::of(&error);
                if flaw == Flaw::Lost {
                    lease.discard()
                } else {
                    lease.give_back()
                }
                Err((self.failed(statement.name, error), flaw))
            }
            // The lease is dropped here, which cancels the statement and discards the connection.
            Err(_) if self.repeat == Repeat::Reads => {
                Err((PgError::Unavailable { doing: statement.name, source: None }, Flaw::Late))
            }
            Err(_) => {
                Err((PgError::OutcomeUnknown { doing: statement.name, source: None }, Flaw::Late))
            }
        }
    }
}

fn is_lost((_, flaw): &(PgError, Flaw)) -> bool {
    *flaw == Flaw::Lost
}

async fn run(
    lease: &mut Lease,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let client = lease.client();
    let prepared = client.prepare_cached(sql).await?;
    client.query(&prepared, params).await
}
