//! `WebDriver` `BiDi`: user contexts, tabs, navigation and screenshots; and what pages do on their own.
//!
//! One task owns the socket. It keeps [`Events`] up to date and answers dialogs by policy the moment they open, also
//! while a classic command is in flight.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http};

use crate::{
    LaunchError, cdp,
    driver::lock,
    error::{DriverError, cut},
};

pub(crate) use events::{Answer, Events};

mod events;

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>>;

/// A `BiDi` connection to one session.
#[derive(Debug)]
pub(crate) struct Bidi {
    out: mpsc::UnboundedSender<String>,
    pending: Pending,
    events: Arc<Mutex<Events>>,
    changed: watch::Receiver<u64>,
    next_id: Arc<AtomicU64>,
    /// Whether console and network are subscribed to.
    pub(crate) tells_logs: AtomicBool,
    task: JoinHandle<()>,
}

impl Drop for Bidi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bidi {
    /// Connects and subscribes.
    pub(crate) async fn connect(
        url: &str,
        authorization: Option<&str>,
    ) -> Result<Self, LaunchError> {
        let refused = |detail: String| LaunchError::Session { detail: cut(&detail) };
        let mut request = url.into_client_request().map_err(|error| refused(error.to_string()))?;
        if let Some(value) = authorization.and_then(|value| value.parse().ok()) {
            request.headers_mut().insert(http::header::AUTHORIZATION, value);
        }
        let socket = cdp::open(request).await.map_err(|error| refused(error.to_string()))?;
        let (out, orders) = mpsc::unbounded_channel();
        let (wake, changed) = watch::channel(0);
        let link = Link {
            pending: Pending::default(),
            events: Arc::default(),
            next_id: Arc::new(AtomicU64::new(1)),
            wake,
        };
        let (pending, events, next_id) =
            (link.pending.clone(), link.events.clone(), link.next_id.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is owned here and aborted on drop"
        )]
        let task = tokio::spawn(link.run(socket, orders));
        let tells_logs = AtomicBool::new(false);
        let bidi = Self { out, pending, events, changed, next_id, tells_logs, task };
        bidi.command(
            "session.subscribe",
            json!({ "events": ["browsingContext"] }),
            Duration::from_secs(10),
        )
        .await
        .map_err(|error| refused(error.to_string()))?;
        Ok(bidi)
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn command(
        &self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, wait) = oneshot::channel();
        lock(&self.pending).insert(id, answer);
        let gone =
            || DriverError::Crashed { command: method, reason: "its connection closed".to_owned() };
        self.out
            .send(json!({ "id": id, "method": method, "params": params }).to_string())
            .map_err(|_| gone())?;
        match tokio::time::timeout(limit, wait).await {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(answer))) => Err(DriverError::from_bidi(method, &answer)),
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                lock(&self.pending).remove(&id);
                Err(DriverError::Hung { command: method, after: limit })
            }
        }
    }

    /// Looks at what has happened so far.
    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        lock(&self.events)
    }

    /// Waits until `look` returns something or the deadline passes; `None` also when the connection closes.
    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Events) -> Option<T>,
    ) -> Option<T> {
        wait_for(&self.changed, deadline, || look(&self.events())).await
    }
}

/// Waits until `look` returns something or the deadline passes; `None` also when nobody tells of changes any more.
pub(crate) async fn wait_for<T>(
    changed: &watch::Receiver<u64>,
    deadline: Instant,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let mut changed = changed.clone();
    loop {
        changed.mark_unchanged();
        if let Some(found) = look() {
            return Some(found);
        }
        tokio::time::timeout_at(deadline, changed.changed()).await.ok()?.ok()?;
    }
}

/// What the socket's task needs.
struct Link {
    pending: Pending,
    events: Arc<Mutex<Events>>,
    next_id: Arc<AtomicU64>,
    wake: watch::Sender<u64>,
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

impl Link {
    async fn run(self, socket: Socket, mut orders: mpsc::UnboundedReceiver<String>) {
        let (mut write, mut read) = socket.split();
        loop {
            let reply = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => Some(order),
                    None => break,
                },
                message = read.next() => match message {
                    Some(Ok(Message::Text(text))) => self.take(&text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => None,
                },
            };
            if let Some(reply) = reply
                && write.send(Message::text(reply)).await.is_err()
            {
                break;
            }
        }
        // Whoever waits learns at once that nothing will come.
        lock(&self.pending).clear();
    }

    /// Takes one message in; returns what to send because of it.
    fn take(&self, text: &str) -> Option<String> {
        let message: Value = serde_json::from_str(text).ok()?;
        if let Some(id) = message["id"].as_u64() {
            let answer = lock(&self.pending).remove(&id)?;
            let result = if message["type"] == "success" {
                Ok(message["result"].clone())
            } else {
                Err(message)
            };
            let _ = answer.send(result);
            return None;
        }
        let method = message["method"].as_str()?;
        let params = lock(&self.events).take(method, &message["params"]);
        self.wake.send_modify(|count| *count += 1);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        params.map(|params| {
            json!({ "id": id, "method": "browsingContext.handleUserPrompt", "params": params })
                .to_string()
        })
    }
}
