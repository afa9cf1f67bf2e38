//! What the auditor reads and writes here. Locks the cursor of the audit and nothing else.

use super::outcomes::seal_of;
use super::seals::tests_of;
use super::{Store, sql};
use gauntlet_audit::{AuditError, Audited, BATCH_RUNS_MAX, Books, Due, Finding, Turn, query_all};
use gauntlet_core::RunId;
use gauntlet_core::seal::Sealed;
use gauntlet_pg::{Pool, Row, Statement, Tx};
use gauntlet_proto::v1;
use prost::Message as _;
use uuid::Uuid;

/// The invariants that are SQL.
const QUERIES: [Statement; 3] = [sql::AUDIT_RN5, sql::AUDIT_SH3, sql::AUDIT_FC1];
/// Runs of the sweep in one turn, and findings looked at again.
const SWEPT_RUNS_MAX: i64 = 16;

/// Where the audit of the rows of results stands.
pub(crate) struct Cursor {
    /// Time of a seal as Postgres writes it: it may be infinite.
    sealed_at: String,
    swept: Uuid,
}

impl Audited for Store {
    const SERVICE: &'static str = "results";
    const INVARIANTS: &'static [&'static str] = &["RN-5", "SH-3", "FC-1", "FN-2"];
    const BOOKS: Books = Books {
        settle: sql::AUDIT_SETTLE,
        count: sql::AUDIT_COUNT,
        ledger: sql::AUDIT_LEDGER,
        findings: sql::AUDIT_FINDINGS,
    };
    type Cursor = Cursor;

    fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A run that has not reported is nothing strange here.
    async fn expect_run(&self, _: Uuid) -> Result<(), AuditError> {
        Ok(())
    }

    async fn due(&self, tx: &Tx<'_>, turn: Turn) -> Result<Option<Due<Cursor>>, AuditError> {
        let Some(row) = tx.query_opt(sql::AUDIT_LOCK, &[]).await? else { return Ok(None) };
        let mut cursor = Cursor { sealed_at: row.get("sealed_at"), swept: row.get("swept_run_id") };
        let sealed = tx.query(sql::AUDIT_SEALED, &[&cursor.sealed_at, &BATCH_RUNS_MAX]).await?;
        let more = i64::try_from(sealed.len()) == Ok(BATCH_RUNS_MAX);
        if let Some(last) = sealed.last() {
            cursor.sealed_at = last.get("sealed_at");
        }
        let mut runs = ids(&sealed);
        if turn == Turn::First {
            runs.extend(ids(&tx.query(sql::AUDIT_SUSPECTS, &[&SWEPT_RUNS_MAX]).await?));
            let swept = ids(&tx.query(sql::AUDIT_SWEEP, &[&cursor.swept, &SWEPT_RUNS_MAX]).await?);
            // At the end it begins again.
            cursor.swept = swept.last().copied().unwrap_or(Uuid::nil());
            runs.extend(swept);
        }
        Ok(Some(Due { runs, more, cursor }))
    }

    async fn advance(&self, tx: &Tx<'_>, cursor: &Cursor) -> Result<(), AuditError> {
        tx.execute(sql::AUDIT_ADVANCE, &[&cursor.sealed_at, &cursor.swept]).await?;
        Ok(())
    }

    async fn check(&self, tx: &Tx<'_>, runs: &[Uuid]) -> Result<Vec<Finding>, AuditError> {
        let mut found = query_all(tx, &QUERIES, runs).await?;
        // One generation after the other: a large one has 100,000 rows.
        for row in tx.query(sql::AUDIT_VERDICTS, &[&runs]).await? {
            found.extend(other_digest(tx, &row).await?);
        }
        Ok(found)
    }
}

/// Computes a verdict's digest again from the sealed rows (FN-2).
async fn other_digest(tx: &Tx<'_>, row: &Row) -> Result<Option<Finding>, AuditError> {
    let (run_id, generation): (Uuid, i32) = (row.get("run_id"), row.get("generation"));
    let sealed = match seal_of(row) {
        Ok(seal) => tests_of(tx, RunId(run_id), &seal).await,
        Err(error) => Err(error),
    };
    let sealed = sealed.map(|tests| Sealed::again(tests, &[]).digest());
    let stored = v1::Verdict::decode(row.get::<_, &[u8]>("verdict")).map(|verdict| verdict.digest);
    let what = match (stored, sealed) {
        (Ok(stored), Ok(sealed)) if stored == sealed => return Ok(None),
        (Ok(stored), Ok(sealed)) => {
            format!(
                "the verdict of generation {generation} has digest {stored}, its rows have {sealed}"
            )
        }
        (Err(_), _) => format!("the verdict of generation {generation} cannot be read"),
        (_, Err(error)) => format!("generation {generation}: {error}"),
    };
    Ok(Some(Finding { invariant: "FN-2".to_owned(), run_id, what }))
}

fn ids(rows: &[Row]) -> Vec<Uuid> {
    rows.iter().map(|row| row.get("run_id")).collect()
}
