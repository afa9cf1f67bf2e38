//! Follows the scheduler's feed: a terminal event with a callback URL becomes a delivery.
//!
//! The delivery and the cursor are one transaction, so a crash anywhere neither loses nor doubles one (E2, DL-1).

use crate::store::{Cursor, NewDelivery, Store};
use gauntlet_core::RunId;
use gauntlet_pg::PgError;
use gauntlet_proto::v1::{self, event_feed_service_client::EventFeedServiceClient};
use gauntlet_proto::{FieldViolation, edge};
use gauntlet_rpc::{Peer, Reason, limited, reason_of};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tonic::Status;

/// Why the feed is opened again.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the feed ended")]
    Feed(#[source] Box<Status>),
    #[error("an event is malformed: {} {}", .0.field, .0.description)]
    Event(FieldViolation),
    #[error("the store failed")]
    Store(#[source] PgError),
}

/// The follower of this process.
pub(crate) struct Follower {
    pub(crate) store: Store,
    pub(crate) scheduler: Peer,
    pub(crate) created: Arc<Notify>,
    pub(crate) lifecycle: Lifecycle,
}

impl Follower {
    /// Follows until the drain, reconnecting for ever.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while !self.lifecycle.is_draining() {
            let ended = tokio::select! {
                () = self.lifecycle.draining() => return,
                ended = self.follow(&mut backoff) => ended,
            };
            if let Err(error) = ended {
                self.reset_after(&error).await;
                tracing::debug!(error = %error_chain(&error), "feed is opened again");
            }
            tokio::select! {
                () = self.lifecycle.draining() => return,
                _ = backoff.sleep() => {}
            }
        }
    }

    async fn follow(&self, backoff: &mut Backoff) -> Result<(), FollowError> {
        let feed = |status| FollowError::Feed(Box::new(status));
        let cursors = self.store.list_cursors().await.map_err(FollowError::Store)?;
        let request = v1::WatchEventsRequest {
            feed_id: cursors.first().map(|c| c.feed_id.to_string()).unwrap_or_default(),
            cursors: cursors
                .iter()
                .map(|c| v1::FeedCursor { lane: c.lane, position: c.position })
                .collect(),
            terminal_only: true,
        };
        let mut scheduler = limited!(EventFeedServiceClient::new(self.scheduler.clone()));
        let mut events = scheduler.watch_events(request).await.map_err(feed)?.into_inner();
        while let Some(message) = events.next().await {
            let message = message.map_err(feed)?;
            backoff.reset();
            if let (Some(at), Some(event)) = (message.cursor, message.event) {
                let feed_id =
                    edge::uuid("feed_id", &message.feed_id).map_err(FollowError::Event)?;
                let cursor = Cursor { lane: at.lane, feed_id, position: at.position };
                self.take(cursor, &event).await?;
            }
        }
        Ok(())
    }

    /// The feed was restored: its events are read again from the start, which is idempotent.
    async fn reset_after(&self, error: &FollowError) {
        let reset =
            matches!(error, FollowError::Feed(s) if reason_of(s) == Some(Reason::FeedReset));
        // A reset that fails is asked for again at the next connection.
        if reset && let Err(error) = self.store.reset_cursors().await {
            tracing::warn!(error = %error_chain(&error), "cursors of a restored feed are still there");
        }
    }

    async fn take(&self, cursor: Cursor, event: &v1::RunEvent) -> Result<(), FollowError> {
        let delivery = delivery(event).map_err(FollowError::Event)?;
        let taken = self.store.take_event(cursor, delivery.as_ref()).await;
        taken.map_err(FollowError::Store)?;
        if delivery.is_some() {
            self.created.notify_one();
        }
        Ok(())
    }
}

/// Returns the delivery of an event; none when nobody asked to be told.
fn delivery(event: &v1::RunEvent) -> Result<Option<NewDelivery>, FieldViolation> {
    let Some(v1::run_event::Event::Terminal(terminal)) = &event.event else { return Ok(None) };
    if terminal.callback_url.is_empty() {
        return Ok(None);
    }
    let run_id = RunId(edge::uuid("event.run_id", &event.run_id)?);
    Ok(Some(NewDelivery {
        delivery_id: delivery_id(&event.run_id, event.generation, &terminal.callback_url),
        run_id,
        generation: event.generation,
        url: terminal.callback_url.clone(),
        body: body(event, terminal),
    }))
}

/// One id for each (run, generation, endpoint), derived, so that a repeated event has the same (DL-1).
fn delivery_id(run_id: &str, generation: i32, url: &str) -> String {
    let digest = Sha256::digest(format!("{run_id}\n{generation}\n{url}"));
    digest.iter().take(16).fold("msg_".to_owned(), |mut id, byte| {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The callback's document (E3). `passed` and `failed` count tests; flaky ones passed, timed out ones failed.
fn body(event: &v1::RunEvent, terminal: &v1::RunTerminal) -> String {
    let verdict = terminal.verdict.clone().unwrap_or_default();
    let counts = verdict.counts.unwrap_or_default();
    let state = terminal.state().as_str_name().trim_start_matches("RUN_STATE_");
    let error = if verdict.error.is_empty() { &terminal.reason } else { &verdict.error };
    serde_json::json!({
        "type": "run.completed",
        "run_id": event.run_id,
        "generation": event.generation,
        "state": state,
        "passed": counts.passed + counts.flaky,
        "failed": counts.failed + counts.timed_out,
        "total": terminal.test_count,
        "error": error,
        "gate_result": null,
        "web_vitals_result": null,
    })
    .to_string()
}
