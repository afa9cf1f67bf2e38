//! `EventFeedService`: the events of all runs in commit order, lane by lane.

use super::Handlers;
use super::error::CallError;
use gauntlet_core::limits::{FEED_LANES, STREAM_SILENCE_MAX};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::v1::{self, event_feed_service_server::EventFeedService};
use gauntlet_rpc::{draining, invalid_fields, status};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Events read at once from each lane.
const PAGE_EVENTS_MAX: usize = 100;
/// How often the feed is read when nobody announced a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Messages buffered for a slow reader.
const BUFFERED_MAX: usize = 256;

#[tonic::async_trait]
impl EventFeedService for Handlers {
    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send + 'static>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let feed_id = self.store.feed_id().await.map_err(|e| status(&CallError::Store(e)))?;
        let positions = positions(&request, feed_id)?;
        let (messages, stream) = mpsc::channel(BUFFERED_MAX);
        let reader = Reader {
            h: self.clone(),
            feed_id: feed_id.to_string(),
            positions,
            terminal_only: request.terminal_only,
            messages,
        };
        self.lifecycle.spawn("watch_events", reader.run());
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

fn positions(request: &v1::WatchEventsRequest, feed_id: Uuid) -> Result<Vec<i64>, Status> {
    let mut positions = vec![0; FEED_LANES as usize];
    if !request.feed_id.is_empty() {
        let theirs = edge::uuid("feed_id", &request.feed_id).map_err(|v| invalid_fields(&[v]))?;
        if theirs != feed_id {
            return Err(status(&CallError::FeedReset(feed_id)));
        }
    }
    let mut violations = Violations::default();
    for cursor in &request.cursors {
        match usize::try_from(cursor.lane).ok().and_then(|lane| positions.get_mut(lane)) {
            Some(position) => *position = cursor.position,
            None => violations.check(false, "cursors.lane", "must be between 0 and 7"),
        }
    }
    violations.finish().map_err(|v| invalid_fields(&v))?;
    Ok(positions)
}

/// What one look at the feed brought.
struct Page {
    sent_count: usize,
    /// Some lane may have more; otherwise only a new change brings more.
    is_full: bool,
}

struct Reader {
    h: Handlers,
    feed_id: String,
    positions: Vec<i64>,
    terminal_only: bool,
    messages: mpsc::Sender<Result<v1::WatchEventsResponse, Status>>,
}

impl Reader {
    async fn run(mut self) {
        // Subscribed before the first read, or a change between the two is lost.
        let mut changes = self.h.wake.feed(self.terminal_only);
        let mut quiet_since: Option<Instant> = None;
        loop {
            let Some(page) = self.send_page().await else { return };
            let silent =
                quiet_since.is_none_or(|t| t.elapsed() >= STREAM_SILENCE_MAX - LOOK_INTERVAL);
            if page.sent_count > 0 {
                quiet_since = Some(Instant::now());
                if page.is_full {
                    continue;
                }
            } else if silent {
                // The first message names the feed even when it is empty.
                quiet_since = Some(Instant::now());
                if self.send(None, None).await.is_none() {
                    return;
                }
            }
            tokio::select! {
                () = self.h.lifecycle.draining() => {
                    let _ = self.messages.send(Err(draining())).await;
                    return;
                }
                () = self.messages.closed() => return,
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Sends what is new; none when the reader has gone or the store failed.
    async fn send_page(&mut self) -> Option<Page> {
        let page =
            self.h.store.list_feed(&self.positions, self.terminal_only, PAGE_EVENTS_MAX).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                let _ = self.messages.send(Err(status(&CallError::Store(error)))).await;
                return None;
            }
        };
        let sent_count = page.len();
        let mut lane_counts = [0; FEED_LANES as usize];
        for entry in page {
            if let Some(position) =
                usize::try_from(entry.lane).ok().and_then(|lane| self.positions.get_mut(lane))
            {
                *position = entry.position;
                lane_counts[entry.lane.unsigned_abs() as usize] += 1;
            }
            let cursor = v1::FeedCursor { lane: entry.lane, position: entry.position };
            self.send(Some(cursor), Some(entry.event)).await?;
        }
        Some(Page { sent_count, is_full: lane_counts.contains(&PAGE_EVENTS_MAX) })
    }

    async fn send(
        &self,
        cursor: Option<v1::FeedCursor>,
        event: Option<v1::RunEvent>,
    ) -> Option<()> {
        let message = v1::WatchEventsResponse { feed_id: self.feed_id.clone(), cursor, event };
        self.messages.send(Ok(message)).await.ok()
    }
}
