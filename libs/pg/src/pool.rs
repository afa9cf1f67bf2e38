//! The pool, and how a transaction is begun, committed, retried and given up.
//!
//! Owns begin and commit and every client-side limit. It knows no SQL of its own besides the schema check. After a restart
//! of Postgres the closed connections are dropped and new ones opened; calls meanwhile fail as unavailable.

use crate::{
    PgConfig, PgError, SchemaError, Single, Transaction, Tx,
    error::Flaw,
    lease::Lease,
    migrate::{check, validate_schema},
    single::Repeat,
};
use deadpool_postgres::{Manager, ManagerConfig, QueueMode, RecyclingMethod, Runtime};
use gauntlet_runtime::{Backoff, error_chain};
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::time::Instant;
use tokio_postgres::NoTls;
use tracing::Instrument as _;

/// How often one transaction is tried when it loses races or its connection.
const TX_ATTEMPTS_MAX: u32 = 6;
const TX_RETRY_FIRST: Duration = Duration::from_millis(4);
const TX_RETRY_MAX: Duration = Duration::from_millis(200);
/// Waits of a start while Postgres is away.
const START_RETRY_FIRST: Duration = Duration::from_millis(100);
const START_RETRY_MAX: Duration = Duration::from_secs(2);

/// Connections to the schema of one service. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    schema: String,
    pub(crate) attempt_timeout: Duration,
}

/// How full the pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections open.
    pub open: usize,
    /// Connections free now.
    pub idle: usize,
    /// Callers waiting for one.
    pub waiting: usize,
}

/// How one attempt of a transaction ended.
enum Attempt<C: Transaction> {
    Done(Result<C::Output, C::Error>),
    Again(C::Error, Flaw),
}

