//! What the auditor reads and writes here. Locks the cursor of the audit and nothing else.

use super::{Store, sql};
use crate::audit::{Logged, check_logs};
use gauntlet_audit::{AuditError, Audited, BATCH_RUNS_MAX, Books, Due, Finding, Turn, query_all};
use gauntlet_core::limits::FEED_LANES;
use gauntlet_pg::{Pool, Row, Statement, Tx};
use uuid::Uuid;

/// The invariants that are SQL.
const QUERIES: [Statement; 11] = [
    sql::AUDIT_RN1,
    sql::AUDIT_RN2,
    sql::AUDIT_RN3,
    sql::AUDIT_RN4,
    sql::AUDIT_SH1,
    sql::AUDIT_SH2,
    sql::AUDIT_SH4,
    sql::AUDIT_FN1,
    sql::AUDIT_FD1,
    sql::AUDIT_ST1,
    sql::AUDIT_ST2,
];
/// Ends of runs read from each lane of the feed for one batch.
const ENDS_PER_LANE_MAX: i64 = BATCH_RUNS_MAX / FEED_LANES as i64;
/// Runs read for one batch of each kind of suspects.
const SUSPECTS_MAX: i64 = 16;
/// Runs of the sweep in one turn.
const SWEPT_RUNS_MAX: i64 = 16;

/// Where the audit of the scheduler's rows stands.
pub(crate) struct Cursor {
    positions: Vec<i64>,
    swept: Uuid,
}

impl Audited for Store {
    const SERVICE: &'static str = "scheduler";
    const INVARIANTS: &'static [&'static str] =
        &["RN-1", "RN-2", "RN-3", "RN-4", "SH-1", "SH-2", "SH-4", "FN-1", "FD-1", "ST-1", "ST-2"];
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

    async fn expect_run(&self, run_id: Uuid) -> Result<(), AuditError> {
        let found = self.pool.read().query_opt(sql::RUNS_FIND_OPTIONS, &[&run_id]).await?;
        found.map(|_| ()).ok_or(AuditError::NoSuchRun(run_id))
    }

    async fn due(&self, tx: &Tx<'_>, turn: Turn) -> Result<Option<Due<Cursor>>, AuditError> {
        let Some(row) = tx.query_opt(sql::AUDIT_LOCK, &[]).await? else { return Ok(None) };
        let mut cursor = Cursor { positions: row.get("positions"), swept: row.get("swept_run_id") };
        let ended = tx.query(sql::AUDIT_ENDED, &[&cursor.positions, &ENDS_PER_LANE_MAX]).await?;
        let mut full = vec![0; cursor.positions.len()];
        let mut runs = Vec::with_capacity(ended.len());
        for row in &ended {
            let lane = usize::try_from(row.get::<_, i64>("lane") - 1).unwrap_or(0);
            if let (Some(position), Some(count)) =
                (cursor.positions.get_mut(lane), full.get_mut(lane))
            {
                *position = row.get("position");
                *count += 1;
            }
            runs.push(row.get("run_id"));
        }
        if turn == Turn::First {
            runs.extend(ids(&tx.query(sql::AUDIT_SUSPECTS, &[&SUSPECTS_MAX]).await?));
            let swept = ids(&tx.query(sql::AUDIT_SWEEP, &[&cursor.swept, &SWEPT_RUNS_MAX]).await?);
            // At the end it begins again.
            cursor.swept = swept.last().copied().unwrap_or(Uuid::nil());
            runs.extend(swept);
        }
        Ok(Some(Due { runs, more: full.contains(&ENDS_PER_LANE_MAX), cursor }))
    }

    async fn advance(&self, tx: &Tx<'_>, cursor: &Cursor) -> Result<(), AuditError> {
        tx.execute(sql::AUDIT_ADVANCE, &[&cursor.positions, &cursor.swept]).await?;
        Ok(())
    }

    async fn check(&self, tx: &Tx<'_>, runs: &[Uuid]) -> Result<Vec<Finding>, AuditError> {
        let mut found = query_all(tx, &QUERIES, runs).await?;
        let log = tx.query(sql::AUDIT_LOG, &[&runs]).await?;
        let logs: Vec<Logged> = log.iter().map(logged).collect();
        found.extend(check_logs(&logs));
        Ok(found)
    }
}

fn ids(rows: &[Row]) -> Vec<Uuid> {
    rows.iter().map(|row| row.get("run_id")).collect()
}

fn logged(row: &Row) -> Logged {
    Logged {
        run_id: row.get("run_id"),
        state: row.get("state"),
        digest: row.get("digest"),
        is_terminal: row.get("terminal"),
        payload: row.get("payload"),
    }
}
