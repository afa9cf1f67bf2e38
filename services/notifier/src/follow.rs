//! What the notifier makes of the feed: the end of a run with a callback URL becomes a delivery.
//!
//! The delivery and the cursor are one transaction, so a crash anywhere neither loses nor doubles one (E2, DL-1).

use crate::store::{NewDelivery, Store};
use gauntlet_feed::{Cursor, Ended, Subscriber};
use gauntlet_pg::PgError;
use gauntlet_proto::v1;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

impl Subscriber for Store {
    type Error = PgError;

    async fn list_cursors(&self) -> Result<Vec<Cursor>, PgError> {
        self.list_cursors().await
    }

    async fn reset_cursors(&self) -> Result<(), PgError> {
        self.reset_cursors().await
    }

    async fn advance(&self, cursor: Cursor) -> Result<(), PgError> {
        self.take_event(cursor, None).await
    }

    fn needs(&self, ended: &Ended) -> bool {
        !ended.terminal.callback_url.is_empty()
    }

    async fn act(&self, ended: &Ended, cursor: Cursor) -> Result<(), PgError> {
        self.take_event(cursor, delivery(ended).as_ref()).await
    }
}

/// Returns the delivery of an event; none when nobody asked to be told.
fn delivery(ended: &Ended) -> Option<NewDelivery> {
    let url = &ended.terminal.callback_url;
    (!url.is_empty()).then(|| NewDelivery {
        delivery_id: delivery_id(ended, url),
        run_id: ended.run_id,
        generation: ended.generation,
        url: url.clone(),
        body: body(ended).to_string(),
        traceparent: ended.terminal.traceparent.clone(),
    })
}

/// One id for each (run, generation, endpoint), derived, so that a repeated event has the same (DL-1).
fn delivery_id(ended: &Ended, url: &str) -> String {
    let digest = Sha256::digest(format!("{}\n{}\n{url}", ended.run_id, ended.generation));
    digest.iter().take(16).fold("msg_".to_owned(), |mut id, byte| {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The callback's document (E3); null is what there is none of. `passed` and `failed` are the two sides that a receiver
/// wants: flaky tests passed, timed out ones failed. `counts` tells every outcome, unless the run ended without a verdict.
fn body(ended: &Ended) -> Value {
    let verdict = ended.terminal.verdict.as_ref();
    let counts = verdict.and_then(|verdict| verdict.counts.as_ref());
    let errors = [verdict.map_or("", |verdict| &verdict.error), &ended.terminal.reason];
    json!({
        "type": "run.completed",
        "run_id": ended.run_id.to_string(),
        "generation": ended.generation,
        "state": ended.state.as_str_name().trim_start_matches("RUN_STATE_"),
        "passed": counts.map_or(0, |counts| counts.passed + counts.flaky),
        "failed": counts.map_or(0, |counts| counts.failed + counts.timed_out),
        "total": ended.test_count,
        "counts": counts.map(every_count),
        "error": errors.into_iter().find(|error| !error.is_empty()),
        "gate_result": null,
        "web_vitals_result": null,
    })
}

fn every_count(counts: &v1::OutcomeCounts) -> Value {
    let v1::OutcomeCounts { passed, flaky, failed, timed_out, skipped, errored, not_run } = counts;
    json!({
        "passed": passed,
        "flaky": flaky,
        "failed": failed,
        "timed_out": timed_out,
        "skipped": skipped,
        "errored": errored,
        "not_run": not_run,
    })
}
