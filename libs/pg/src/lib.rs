//! Postgres for every service: a pool that cannot hang, transactions as labelled values, SQL in files, migrations.
//!
//! Owns begin, commit, rollback, retries, timeouts and the translation of SQLSTATE. It knows no table and no domain.
//! A crash between two statements rolls the transaction back; a crash while COMMIT is in flight leaves it done or not
//! done, which [`PgError::OutcomeUnknown`] says to those who survive: every command can be repeated.
//!
//! ```ignore
//! const CLOSE: Statement = sql!("runs/close");                    // queries/runs/close.sql of the calling crate
//!
//! pub struct CloseRun<'a> { pub run_id: Uuid, pub verdict: &'a str }
//! impl Transaction for CloseRun<'_> {
//!     const LABEL: &'static str = "close_run";
//!     type Output = bool;
//!     type Error = StoreError;                                    // From<PgError>
//!     async fn run(&self, tx: &Tx<'_>) -> Result<bool, StoreError> {
//!         Ok(tx.execute(CLOSE, &[&self.run_id, &self.verdict]).await? == 1)
//!     }
//! }
//! let closed = pool.transact(&CloseRun { run_id, verdict }).await?;
//! let row = pool.read().query_opt(FIND, &[&run_id]).await?;
//! ```
//!
//! # Public surface
//! * [`PgArgs`] (clap) → [`PgArgs::config`] → [`PgConfig`]; [`PgConfig::from_url`] for tests.
//! * [`Pool`]: `connect(&config, application_name, schema).await`, `lazy(..)`, `transact(&command).await`, `read()`,
//!   `write_idempotent()`, `write_once()`,
//!   `check(expected_version).await`, `status()`, `close()`.
//! * [`Single`] and [`Tx`]: `query`, `query_one`, `query_opt` (and on `Tx`: `execute`, `batch`), all taking
//!   `impl Into<Statement>`: a [`Statement`], a reference to one, or a `&'static str`.
//! * [`Tx::begin_with`], [`Tx::pipeline`], [`Tx::commit_with`]: many statements in one round trip; [`Flight`] holds the last.
//! * [`Transaction`]: what one transaction does, re-runnable. [`sql!`], [`prepare_all`]: SQL files and their proof.
//! * [`migrations!`], [`migrate`], [`latest_version`], [`SchemaError`]: the schema and its version.
//! * [`PgError`], [`Retry`]: what went wrong and whether to try again.
//!
//! # Adding a query
//! Write `queries/<table>/<verb>.sql` (one statement; first a comment on what it locks and what makes it idempotent),
//! name it with [`sql!`], call it from a [`Transaction`] or a [`Single`], and add it to the list which the service's test
//! gives to [`prepare_all`].

mod args;
mod error;
mod flight;
mod lease;
mod migrate;
mod pool;
mod single;
mod statement;
#[cfg(feature = "step")]
pub mod step;
mod tx;

pub use args::{ConfigError, PgArgs, PgConfig};
pub use error::{PgError, Retry};
pub use flight::{Flight, Param};
pub use migrate::{SchemaError, latest_version, migrate, runner};
pub use pool::{Pool, PoolStatus};
pub use refinery::Runner;
pub use single::Single;
pub use statement::{Prepared, Statement, prepare_all};
pub use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};
pub use tx::{Transaction, Tx};
