//! Single statements outside a transaction.
//!
//! Owns nothing between calls: each call borrows a connection and gives it back. Only for reading: a write belongs into a
//! [`crate::Transaction`], which knows about commits. Two calls may see two different states of the database.

use crate::{PgError, Pool, Statement, error::Flaw, lease::Lease, statement::SpanName};
use tokio_postgres::{Row, types::ToSql};
use tracing::Instrument as _;

type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Reads by single statements; made by [`Pool::read`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'p> {
    pool: &'p Pool,
}

impl<'p> Reader<'p> {
    pub(crate) fn new(pool: &'p Pool) -> Self {
        Self { pool }
    }

    /// Returns all rows of a statement; tried once more when the connection turns out to be lost.
    ///
    /// # Errors
    /// When the server refuses, is lost or takes too long.
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
                Err((_, Flaw::Lost)) => self.once(statement, params).await,
                result => result,
            }
        };
        work.instrument(span).await.map_err(|(error, _)| error)
    }

    /// Returns the only row of a statement.
    ///
    /// # Errors
    /// As [`Reader::query`], and when there is not exactly one row.
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
    /// As [`Reader::query`], and when there are several rows.
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

    async fn once(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, (PgError, Flaw)> {
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
                Err((PgError::of_statement(statement.name, error), flaw))
            }
            // The lease is dropped here, which cancels the statement and discards the connection.
            Err(_) => {
                Err((PgError::Unavailable { doing: statement.name, source: None }, Flaw::Late))
            }
        }
    }
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