impl Pool {
    /// Opens a pool in which every connection has `schema` as its search path, and proves that Postgres answers. Waits for
    /// one that is away or still starting, as long as the settings say.
    ///
    /// # Errors
    /// When Postgres cannot be reached all that time, or refuses.
    pub async fn connect(
        config: &PgConfig,
        application_name: &str,
        schema: &str,
    ) -> Result<Self, PgError> {
        let pool = Self::lazy(config, application_name, schema)?;
        let deadline = Instant::now() + config.start_patience;
        let mut backoff = Backoff::new(START_RETRY_FIRST, START_RETRY_MAX);
        loop {
            match pool.lease("connect").await {
                Ok(lease) => {
                    lease.give_back();
                    return Ok(pool);
                }
                Err(error @ PgError::Unavailable { .. }) if Instant::now() < deadline => {
                    let error = error_chain(&error);
                    tracing::warn!(error, application_name, "waiting for postgres");
                    backoff.sleep().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Pool::connect`], without connecting yet.
    ///
    /// # Errors
    /// When `schema` is not a plain lower-case name.
    pub fn lazy(config: &PgConfig, application_name: &str, schema: &str) -> Result<Self, PgError> {
        let refused = |source| PgError::Other { doing: "connect", source: Some(source) };
        validate_schema(schema).map_err(|error| refused(error.into()))?;
        let manager = Manager::from_config(
            config.for_service(application_name, schema),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        // deadpool waits for ever unless told otherwise.
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(config.pool_size_max)
            // The connection used last has its statements planned; one that is rarely used would plan them when it is needed.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(config.wait_timeout))
            .create_timeout(Some(config.connect_timeout))
            .recycle_timeout(Some(config.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| refused(error.into()))?;
        Ok(Self { inner, schema: schema.to_owned(), attempt_timeout: config.attempt_timeout })
    }

    /// Runs one transaction, again after a serialization failure, a deadlock or a connection lost before COMMIT (at most
    /// six times in all).
    ///
    /// # Errors
    /// The command's own error; or [`PgError`] as that error, see its variants for what is certain afterwards.
    ///
    /// # Cancel safety
    /// Dropping the future before COMMIT rolls back, cancels the running statement and discards the connection. Dropped
    /// during COMMIT, the outcome is unknown.
    pub async fn transact<C: Transaction>(&self, command: &C) -> Result<C::Output, C::Error> {
        let span = tracing::info_span!("pg.tx", otel.name = %format_args!("pg.tx.{}", C::LABEL));
        let work = async {
            let mut backoff =
                Backoff::new(TX_RETRY_FIRST, TX_RETRY_MAX).attempts_max(TX_ATTEMPTS_MAX - 1);
            loop {
                match self.attempt(command).await {
                    Attempt::Done(result) => return result,
                    Attempt::Again(error, why) => {
                        if !backoff.sleep().await {
                            tracing::warn!(
                                tx.label = C::LABEL,
                                ?why,
                                "transaction given up after retries"
                            );
                            return Err(error);
                        }
                        tracing::debug!(tx.label = C::LABEL, ?why, "transaction is tried again");
                    }
                }
            }
        };
        work.instrument(span).await
    }

    /// Returns what reads by single statements outside a transaction.
    #[must_use]
    pub fn read(&self) -> Single<'_> {
        Single::new(self, Repeat::Reads)
    }

    /// Returns what writes by single statements whose repeat changes nothing: one whose connection is lost is run again.
    #[must_use]
    pub fn write_idempotent(&self) -> Single<'_> {
        Single::new(self, Repeat::Idempotent)
    }

    /// Returns what writes by single statements that must not be repeated: one whose connection is lost ends as
    /// [`PgError::OutcomeUnknown`].
    #[must_use]
    pub fn write_once(&self) -> Single<'_> {
        Single::new(self, Repeat::Harmful)
    }

    /// Checks that the schema is at exactly the version this program knows.
    ///
    /// # Errors
    /// When it is older, newer or not there, or Postgres is unavailable.
    pub async fn check(&self, expected_version: i32) -> Result<(), SchemaError> {
        check(self, &self.schema, expected_version).await
    }

    /// Returns how full the pool is.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.inner.status();
        PoolStatus { open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// Closes the pool: idle connections end now, lent ones when they come back.
    pub fn close(&self) {
        self.inner.close();
    }

    pub(crate) async fn lease(&self, doing: &'static str) -> Result<Lease, PgError> {
        self.inner.get().await.map(Lease::new).map_err(|error| PgError::of_pool(doing, error))
    }

    async fn attempt<C: Transaction>(&self, command: &C) -> Attempt<C> {
        let mut lease = match self.lease(C::LABEL).await {
            Ok(lease) => lease,
            Err(error) => return Attempt::Done(Err(error.into())),
        };
        let committing = AtomicBool::new(false);
        let ran =
            tokio::time::timeout(self.attempt_timeout, run_once(&mut lease, command, &committing))
                .await;
        match ran {
            Ok(Attempt::Again(error, Flaw::Lost)) => {
                lease.discard();
                Attempt::Again(error, Flaw::Lost)
            }
            Ok(attempt) => {
                lease.give_back();
                attempt
            }
            // The lease is dropped here, which cancels the statement and discards the connection.
            Err(_) if committing.load(Ordering::SeqCst) => {
                Attempt::Done(Err(PgError::OutcomeUnknown { doing: C::LABEL, source: None }.into()))
            }
            Err(_) => {
                Attempt::Done(Err(PgError::Unavailable { doing: C::LABEL, source: None }.into()))
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("schema", &self.schema)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

async fn run_once<C: Transaction>(
    lease: &mut Lease,
    command: &C,
    committing: &AtomicBool,
) -> Attempt<C> {
    let mut tx = Tx::new(lease.client(), committing);
    let ran = command.run(&tx).await;
    let flaw = tx.flaw();
    // The server answers COMMIT of a failed transaction with a silent ROLLBACK: never report that as done.
    match (ran, flaw, tx.take_committed()) {
        // Its last statements may tell that they were refused or lost; only this tells that nothing is certain.
        (_, _, Some(Err(error))) => commit_failed::<C>(error),
        (ran, Flaw::None, Some(Ok(()))) => Attempt::Done(ran),
        (Ok(output), Flaw::None, None) => match tx.send_commit().await {
            Ok(()) => Attempt::Done(Ok(output)),
            Err(error) => commit_failed::<C>(error),
        },
        (ran, flaw, _) => {
            tx.roll_back().await;
            let error = ran.err().unwrap_or_else(|| swallowed(C::LABEL, flaw).into());
            ended::<C>(flaw, error)
        }
    }
}

fn swallowed(doing: &'static str, flaw: Flaw) -> PgError {
    match flaw {
        Flaw::Conflict => PgError::Conflict { doing, source: None },
        Flaw::Lost | Flaw::Late => PgError::Unavailable { doing, source: None },
        Flaw::None | Flaw::Broken => PgError::Other {
            doing,
            source: Some("a failed statement was ignored inside the transaction".into()),
        },
    }
}

fn commit_failed<C: Transaction>(error: tokio_postgres::Error) -> Attempt<C> {
    let conflict = Flaw::of(&error) == Flaw::Conflict;
    let error = PgError::of_commit(C::LABEL, error).into();
    if conflict { Attempt::Again(error, Flaw::Conflict) } else { Attempt::Done(Err(error)) }
}

fn ended<C: Transaction>(flaw: Flaw, error: C::Error) -> Attempt<C> {
    match flaw {
        Flaw::Conflict | Flaw::Lost => Attempt::Again(error, flaw),
        Flaw::None | Flaw::Broken | Flaw::Late => Attempt::Done(Err(error)),
    }
}
