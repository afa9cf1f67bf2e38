//! A transaction as a labelled value.
//!
//! Owns what a command may do inside its transaction and the memory of what failed there. It does not begin, commit or
//! roll back; the pool does. A crash inside `run` rolls everything back.

use crate::{PgError, Statement, error::Flaw, statement::SpanName};
use std::sync::atomic::{AtomicU8, Ordering};
use tokio_postgres::{Row, types::ToSql};
use tracing::Instrument as _;

/// One transaction: a command with what it needs, which can be run again after a lost race.
pub trait Transaction: Sync {
    /// Name in metrics, logs and the span `pg.tx.<label>`.
    const LABEL: &'static str;
    /// What the transaction returns; expected outcomes are values here, not errors.
    type Output: Send;
    /// What can go wrong in it.
    type Error: From<PgError> + Send;
    /// Does the work. May run several times: it has no effect outside `tx`.
    fn run(&self, tx: &Tx<'_>) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// An open transaction. Statements run in order; the first that the server refuses ends it.
pub struct Tx<'c> {
    inner: deadpool_postgres::Transaction<'c>,
    flaw: AtomicU8,
}

type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

impl<'c> Tx<'c> {
    pub(crate) fn new(inner: deadpool_postgres::Transaction<'c>) -> Self {
        Self { inner, flaw: AtomicU8::new(Flaw::None as u8) }
    }

    /// Returns all rows of a statement.
    ///
    /// # Errors
    /// When the server refuses or is lost; the transaction is over then.
    pub async fn query(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Vec<Row>, PgError> {
        let statement = statement.into();
        let work = async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query(&prepared, params).await
        };
        self.traced(statement, work).await
    }

    /// Returns the only row of a statement.
    ///
    /// # Errors
    /// As [`Tx::query`], and when there is not exactly one row.
    pub async fn query_one(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Row, PgError> {
        let statement = statement.into();
        let work = async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query_one(&prepared, params).await
        };
        self.traced(statement, work).await
    }

    /// Returns the row of a statement, if there is one.
    ///
    /// # Errors
    /// As [`Tx::query`], and when there are several rows.
    pub async fn query_opt(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<Option<Row>, PgError> {
        let statement = statement.into();
        let work = async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query_opt(&prepared, params).await
        };
        self.traced(statement, work).await
    }

    /// Runs a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(
        &self,
        statement: impl Into<Statement>,
        params: Params<'_>,
    ) -> Result<u64, PgError> {
        let statement = statement.into();
        let work = async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.execute(&prepared, params).await
        };
        self.traced(statement, work).await
    }

    /// Sends several statements at once and returns the rows of each: one round trip instead of many. The server runs them in
    /// order, each with its own snapshot, so a statement sees what the lock of the one before it waited for. None can use
    /// what another returned.
    ///
    /// # Errors
    /// That of the first statement that the server refuses; those after it have no effect.
    pub async fn pipeline<const N: usize>(
        &self,
        statements: [(Statement, Params<'_>); N],
    ) -> Result<[Vec<Row>; N], PgError> {
        // All prepared before any is sent: one that had to be prepared first would arrive after those behind it.
        let mut prepared = Vec::with_capacity(N);
        for (statement, _) in &statements {
            prepared.push(self.traced(*statement, self.inner.prepare_cached(statement.sql)).await?);
        }
        // A query is sent when its future is first polled, and these are polled in order.
        let sent = statements.iter().zip(&prepared).map(|((statement, params), prepared)| {
            self.traced(*statement, self.inner.query(prepared, params))
        });
        let mut answers = futures_util::future::join_all(sent).await.into_iter();
        let mut rows = [const { Vec::new() }; N];
        for rows in &mut rows {
            *rows = answers.next().transpose()?.unwrap_or_default();
        }
        Ok(rows)
    }

    /// Runs several statements without parameters, such as `SET LOCAL`.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn batch(&self, statement: impl Into<Statement>) -> Result<(), PgError> {
        let statement = statement.into();
        self.traced(statement, self.inner.batch_execute(statement.sql)).await
    }

    async fn traced<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        #[cfg(feature = "step")]
        crate::step::before(statement).await;
        let span = tracing::debug_span!("pg.query", otel.name = %SpanName(statement.name));
        work.instrument(span).await.map_err(|error| {
            self.flaw.fetch_max(Flaw::of(&error) as u8, Ordering::SeqCst);
            PgError::of_statement(statement.name, error)
        })
    }

    /// Returns the worst that happened to this transaction.
    pub(crate) fn flaw(&self) -> Flaw {
        let flaw = self.flaw.load(Ordering::SeqCst);
        [Flaw::Broken, Flaw::Late, Flaw::Conflict, Flaw::Lost]
            .into_iter()
            .find(|known| *known as u8 == flaw)
            .unwrap_or(Flaw::None)
    }

    pub(crate) fn into_inner(self) -> deadpool_postgres::Transaction<'c> {
        self.inner
    }
}
