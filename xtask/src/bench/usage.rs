//! What a measurement cost: CPU and memory of each process, and what Postgres counted.

use anyhow::Context as _;
use gauntlet_testkit::{EmbeddedStore, Pid};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use tokio_postgres::Client;

/// Statements listed, the most expensive first.
const STATEMENTS_LISTED: usize = 25;
/// Characters of a statement that are shown.
const STATEMENT_CHARS: usize = 110;

/// Reads counters of the mesh.
pub(crate) struct Meter {
    pub(crate) sql: Client,
    processes: Vec<(&'static str, Pid)>,
}

/// Counters at the start of a measurement.
pub(crate) struct Start {
    cpu_ms: BTreeMap<&'static str, f64>,
    wal_lsn: String,
}

/// What a measurement cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Usage {
    /// CPU time by process; executors are summed up, so are the processes of Postgres.
    pub(crate) cpu_ms: BTreeMap<&'static str, f64>,
    /// Largest resident memory by process; of executors the largest one's. Postgres counts shared pages once a process.
    pub(crate) peak_rss_mib: BTreeMap<&'static str, f64>,
    /// Bytes of write-ahead log.
    pub(crate) wal_bytes: i64,
    /// Transactions committed; statements on their own, which only read, are not among them.
    pub(crate) commits: i64,
    /// Statements executed, BEGIN and COMMIT included: each is one round trip.
    pub(crate) round_trips: i64,
    /// Events written by one append, on average: how well commands were batched.
    pub(crate) events_per_append: f64,
    /// The most expensive statements by time in Postgres.
    pub(crate) statements: Vec<StatementUsage>,
}

/// What one statement cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatementUsage {
    /// Its text, shortened.
    pub(crate) statement: String,
    /// How often it was executed.
    pub(crate) calls: i64,
    /// Rows it returned or wrote.
    pub(crate) rows: i64,
    /// Time in Postgres, without the network and without the flush of a COMMIT.
    pub(crate) total_ms: f64,
}

impl Meter {
    pub(crate) fn new(
        sql: Client,
        mut processes: Vec<(&'static str, Pid)>,
        store: &EmbeddedStore,
    ) -> Self {
        processes.extend(store.postgres().pid().map(|pid| ("postgres", pid)));
        processes.extend(store.redis().pid().map(|pid| ("redis", pid)));
        processes.push(("generator", rustix::process::getpid()));
        Self { sql, processes }
    }

    /// Starts a measurement: counters of statements and peaks of memory begin anew.
    pub(crate) async fn start(&self) -> anyhow::Result<Start> {
        self.sql.query("SELECT pg_stat_statements_reset()", &[]).await?;
        for (_, pid) in &self.processes {
            // "5" resets the peak; a process whose peak cannot be reset shows that of its life.
            let _ = fs::write(format!("/proc/{}/clear_refs", pid.as_raw_pid()), "5");
        }
        let wal = "SELECT pg_current_wal_lsn()::text";
        let wal_lsn = self.sql.query_one(wal, &[]).await?.get(0);
        Ok(Start { cpu_ms: self.cpu_ms()?, wal_lsn })
    }

    /// Returns what was used since `start`.
    pub(crate) async fn stop(&self, start: &Start) -> anyhow::Result<Usage> {
        let mut cpu_ms = self.cpu_ms()?;
        for (name, before) in &start.cpu_ms {
            cpu_ms.entry(name).and_modify(|ms| *ms -= before);
        }
        let wal = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::text::pg_lsn)::bigint";
        let wal_bytes = self.sql.query_one(wal, &[&start.wal_lsn]).await?.get(0);
        let statements = self.statements().await?;
        let appends: Vec<_> =
            statements.iter().filter(|s| s.statement.contains("INSERT INTO run_events")).collect();
        let (rows, calls) =
            appends.iter().fold((0, 0), |(rows, calls), s| (rows + s.rows, calls + s.calls));
        Ok(Usage {
            cpu_ms,
            peak_rss_mib: self.peak_rss_mib()?,
            wal_bytes,
            commits: statements.iter().filter(|s| s.statement == "COMMIT").map(|s| s.calls).sum(),
            round_trips: statements.iter().map(|s| s.calls).sum(),
            events_per_append: rows as f64 / (calls.max(1)) as f64,
            statements: statements.into_iter().take(STATEMENTS_LISTED).collect(),
        })
    }

    async fn statements(&self) -> anyhow::Result<Vec<StatementUsage>> {
        let query = "SELECT s.query, s.calls, s.rows, s.total_exec_time FROM pg_stat_statements AS s \
                     JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = current_database() \
                     ORDER BY s.total_exec_time DESC";
        let rows = self.sql.query(query, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| StatementUsage {
                statement: shortened(row.get(0)),
                calls: row.get(1),
                rows: row.get(2),
                total_ms: row.get(3),
            })
            .collect())
    }

    fn cpu_ms(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let mut sums = BTreeMap::new();
        let ms_per_tick = 1_000.0 / rustix::param::clock_ticks_per_second() as f64;
        for (name, pid) in &self.processes {
            let mut ticks = Ticks::of(*pid).with_context(|| format!("{name} has ended"))?.own;
            if *name == "postgres" {
                ticks += ticks_of_children(*pid)?;
            }
            *sums.entry(*name).or_default() += ticks as f64 * ms_per_tick;
        }
        Ok(sums)
    }

    fn peak_rss_mib(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let mut peaks: BTreeMap<&'static str, f64> = BTreeMap::new();
        for (name, pid) in &self.processes {
            let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: f64 = line.unwrap_or_default().trim().trim_end_matches(" kB").parse()?;
            let peak = peaks.entry(name).or_default();
            *peak = peak.max(kib / 1_024.0);
        }
        Ok(peaks)
    }
}

/// CPU ticks of a process.
struct Ticks {
    parent: i32,
    own: u64,
    /// Of children that have ended.
    ended_children: u64,
}

impl Ticks {
    fn of(pid: Pid) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()))?;
        // The name before the last bracket may hold spaces.
        let (_, rest) = stat.rsplit_once(") ").context("stat has a name in brackets")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| -> anyhow::Result<u64> {
            Ok(fields.get(index).context("stat has fifty fields")?.parse()?)
        };
        Ok(Self {
            parent: fields.get(1).context("stat names the parent")?.parse()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

fn ticks_of_children(parent: Pid) -> anyhow::Result<u64> {
    let mut sum = Ticks::of(parent)?.ended_children;
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // A process that ended meanwhile is counted by its parent.
        if let Some(ticks) = pid.and_then(Pid::from_raw).and_then(|pid| Ticks::of(pid).ok())
            && ticks.parent == parent.as_raw_pid()
        {
            sum += ticks.own;
        }
    }
    Ok(sum)
}

/// Returns a statement without its comment, on one line, cut to a length that fits a table.
fn shortened(statement: &str) -> String {
    let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ").chars().take(STATEMENT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_without_its_comment_on_one_line() {
        assert_eq!(shortened("-- Reads.\nSELECT a\n  FROM b"), "SELECT a FROM b");
        assert_eq!(shortened(&"x".repeat(500)).len(), STATEMENT_CHARS);
    }

    #[test]
    fn a_process_has_used_time_and_has_a_parent() {
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 50 {}
        let ticks = Ticks::of(rustix::process::getpid()).unwrap();
        assert!(ticks.own > 0 && ticks.parent > 0);
    }
}
