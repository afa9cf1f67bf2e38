//! The books: what was checked and what was found.

use gauntlet_pg::{PgError, Pool, Retry, Row, Statement, Tx};
use gauntlet_proto::{edge, v1};
use gauntlet_rpc::{Details, Reason, ToStatus};
use jiff::Timestamp;
use uuid::Uuid;

/// The statements on a service's tables `audits` and `audit_findings`.
#[derive(Debug, Clone, Copy)]
pub struct Books {
    /// `(runs, invariants, run of each, what of each)`: replaces the findings of the runs; returns those that are new.
    pub settle: Statement,
    /// `(invariants, count)`: notes that so many runs were checked.
    pub count: Statement,
    /// Returns `(invariant, checked_at, run_count, violation_count)`.
    pub ledger: Statement,
    /// Returns `(invariant, run_id, what, found_at)`, newest first.
    pub findings: Statement,
}

/// A run that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Id of the invariant.
    pub invariant: String,
    /// The run.
    pub run_id: Uuid,
    /// What was seen.
    pub what: String,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Postgres failed.
    #[error("the store failed")]
    Pg(#[source] PgError),
    /// The run is not there.
    #[error("no such run: {0}")]
    NoSuchRun(Uuid),
}

impl From<PgError> for AuditError {
    fn from(error: PgError) -> Self {
        Self::Pg(error)
    }
}

impl ToStatus for AuditError {
    fn reason(&self) -> Reason {
        match self {
            Self::Pg(error) => match error.retry() {
                Retry::SameCall { .. } => Reason::StoreUnavailable,
                Retry::WholeTransaction => Reason::Conflict,
                Retry::Never => Reason::Internal,
            },
            Self::NoSuchRun(_) => Reason::RunNotFound,
        }
    }

    fn details(&self, d: &mut Details) {
        if let Self::NoSuchRun(run_id) = self {
            d.resource("run", format!("runs/{run_id}"));
        }
    }
}

impl Finding {
    pub(crate) fn of(row: &Row) -> Self {
        Self { invariant: row.get("invariant"), run_id: row.get("run_id"), what: row.get("what") }
    }

    pub(crate) fn wire(&self, service: &str, found_at: Timestamp) -> v1::InvariantViolation {
        v1::InvariantViolation {
            invariant: self.invariant.clone(),
            service: service.to_owned(),
            run_id: self.run_id.to_string(),
            what: self.what.clone(),
            find_time: Some(edge::timestamp(found_at)),
        }
    }
}

impl Books {
    /// Writes what a batch found and returns what nobody had found before.
    pub(crate) async fn write(
        &self,
        tx: &Tx<'_>,
        invariants: &[&str],
        runs: &[Uuid],
        found: &[Finding],
    ) -> Result<Vec<Finding>, AuditError> {
        let ids: Vec<&str> = found.iter().map(|finding| finding.invariant.as_str()).collect();
        let of: Vec<Uuid> = found.iter().map(|finding| finding.run_id).collect();
        let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        let new = tx.query(self.settle, &[&runs, &ids, &of, &what]).await?;
        let count = i64::try_from(runs.len()).unwrap_or(i64::MAX);
        tx.execute(self.count, &[&invariants, &count]).await?;
        Ok(new.iter().map(Finding::of).collect())
    }

    /// Reads the books. Two statements: a finding may be newer than its count.
    pub(crate) async fn read(
        &self,
        pool: &Pool,
        service: &str,
    ) -> Result<v1::AuditLedgerResponse, AuditError> {
        let ledger = pool.read().query(self.ledger, &[]).await?;
        let findings = pool.read().query(self.findings, &[]).await?;
        let invariant = |row: &Row| v1::InvariantAudit {
            invariant: row.get("invariant"),
            service: service.to_owned(),
            check_time: Some(edge::timestamp(row.get("checked_at"))),
            run_count: row.get("run_count"),
            violation_count: row.get("violation_count"),
        };
        let violation = |row: &Row| Finding::of(row).wire(service, row.get("found_at"));
        Ok(v1::AuditLedgerResponse {
            invariants: ledger.iter().map(invariant).collect(),
            violations: findings.iter().map(violation).collect(),
        })
    }
}
