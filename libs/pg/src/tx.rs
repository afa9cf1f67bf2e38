//! A transaction as a labelled value.
//!
//! Owns what a command may do inside its transaction, when BEGIN and COMMIT are sent, and the memory of what failed there.
//! The pool judges how it ended. A crash inside `run` rolls everything back.

use crate::{Flight, PgError, Statement, error::Flaw, flight::Params, statement::SpanName};
use deadpool_postgres::ClientWrapper;
use futures_util::future::{join, join_all};
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU8, Ordering},
};
use tokio::sync::OnceCell;
use tokio_postgres::Row;
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

/// A transaction. Statements run in order; the first that the server refuses ends it. BEGIN goes out with the first of them.
pub struct Tx<'c> {
    client: &'c ClientWrapper,
    begun: OnceCell<()>,
    flaw: AtomicU8,
    /// Set when COMMIT is sent; from then on only its answer tells what happened.
    committing: &'c AtomicBool,
    /// The answer to a COMMIT that went with the last statements.
    committed: OnceLock<Result<(), tokio_postgres::Error>>,
}

/// What goes out together with statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Begin,
    Commit,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(client: &'c ClientWrapper, committing: &'c AtomicBool) -> Self {
        Self {
            client,
            begun: OnceCell::new(),
            flaw: AtomicU8::new(Flaw::None as u8),
            committing,
            committed: OnceLock::new(),
        }
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
        self.begin().await?;
        let work = async {
            let prepared = self.client.prepare_cached(statement.sql).await?;
            self.client.query(&prepared, params).await
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
        self.begin().await?;
        let work = async {
            let prepared = self.client.prepare_cached(statement.sql).await?;
            self.client.query_one(&prepared, params).await
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
        self.begin().await?;
        let work = async {
            let prepared = self.client.prepare_cached(statement.sql).await?;
            self.client.query_opt(&prepared, params).await
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
        self.begin().await?;
        let work = async {
            let prepared = self.client.prepare_cached(statement.sql).await?;
            self.client.execute(&prepared, params).await
        };
        self.traced(statement, work).await
    }

    /// Runs several statements without parameters, such as `SET LOCAL`.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn batch(&self, statement: impl Into<Statement>) -> Result<(), PgError> {
        let statement = statement.into();
        self.begin().await?;
        self.traced(statement, self.client.batch_execute(statement.sql)).await
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
        self.begin().await?;
        self.fly(&statements, Beside::Nothing).await.map(fixed)
    }

    /// As [`Tx::pipeline`] for the first statements of a transaction, with its BEGIN. They must lock and read only: should the
    /// server refuse the BEGIN alone, each runs by itself, and then they must have changed nothing. The transaction fails.
    ///
    /// # Errors
    /// As [`Tx::pipeline`].
    pub async fn begin_with<const N: usize>(
        &self,
        statements: [(Statement, Params<'_>); N],
    ) -> Result<[Vec<Row>; N], PgError> {
        self.fly(&statements, Beside::Begin).await.map(fixed)
    }

    /// As [`Tx::pipeline`], for statements that are known only at run time.
    ///
    /// # Errors
    /// As [`Tx::pipeline`].
    pub async fn send(&self, flight: &Flight<'_>) -> Result<Vec<Vec<Row>>, PgError> {
        self.begin().await?;
        let params = flight.params();
        self.fly(&flight.statements(&params), Beside::Nothing).await
    }

    /// Sends the last statements of a transaction with its COMMIT and returns the rows of each. The server commits only when
    /// none is refused. Nothing may follow, and nothing that these return can stop the commit.
    ///
    /// # Errors
    /// As [`Tx::pipeline`]. How the commit itself ended, the pool tells the caller of the transaction.
    pub async fn commit_with(&self, flight: &Flight<'_>) -> Result<Vec<Vec<Row>>, PgError> {
        self.begin().await?;
        let params = flight.params();
        self.fly(&flight.statements(&params), Beside::Commit).await
    }

    async fn fly(
        &self,
        statements: &[(Statement, Params<'_>)],
        beside: Beside,
    ) -> Result<Vec<Vec<Row>>, PgError> {
        // All prepared before any is sent: one that had to be prepared first would arrive after those behind it.
        let mut prepared = Vec::with_capacity(statements.len());
        for (statement, _) in statements {
            let prepare = self.client.prepare_cached(statement.sql);
            prepared.push(prepare.await.map_err(|e| self.failed(statement.name, e))?);
        }
        // A query is sent when its future is first polled, and these are polled in order.
        let begun = async { if beside == Beside::Begin { self.begin().await } else { Ok(()) } };
        let sent = statements.iter().zip(&prepared).map(|((statement, params), prepared)| {
            self.traced(*statement, self.client.query(prepared, params))
        });
        let commit = async {
            if beside == Beside::Commit {
                let _ = self.committed.set(self.send_commit().await);
            }
        };
        let (begun, (answers, ())) = join(begun, join(join_all(sent), commit)).await;
        begun?;
        answers.into_iter().collect()
    }

    /// Begins the transaction unless it has begun.
    async fn begin(&self) -> Result<(), PgError> {
        let begin = async || {
            let begun = self.client.batch_execute("BEGIN").await;
            begun.map_err(|error| self.failed("BEGIN", error))
        };
        self.begun.get_or_try_init(begin).await.map(drop)
    }

    pub(crate) async fn send_commit(&self) -> Result<(), tokio_postgres::Error> {
        if !self.begun.initialized() {
            return Ok(());
        }
        #[cfg(feature = "step")]
        let _running = crate::step::before(crate::step::COMMIT).await;
        self.committing.store(true, Ordering::SeqCst);
        self.client.batch_execute("COMMIT").await
    }

    pub(crate) async fn roll_back(self) {
        if self.begun.initialized()
            // A failed rollback means a lost connection, and that rolls back too.
            && let Err(error) = self.client.batch_execute("ROLLBACK").await
        {
            tracing::debug!(%error, "rollback failed, the connection is lost");
        }
    }

    async fn traced<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        #[cfg(feature = "step")]
        let _running = crate::step::before(statement).await;
        let span = tracing::debug_span!("pg.query", otel.name = %SpanName(statement.name));
        work.instrument(span).await.map_err(|error| self.failed(statement.name, error))
    }

    fn failed(&self, doing: &'static str, error: tokio_postgres::Error) -> PgError {
        self.flaw.fetch_max(Flaw::of(&error) as u8, Ordering::SeqCst);
        PgError::of_statement(doing, error)
    }

    /// Returns the worst that happened to this transaction.
    pub(crate) fn flaw(&self) -> Flaw {
        let flaw = self.flaw.load(Ordering::SeqCst);
        [Flaw::Broken, Flaw::Late, Flaw::Conflict, Flaw::Lost]
            .into_iter()
            .find(|known| *known as u8 == flaw)
            .unwrap_or(Flaw::None)
    }

    /// Returns the answer to a COMMIT that went with the last statements, if one did.
    pub(crate) fn take_committed(&mut self) -> Option<Result<(), tokio_postgres::Error>> {
        self.committed.take()
    }
}

/// As many answers as statements.
fn fixed<const N: usize>(mut answers: Vec<Vec<Row>>) -> [Vec<Row>; N] {
    std::array::from_fn(|index| answers.get_mut(index).map(std::mem::take).unwrap_or_default())
}
