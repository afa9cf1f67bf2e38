//! Follows the scheduler's feed: runs that ended without a verdict (aborted, stopped) are sealed here.
//!
//! The cursor moves in the transaction that seals, so a crash repeats an event and the seal is idempotent.

use crate::seal::Rest;
use crate::store::{Cursor, Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_proto::v1::{self, event_feed_service_client::EventFeedServiceClient};
use gauntlet_proto::{FieldViolation, edge};
use gauntlet_rpc::{Peer, Reason, limited, reason_of};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use std::collections::BTreeSet;
use std::time::Duration;
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
    Store(#[source] StoreError),
}

/// The follower of this process.
pub(crate) struct Follower {
    store: Store,
    scheduler: EventFeedServiceClient<Peer>,
    lifecycle: Lifecycle,
}

impl Follower {
    pub(crate) fn new(store: Store, scheduler: Peer, lifecycle: &Lifecycle) -> Self {
        let scheduler = limited!(EventFeedServiceClient::new(scheduler));
        Self { store, scheduler, lifecycle: lifecycle.clone() }
    }

    /// Follows until the drain, reconnecting for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let lifecycle = self.lifecycle.clone();
            let ended = tokio::select! {
                () = lifecycle.draining() => return,
                ended = self.follow(&mut backoff) => ended,
            };
            let Err(error) = ended else { continue };
            self.reset_after(&error).await;
            tracing::debug!(error = %error_chain(&error), "feed is opened again");
            tokio::select! {
                () = lifecycle.draining() => return,
                _ = backoff.sleep() => {}
            }
        }
    }

    async fn follow(&mut self, backoff: &mut Backoff) -> Result<(), FollowError> {
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
        let mut events = self.scheduler.watch_events(request).await.map_err(feed)?.into_inner();
        while let Some(message) = events.next().await {
            let message = message.map_err(feed)?;
            backoff.reset();
            if let (Some(at), Some(event)) = (message.cursor, message.event) {
                let feed_id =
                    edge::uuid("feed_id", &message.feed_id).map_err(FollowError::Event)?;
                let cursor = Cursor { lane: at.lane, feed_id, position: at.position };
                self.act(cursor, &event).await?;
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

    async fn act(&self, cursor: Cursor, event: &v1::RunEvent) -> Result<(), FollowError> {
        let run_id = edge::uuid("event.run_id", &event.run_id).map(RunId);
        let run_id = run_id.map_err(FollowError::Event)?;
        let Some(v1::run_event::Event::Terminal(terminal)) = &event.event else {
            return self.store.advance(cursor).await.map_err(FollowError::Store);
        };
        if terminal.verdict.is_some() {
            return self.store.advance(cursor).await.map_err(FollowError::Store);
        }
        let rest = match terminal.state() {
            v1::RunState::Aborted => Rest::Aborted,
            _ => Rest::Failed(BTreeSet::new()),
        };
        let test_count = terminal.test_count.unsigned_abs();
        let sealed = self.store.seal_at(run_id, event.generation, test_count, &rest, cursor).await;
        sealed.map(|_| ()).map_err(FollowError::Store)
    }
}
