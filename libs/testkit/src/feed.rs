//! A scheduler that has nothing but an event feed, and sends on it what the test says.
//!
//! It keeps the contract of `WatchEvents` (positions, FEED_RESET, a first message at once) unless a test asks it not to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gauntlet_proto::v1::event_feed_service_server::{EventFeedService, EventFeedServiceServer};
use gauntlet_proto::v1::{self, FeedCursor, WatchEventsRequest, WatchEventsResponse};
use gauntlet_rpc::{Reason, Server, ToStatus, limited, status};
use gauntlet_runtime::{Lifecycle, ids};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// All events of a fake feed stand in one lane.
const LANE: i32 = 3;

#[derive(Debug, thiserror::Error)]
#[error("the feed was restored")]
struct FeedReset;

impl ToStatus for FeedReset {
    fn reason(&self) -> Reason {
        Reason::FeedReset
    }
}

type Message = Result<WatchEventsResponse, Status>;

#[derive(Debug)]
struct Feed {
    feed_id: String,
    log: Vec<WatchEventsResponse>,
    last_position: i64,
    requests: Vec<WatchEventsRequest>,
    streams: Vec<UnboundedSender<Message>>,
    repeats: bool,
    silent: bool,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Feed>>);

impl Shared {
    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An `EventFeedService` on a free port of loopback that ends with this value.
#[derive(Debug)]
pub struct FakeEventFeed {
    endpoint: String,
    shared: Shared,
    /// Aborts the server on drop.
    _server: JoinSet<()>,
}

impl FakeEventFeed {
    /// Starts a feed without events.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        let shared = Shared(Arc::new(Mutex::new(Feed {
            feed_id: ids::v4().to_string(),
            log: Vec::new(),
            last_position: 0,
            requests: Vec::new(),
            streams: Vec::new(),
            repeats: false,
            silent: false,
        })));
        let mut routes = Routes::builder();
        routes.add_service(limited!(EventFeedServiceServer::new(shared.clone())));
        let bound = Server::new(routes.routes()).bind(([127, 0, 0, 1], 0).into());
        let bound = bound.expect("a port for the feed");
        let endpoint = bound.endpoint();
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = bound.serve(Lifecycle::new()).await {
                eprintln!("the fake feed ended: {error}");
            }
        });
        Self { endpoint, shared, _server: server }
    }

    /// Returns where it serves.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Appends an event, well-formed or not, and sends it to every open stream; returns its position.
    pub fn publish(&self, event: v1::RunEvent) -> i64 {
        let mut feed = self.shared.feed();
        feed.last_position += 1;
        let cursor = FeedCursor { lane: LANE, position: feed.last_position };
        let feed_id = feed.feed_id.clone();
        feed.send(WatchEventsResponse { feed_id, cursor: Some(cursor), event: Some(event) });
        cursor.position
    }

    /// Sends a message to every open stream just as it is; later streams do not get it.
    pub fn publish_raw(&self, message: WatchEventsResponse) {
        self.shared.feed().streams.retain(|stream| stream.send(Ok(message.clone())).is_ok());
    }

    /// Ends every open stream.
    pub fn end_streams(&self) {
        self.shared.feed().streams.clear();
    }

    /// Ends every open stream, and sends all events again on later ones, as at-least-once allows.
    pub fn repeat_everything(&self) {
        let mut feed = self.shared.feed();
        feed.repeats = true;
        feed.streams.clear();
    }

    /// Becomes another feed with the same events, as after a backup was restored, and ends every open stream.
    pub fn restore(&self) {
        let mut feed = self.shared.feed();
        let feed_id = ids::v4().to_string();
        feed.log.iter_mut().for_each(|message| message.feed_id.clone_from(&feed_id));
        feed.feed_id = feed_id;
        feed.streams.clear();
    }

    /// Opens later streams and says nothing on them, as behind a network that swallows packets.
    pub fn fall_silent(&self) {
        self.shared.feed().silent = true;
    }

    /// Returns the current feed's id.
    pub fn feed_id(&self) -> String {
        self.shared.feed().feed_id.clone()
    }

    /// Returns every request so far, also the refused ones.
    pub fn requests(&self) -> Vec<WatchEventsRequest> {
        self.shared.feed().requests.clone()
    }
}

impl Feed {
    fn send(&mut self, message: WatchEventsResponse) {
        self.streams.retain(|stream| stream.send(Ok(message.clone())).is_ok());
        self.log.push(message);
    }
}

#[tonic::async_trait]
impl EventFeedService for Shared {
    type WatchEventsStream = UnboundedReceiverStream<Message>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let mut feed = self.feed();
        feed.requests.push(request.clone());
        if !request.feed_id.is_empty() && request.feed_id != feed.feed_id {
            return Err(status(&FeedReset));
        }
        let (stream, messages) = unbounded_channel();
        if !feed.silent {
            let seen = request.cursors.iter().find(|cursor| cursor.lane == LANE);
            let seen = seen.map_or(0, |cursor| cursor.position);
            let missed = feed.log.iter().filter(|message| {
                feed.repeats || message.cursor.is_some_and(|cursor| cursor.position > seen)
            });
            let first = WatchEventsResponse { feed_id: feed.feed_id.clone(), ..Default::default() };
            for message in std::iter::once(&first).chain(missed) {
                // The receiver is still here.
                let _ = stream.send(Ok(message.clone()));
            }
        }
        feed.streams.push(stream);
        Ok(Response::new(UnboundedReceiverStream::new(messages)))
    }
}
