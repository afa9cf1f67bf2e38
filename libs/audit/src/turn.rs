//! The loop: a turn every ten seconds, in batches, each a transaction.
//!
//! Between two batches it rests nine times as long as it worked: nobody waits because of the auditor. What changed faster
//! than it is audited is audited later, in order, and the books say when.

use crate::{AuditError, Audited, Finding, Turn};
use gauntlet_pg::{Transaction, Tx};
use gauntlet_proto::v1;
use gauntlet_runtime::{Lifecycle, error_chain};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two turns.
const TURN_INTERVAL: Duration = Duration::from_secs(10);
/// Rest after a batch, in times of what the batch took: the auditor and its queries keep to a tenth of one core.
const REST: u32 = 9;

/// Audits one batch.
struct Batch<'a, A> {
    audited: &'a A,
    turn: Turn,
}

/// What a batch came to.
struct Audit {
    new: Vec<Finding>,
    more: bool,
}

impl<A: Audited> Transaction for Batch<'_, A> {
    const LABEL: &'static str = "audit";
    /// None when another replica audits.
    type Output = Option<Audit>;
    type Error = AuditError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Option<Audit>, AuditError> {
        // A batch that is lost in a crash is audited again, so nobody waits for the disk.
        tx.batch("SET LOCAL synchronous_commit = off").await?;
        let Some(mut due) = self.audited.due(tx, self.turn).await? else { return Ok(None) };
        due.runs.sort_unstable();
        due.runs.dedup();
        let mut new = Vec::new();
        if !due.runs.is_empty() {
            let found = self.audited.check(tx, &due.runs).await?;
            new = A::BOOKS.write(tx, A::INVARIANTS, &due.runs, &found).await?;
        }
        self.audited.advance(tx, &due.cursor).await?;
        Ok(Some(Audit { new, more: due.more }))
    }
}

/// Audits until the drain.
pub async fn run<A: Audited>(audited: A, lifecycle: Lifecycle) {
    let metrics = Metrics::new();
    while !lifecycle.is_draining() {
        let next = Instant::now() + TURN_INTERVAL;
        if let Err(error) = turn(&audited, &metrics, next, &lifecycle).await {
            tracing::warn!(error = %error_chain(&error), "audit failed, next try in ten seconds");
        }
        tokio::select! {
            () = lifecycle.draining() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// What is counted. Without a collector it goes nowhere.
struct Metrics {
    violations: Counter<u64>,
    standing: Gauge<u64>,
}

impl Metrics {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("gauntlet");
        let violations = meter.u64_counter("gauntlet.audit.violations");
        let standing = meter.u64_gauge("gauntlet.audit.violations.standing");
        Self {
            violations: violations.with_description("Violations found, each once.").build(),
            standing: standing.with_description("Violations that stand now.").build(),
        }
    }
}

fn labels(invariant: &str, service: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("invariant", invariant.to_owned()), KeyValue::new("service", service)]
}

/// Audits what is due, and tells what stands afterwards.
async fn turn<A: Audited>(
    audited: &A,
    metrics: &Metrics,
    next: Instant,
    lifecycle: &Lifecycle,
) -> Result<(), AuditError> {
    batches(audited, metrics, next, lifecycle).await?;
    let ledger = A::BOOKS.read(audited.pool(), A::SERVICE).await?;
    for v1::InvariantAudit { invariant, violation_count, .. } in ledger.invariants {
        metrics.standing.record(violation_count.unsigned_abs(), &labels(&invariant, A::SERVICE));
    }
    Ok(())
}

async fn batches<A: Audited>(
    audited: &A,
    metrics: &Metrics,
    next: Instant,
    lifecycle: &Lifecycle,
) -> Result<(), AuditError> {
    let mut turn = Turn::First;
    loop {
        let begun = Instant::now();
        let audit = audited.pool().transact(&Batch { audited, turn }).await?;
        let Some(Audit { new, more }) = audit else { return Ok(()) };
        for finding in new {
            metrics.violations.add(1, &labels(&finding.invariant, A::SERVICE));
            tracing::error!(
                invariant = finding.invariant,
                run.id = %finding.run_id,
                what = finding.what,
                service = A::SERVICE,
                "an invariant does not hold"
            );
        }
        let rest = begun.elapsed() * REST;
        if !more || Instant::now() + rest >= next {
            return Ok(());
        }
        tokio::select! {
            () = lifecycle.draining() => return Ok(()),
            () = tokio::time::sleep(rest) => {}
        }
        turn = Turn::Further;
    }
}
