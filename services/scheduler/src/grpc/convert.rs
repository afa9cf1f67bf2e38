//! Between rows and messages: pages, runs, tests.

use super::error::CallError;
use crate::events::wire_state;
use crate::store::catalog::TestRow;
use crate::store::reads::RunView;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauntlet_core::protocol::RunState;
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::Clock;
use jiff::Timestamp;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// Where a page ended, and of which list. Private: clients see base64.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PageToken {
    /// Hash of the filter; a token of another list is refused.
    #[prost(bytes = "vec", tag = "1")]
    fingerprint: Vec<u8>,
    /// Last key of the page.
    #[prost(string, repeated, tag = "2")]
    pub(crate) key: Vec<String>,
}

fn fingerprint(filter: &[&str]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in filter {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()[..8].to_vec()
}

/// Returns the token of the page after `key`.
pub(crate) fn page_token(filter: &[&str], key: Vec<String>) -> String {
    let token = PageToken { fingerprint: fingerprint(filter), key };
    URL_SAFE_NO_PAD.encode(token.encode_to_vec())
}

/// Returns the key that a page starts after; none for the first page.
pub(crate) fn page_key(
    filter: &[&str],
    token: &str,
    parts: usize,
) -> Result<Option<Vec<String>>, CallError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| CallError::PageToken)?;
    let token = PageToken::decode(bytes.as_slice()).map_err(|_| CallError::PageToken)?;
    if token.fingerprint != fingerprint(filter) || token.key.len() != parts {
        return Err(CallError::PageToken);
    }
    Ok(Some(token.key))
}

/// Returns a run as the contract shows it. `offered` are the browsers of living executors.
pub(crate) fn run(view: RunView, offered: &[String]) -> v1::Run {
    let waiting_reason = waiting_reason(&view, offered, Clock::system().now());
    // The scheduler wrote these blobs itself; one it cannot read any more is shown as absent.
    let verdict = view.verdict.as_deref().and_then(|bytes| v1::Verdict::decode(bytes).ok());
    v1::Run {
        run_id: view.run_id.to_string(),
        generation: view.generation,
        kind: v1::RunKind::TestRun.into(),
        state: wire_state(view.state).into(),
        revision: view.revision,
        project: view.project,
        environment: view.environment,
        options: v1::RunOptions::decode(view.options.as_slice()).ok().map(without_values),
        trigger: v1::Trigger::decode(view.trigger.as_slice()).ok(),
        test_count: view.test_count,
        shard_count: view.shard_count,
        open_shard_count: view.open_shard_count,
        verdict,
        state_reason: view.reason.unwrap_or_default(),
        waiting_reason,
        create_time: Some(edge::timestamp(view.created_at)),
        start_time: view.started_at.map(edge::timestamp),
        finish_time: view.finished_at.map(edge::timestamp),
    }
}

/// Variables may be secrets: people see their names, executors their values.
fn without_values(mut options: v1::RunOptions) -> v1::RunOptions {
    for value in options.variables.values_mut() {
        *value = "(hidden)".to_owned();
    }
    options
}

fn waiting_reason(view: &RunView, offered: &[String], now: Timestamp) -> String {
    let waits = matches!(view.state, RunState::Queued | RunState::Running);
    if !waits || view.queued_browsers.is_empty() {
        return String::new();
    }
    if offered.is_empty() {
        return "no executor is connected".to_owned();
    }
    if let Some(missing) = view.queued_browsers.iter().find(|b| !offered.contains(b)) {
        return format!("no executor offers {missing}");
    }
    match view.claimable_at.filter(|at| *at > now) {
        Some(at) => format!("backing off until {at:.0} after an infrastructure failure"),
        None => "waiting for a free executor slot".to_owned(),
    }
}

/// Returns a test as the contract shows it.
pub(crate) fn test(row: TestRow) -> v1::Test {
    let review_state =
        if row.approved { v1::ReviewState::Approved } else { v1::ReviewState::Draft };
    v1::Test {
        test_id: row.test_id.to_string(),
        project: row.project,
        name: row.name,
        file: row.file,
        tags: row.tags,
        review_state: review_state.into(),
        revision_hash: edge::hex(&row.hash),
        step_count: row.step_count,
        create_time: Some(edge::timestamp(row.created_at)),
        update_time: Some(edge::timestamp(row.updated_at)),
    }
}
