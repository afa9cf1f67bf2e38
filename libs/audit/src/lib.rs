//! The continuous auditor: the invariants as queries, run over what changed and slowly over everything.
//!
//! Owns the loop, the books (what was checked, what was found and still stands) and `AuditService`. It knows no invariant and
//! no table: a service brings an [`Audited`], whose checks are static SQL over the rows it owns. An audit changes nothing but
//! the books. One replica audits at a time, by the lock on the cursor's row; a crash in a batch rolls it back, and whoever
//! takes the next turn does it again.
//!
//! ```ignore
//! impl Audited for Store {
//!     const SERVICE: &'static str = "results";
//!     const INVARIANTS: &'static [&'static str] = &["RN-5", "SH-3"];
//!     const BOOKS: Books = Books { settle: sql::AUDIT_SETTLE, /* … */ };
//!     // … which runs are due, and the checks
//! }
//! routes.add_service(limited!(AuditServiceServer::new(AuditHandlers::new(store.clone()))));
//! lifecycle.spawn("audit", gauntlet_audit::run(store, lifecycle.clone()));
//! ```
//!
//! # Adding an invariant
//! Write `queries/audit/<id>.sql`: one statement (one snapshot) that returns `(invariant, run_id, what)` for the runs `$1` that
//! break it, with a LIMIT. Name it in [`Audited::INVARIANTS`] and in `check`, and seed a violation in the service's test.

mod books;
mod grpc;
mod turn;

pub use books::{AuditError, Books, Finding};
pub use grpc::{AuditHandlers, audit};
pub use turn::run;

use gauntlet_pg::{Pool, Statement, Tx};
use uuid::Uuid;

/// Runs of one batch, and so of one transaction.
pub const BATCH_RUNS_MAX: i64 = 16;

/// Runs that are due, and where the cursor stands after them.
#[derive(Debug)]
pub struct Due<C> {
    /// The runs; one may stand here twice.
    pub runs: Vec<Uuid>,
    /// Whether more changed than fits in a batch.
    pub more: bool,
    /// Where the next batch begins.
    pub cursor: C,
}

/// Which batch of a turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The first: it also looks at what is known to be broken or stuck, and at some of all runs.
    First,
    /// A further one: only what changed.
    Further,
}

/// Rows that can be audited.
pub trait Audited: Clone + Send + Sync + 'static {
    /// The service that owns them.
    const SERVICE: &'static str;
    /// Every invariant that [`Audited::check`] checks.
    const INVARIANTS: &'static [&'static str];
    /// The statements of its books.
    const BOOKS: Books;
    /// Where the audit stands.
    type Cursor: Send + Sync;

    /// Returns the connections.
    fn pool(&self) -> &Pool;

    /// Fails with [`AuditError::NoSuchRun`] when the run is not there and should be.
    fn expect_run(&self, run_id: Uuid) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Locks the cursor and returns what is due; none when another replica has it.
    fn due(
        &self,
        tx: &Tx<'_>,
        turn: Turn,
    ) -> impl Future<Output = Result<Option<Due<Self::Cursor>>, AuditError>> + Send;

    /// Moves the cursor, in the transaction that locked it.
    fn advance(
        &self,
        tx: &Tx<'_>,
        cursor: &Self::Cursor,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Checks every invariant on the runs.
    fn check(
        &self,
        tx: &Tx<'_>,
        runs: &[Uuid],
    ) -> impl Future<Output = Result<Vec<Finding>, AuditError>> + Send;
}

/// Runs queries that return `(invariant, run_id, what)` on the runs, one after the other.
///
/// # Errors
/// When Postgres fails.
pub async fn query_all(
    tx: &Tx<'_>,
    statements: &[Statement],
    runs: &[Uuid],
) -> Result<Vec<Finding>, AuditError> {
    let mut found = Vec::new();
    for statement in statements {
        let rows = tx.query(statement, &[&runs]).await?;
        found.extend(rows.iter().map(Finding::of));
    }
    Ok(found)
}
