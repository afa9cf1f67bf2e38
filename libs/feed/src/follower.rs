//! The loop around one stream: open, take, and open again whatever happens, until the drain.
//!
//! A malformed event is logged, counted and passed over: one bad event must not keep all others from a service.

use crate::{Cursor, Ended};
use gauntlet_core::limits::STREAM_SILENCE_MAX;
use gauntlet_proto::FieldViolation;
use gauntlet_proto::v1::{self, event_feed_service_client::EventFeedServiceClient};
use gauntlet_rpc::{Peer, Reason, limited, reason_of};
use gauntlet_runtime::{Backoff, Lifecycle, error_chain};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// A stream that says nothing for this long is opened again: the scheduler says something in half of it.
pub const SILENCE_MAX: Duration = STREAM_SILENCE_MAX.saturating_mul(2);
const REOPEN_FIRST: Duration = Duration::from_millis(100);
const REOPEN_MAX: Duration = Duration::from_secs(5);
/// How long a cursor stays behind events that need nothing. A crash meanwhile has them looked at again.
const LAG_MAX: Duration = Duration::from_secs(1);

/// What a service does with the feed; its store implements it. Each of these can be repeated.
pub trait Subscriber: Send + Sync + 'static {
    /// What its store fails with.
    type Error: Error + Send + Sync + 'static;

    /// Returns where the service stands: at most one cursor a lane.
    fn list_cursors(&self) -> impl Future<Output = Result<Vec<Cursor>, Self::Error>> + Send;

    /// Forgets every cursor: the feed was restored, and its events come again from the start.
    fn reset_cursors(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Moves a lane's cursor past events that need nothing.
    fn advance(&self, cursor: Cursor) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns whether the end of a run needs anything.
    fn needs(&self, ended: &Ended) -> bool;

    /// Acts on the end of a run that needs it and moves the cursor: both or neither. The event may come again.
    fn act(
        &self,
        ended: &Ended,
        cursor: Cursor,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Why the stream is opened again.
#[derive(Debug, thiserror::Error)]
enum FollowError<E: Error + 'static> {
    #[error("the feed cannot be read")]
    Feed(#[source] Box<Status>),
    #[error("the scheduler ended the stream")]
    Ended,
    #[error("the stream was silent for {0:?}")]
    Silent(Duration),
    #[error("the store failed")]
    Store(#[source] E),
}

/// The follower of one service in this process.
pub struct Follower<S> {
    subscriber: S,
    scheduler: EventFeedServiceClient<Peer>,
    lifecycle: Lifecycle,
    silence_max: Duration,
    skipped_count: u64,
    /// Cursors to move, one a lane, and when the oldest of them must be.
    passed: BTreeMap<i32, Cursor>,
    move_at: Instant,
}

impl<S: Subscriber> Follower<S> {
    /// Returns a follower that opens no stream yet.
    pub fn new(subscriber: S, scheduler: Peer, lifecycle: &Lifecycle) -> Self {
        Self {
            subscriber,
            scheduler: limited!(EventFeedServiceClient::new(scheduler)),
            lifecycle: lifecycle.clone(),
            silence_max: SILENCE_MAX,
            skipped_count: 0,
            passed: BTreeMap::new(),
            move_at: Instant::now(),
        }
    }

    /// Opens the stream again after another silence than [`SILENCE_MAX`].
    #[must_use]
    pub fn silence_max(self, silence_max: Duration) -> Self {
        Self { silence_max, ..self }
    }

    /// Follows until the drain, opening the stream again for ever.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(REOPEN_FIRST, REOPEN_MAX);
        let lifecycle = self.lifecycle.clone();
        loop {
            let ended = tokio::select! {
                () = lifecycle.draining() => return,
                ended = self.follow(&mut backoff) => ended,
            };
            let Err(error) = ended;
            tracing::info!(error = %error_chain(&error), "the stream of the feed is opened again");
            self.start_over_after(&error).await;
            tokio::select! {
                () = lifecycle.draining() => return,
                _ = backoff.sleep() => {}
            }
        }
    }

    async fn follow(&mut self, backoff: &mut Backoff) -> Result<Infallible, FollowError<S::Error>> {
        let silence_max = self.silence_max;
        let cursors = self.subscriber.list_cursors().await.map_err(FollowError::Store)?;
        let opened = self.scheduler.watch_events(request(&cursors));
        let mut messages = unless_silent(silence_max, opened).await?.into_inner();
        // What was passed on the stream before comes again.
        self.passed.clear();
        loop {
            let message = tokio::select! {
                message = unless_silent(silence_max, messages.message()) => message?,
                () = tokio::time::sleep_until(self.move_at), if !self.passed.is_empty() => {
                    self.move_cursors().await?;
                    continue;
                }
            };
            self.take(message.ok_or(FollowError::Ended)?).await?;
            // Not sooner: a store that fails at every event is not to be asked ten times a second.
            backoff.reset();
        }
    }

    async fn take(
        &mut self,
        message: v1::WatchEventsResponse,
    ) -> Result<(), FollowError<S::Error>> {
        let v1::WatchEventsResponse { feed_id, cursor, event } = message;
        let run_id = event.as_ref().map(|event| event.run_id.clone()).unwrap_or_default();
        let cursor = match (cursor, &event) {
            (None, None) => return Ok(()),
            (None, Some(_)) => Err(FieldViolation::new("cursor", "must be set")),
            (Some(at), _) => Cursor::parse(&feed_id, at),
        };
        let cursor = match cursor {
            Ok(cursor) => cursor,
            // Nothing to move; the next good event of its lane moves past it.
            Err(violation) => {
                self.note_skipped(&violation, &run_id);
                return Ok(());
            }
        };
        let missing = || FieldViolation::new("event", "must be set");
        match event.ok_or_else(missing).and_then(Ended::parse) {
            Ok(Some(ended)) if self.subscriber.needs(&ended) => {
                self.subscriber.act(&ended, cursor).await.map_err(FollowError::Store)?;
                // It moved further than what was passed before.
                self.passed.remove(&cursor.lane);
                return Ok(());
            }
            Ok(_) => {}
            Err(violation) => self.note_skipped(&violation, &run_id),
        }
        if self.passed.is_empty() {
            self.move_at = Instant::now() + LAG_MAX;
        }
        self.passed.insert(cursor.lane, cursor);
        Ok(())
    }

    async fn move_cursors(&mut self) -> Result<(), FollowError<S::Error>> {
        while let Some(cursor) = self.passed.first_entry() {
            self.subscriber.advance(*cursor.get()).await.map_err(FollowError::Store)?;
            cursor.remove();
        }
        Ok(())
    }

    fn note_skipped(&mut self, violation: &FieldViolation, run_id: &str) {
        self.skipped_count += 1;
        tracing::error!(
            run.id = run_id,
            field = violation.field,
            description = violation.description,
            skipped_count = self.skipped_count,
            "a malformed event of the feed was skipped"
        );
    }

    async fn start_over_after(&self, error: &FollowError<S::Error>) {
        let reset =
            matches!(error, FollowError::Feed(s) if reason_of(s) == Some(Reason::FeedReset));
        if !reset {
            return;
        }
        tracing::warn!("the feed was restored and is read again from its start");
        // A reset that fails is asked for again when the stream is opened.
        if let Err(error) = self.subscriber.reset_cursors().await {
            tracing::warn!(error = %error_chain(&error), "cursors of a restored feed are still there");
        }
    }
}

/// Two processes of a service may see a restored feed one after the other and leave cursors of both. Only those of one are
/// sent: if it is the old one, the scheduler says so, and all are forgotten.
fn request(cursors: &[Cursor]) -> v1::WatchEventsRequest {
    let feed = cursors.first().map(|cursor| cursor.feed_id);
    let of_feed = cursors.iter().filter(|cursor| Some(cursor.feed_id) == feed);
    v1::WatchEventsRequest {
        feed_id: feed.map(|id| id.to_string()).unwrap_or_default(),
        cursors: of_feed.map(|c| v1::FeedCursor { lane: c.lane, position: c.position }).collect(),
        terminal_only: true,
    }
}

async fn unless_silent<T, E: Error + 'static>(
    silence_max: Duration,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, FollowError<E>> {
    match tokio::time::timeout(silence_max, work).await {
        Ok(result) => result.map_err(|status| FollowError::Feed(Box::new(status))),
        Err(_) => Err(FollowError::Silent(silence_max)),
    }
}
