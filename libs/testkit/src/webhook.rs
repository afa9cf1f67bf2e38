//! A webhook receiver that records what it gets and replies what the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::wait::wait_until;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedWebhook {
    /// The method, normally POST.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, to the byte, as a signature covers it.
    pub body: Bytes,
}

impl ReceivedWebhook {
    /// Returns a header as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How to treat one request.
#[derive(Debug, Clone)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    delay: Duration,
}

#[derive(Debug, Default)]
struct Script {
    received: Vec<ReceivedWebhook>,
    replies: VecDeque<Reply>,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Script>>);

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An HTTP server on a free port of loopback that ends with this value.
#[derive(Debug)]
pub struct FakeWebhookReceiver {
    addr: SocketAddr,
    shared: Shared,
    /// Aborts the server on drop.
    _server: JoinSet<()>,
}

impl FakeWebhookReceiver {
    /// Starts a receiver that replies 200 to everything.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port for the receiver");
        let addr = listener.local_addr().expect("the address of the receiver");
        let shared = Shared::default();
        let app = Router::new().fallback(receive).with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the webhook receiver ended: {error}");
            }
        });
        Self { addr, shared, _server: server }
    }

    /// Returns the URL to deliver to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Returns the address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Replies `status` to the next request that has no scripted reply yet; then 200 again.
    ///
    /// # Panics
    /// When `status` is not one of HTTP.
    pub fn reply_with(&self, status: u16) {
        self.script(status, HeaderMap::new(), Duration::ZERO);
    }

    /// Like [`Self::reply_with`], with a `Retry-After` of whole seconds.
    pub fn reply_with_retry_after(&self, status: u16, seconds: u32) {
        let mut headers = HeaderMap::new();
        headers.insert(axum::http::header::RETRY_AFTER, seconds.into());
        self.script(status, headers, Duration::ZERO);
    }

    /// Sends the next request that has no scripted reply yet elsewhere, with status 307.
    ///
    /// # Panics
    /// When `url` cannot be a header.
    pub fn redirect_to(&self, url: &str) {
        let mut headers = HeaderMap::new();
        let url = url.parse().expect("a url for a header");
        headers.insert(axum::http::header::LOCATION, url);
        self.script(307, headers, Duration::ZERO);
    }

    /// Like [`Self::reply_with`], but only after `delay`, for the sender's timeout.
    pub fn reply_late(&self, status: u16, delay: Duration) {
        self.script(status, HeaderMap::new(), delay);
    }

    /// Returns everything received so far, in order of arrival.
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.shared.script().received.clone()
    }

    /// Waits until at least `count` requests have arrived and returns them all.
    ///
    /// # Panics
    /// After `within`, with the number that did arrive.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Vec<ReceivedWebhook> {
        let what = format!("{count} webhooks received");
        let enough = async || {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(received.len()) }
        };
        wait_until(within, &what, enough).await
    }

    fn script(&self, status: u16, headers: HeaderMap, delay: Duration) {
        let status = StatusCode::from_u16(status).expect("a status of HTTP");
        self.shared.script().replies.push_back(Reply { status, headers, delay });
    }
}

/// Takes the reply before it waits, so that parallel requests get the replies in order of arrival.
async fn receive(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = {
        let mut script = shared.script();
        script.received.push(ReceivedWebhook { method, uri, headers, body });
        script.replies.pop_front()
    };
    let Some(reply) = reply else { return StatusCode::OK.into_response() };
    tokio::time::sleep(reply.delay).await;
    (reply.status, reply.headers).into_response()
}
