//! A connection of our own to Chromium's `DevTools`, beside the driver's: many commands in flight, for any page of the browser.
//!
//! One task owns the socket. What the browser tells on its own is given to a listener in that task, one event after the
//! other; what the listener orders because of it is sent before anything else. A command fails at once when its page closes
//! or crashes, and when the socket does.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

use crate::{
    driver::lock,
    error::{DriverError, cut},
};

/// Where Chromium says how it is reached, below its user data.
const PORT_FILE: &str = "profile/DevToolsActivePort";
/// What becomes of the commands to a page that crashes; Chromium says it in these words, too.
const CRASHED: &str = "Target crashed";

/// Something that the browser tells on its own.
#[derive(Debug)]
pub(crate) struct Event<'m> {
    pub(crate) method: &'m str,
    /// The session it is about; empty for the browser itself.
    pub(crate) session: &'m str,
    pub(crate) params: &'m Value,
}

/// A command whose answer nobody waits for, but perhaps the next command.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) session: String,
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    /// What is sent when it was answered.
    pub(crate) then: Option<Box<Self>>,
}

impl Order {
    pub(crate) fn new(session: &str, method: &'static str, params: Value) -> Self {
        Self { session: session.to_owned(), method, params, then: None }
    }
}

/// The commands on their way, by their ids: the session of each, and who waits.
type Pending = Arc<Mutex<HashMap<u64, (String, oneshot::Sender<Value>)>>>;

/// A connection to one browser.
#[derive(Debug)]
pub(crate) struct Cdp {
    out: mpsc::UnboundedSender<String>,
    pending: Pending,
    next_id: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Cdp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cdp {
    /// Connects to the browser that has its files in `folder`.
    pub(crate) async fn connect(
        folder: &Path,
        listener: impl FnMut(&Event<'_>) -> Vec<Order> + Send + 'static,
    ) -> Result<Self, DriverError> {
        const CONNECT: &str = "DevTools";
        let lost = |reason: String| DriverError::Lost { command: CONNECT, reason: cut(&reason) };
        let said = tokio::fs::read_to_string(folder.join(PORT_FILE)).await;
        let said = said.map_err(|error| lost(error.to_string()))?;
        let (port, path) = said.trim().split_once('\n').unwrap_or_default();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let socket = open(url).await.map_err(|error| lost(error.to_string()))?;
        let (out, orders) = mpsc::unbounded_channel();
        let pending = Pending::default();
        let next_id = Arc::new(AtomicU64::new(1));
        let link = Link {
            pending: Arc::clone(&pending),
            next_id: Arc::clone(&next_id),
            after: HashMap::new(),
            listener,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is owned here and aborted on drop"
        )]
        let task = tokio::spawn(link.run(socket, orders));
        Ok(Self { out, pending, next_id, task })
    }

    /// Sends a command to the browser, or to the page of a session, and waits for its answer.
    pub(crate) async fn command(
        &self,
        session: &str,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, wait) = oneshot::channel();
        lock(&self.pending).insert(id, (session.to_owned(), answer));
        let gone =
            || DriverError::Crashed { command: method, reason: "its connection closed".to_owned() };
        self.out.send(message(id, session, method, &params)).map_err(|_| gone())?;
        let mut answer = match tokio::time::timeout(limit, wait).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => {
                lock(&self.pending).remove(&id);
                return Err(DriverError::Hung { command: method, after: limit });
            }
        };
        match answer["error"]["message"].as_str() {
            None => Ok(answer["result"].take()),
            Some(CRASHED) => {
                Err(DriverError::Crashed { command: method, reason: CRASHED.to_owned() })
            }
            Some(message) => {
                Err(DriverError::Remote { command: method, status: None, message: cut(message) })
            }
        }
    }
}

fn message(id: u64, session: &str, method: &str, params: &Value) -> String {
    let mut message = json!({ "id": id, "method": method, "params": params });
    if !session.is_empty() {
        message["sessionId"] = json!(session);
    }
    message.to_string()
}

/// Opens a socket whose messages go out at once: a small one would wait until the answer to the one before it has come.
pub(crate) async fn open(request: impl IntoClientRequest + Unpin) -> Result<Socket, Error> {
    const AT_ONCE: bool = true;
    let (socket, _) = tokio_tungstenite::connect_async_with_config(request, None, AT_ONCE).await?;
    Ok(socket)
}

/// What the socket's task needs.
struct Link<L> {
    pending: Pending,
    next_id: Arc<AtomicU64>,
    /// What waits for the answer to the order of an id.
    after: HashMap<u64, Order>,
    listener: L,
}

pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

impl<L: FnMut(&Event<'_>) -> Vec<Order>> Link<L> {
    async fn run(mut self, socket: Socket, mut commands: mpsc::UnboundedReceiver<String>) {
        let (mut write, mut read) = socket.split();
        loop {
            let messages = tokio::select! {
                Some(command) = commands.recv() => vec![command],
                message = read.next() => match message {
                    Some(Ok(Message::Text(text))) => self.take(&text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => Vec::new(),
                },
            };
            let mut sent = Ok(());
            for message in messages {
                sent = sent.and(write.feed(Message::text(message)).await);
            }
            if sent.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        // Whoever waits learns at once that nothing will come.
        lock(&self.pending).clear();
    }

    /// Takes one message in; returns what to send because of it.
    fn take(&mut self, text: &str) -> Vec<String> {
        let Ok(told) = serde_json::from_str::<Value>(text) else { return Vec::new() };
        if let Some(id) = told["id"].as_u64() {
            if let Some((_, answer)) = lock(&self.pending).remove(&id) {
                let _ = answer.send(told);
            }
            return self.after.remove(&id).map(|order| self.give(order)).into_iter().collect();
        }
        let event = Event {
            method: told["method"].as_str().unwrap_or_default(),
            session: told["sessionId"].as_str().unwrap_or_default(),
            params: &told["params"],
        };
        match event.method {
            "Target.detachedFromTarget" => {
                self.refuse(event.params["sessionId"].as_str(), "the page was closed");
            }
            "Inspector.targetCrashed" => self.refuse(Some(event.session), CRASHED),
            _ => {}
        }
        let orders = (self.listener)(&event);
        orders.into_iter().map(|order| self.give(order)).collect()
    }

    fn give(&mut self, order: Order) -> String {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        if let Some(then) = order.then {
            self.after.insert(id, *then);
        }
        message(id, &order.session, order.method, &order.params)
    }

    /// Answers the commands to a page that will not.
    fn refuse(&mut self, session: Option<&str>, why: &str) {
        let Some(session) = session else { return };
        let mut pending = lock(&self.pending);
        self.after.retain(|_, order| order.session != session);
        for (_, (_, answer)) in pending.extract_if(|_, (its, _)| its == session) {
            let _ = answer.send(json!({ "error": { "message": why } }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio_tungstenite::MaybeTlsStream;

    #[tokio::test]
    async fn messages_go_out_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let accept = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio_tungstenite::accept_async(stream).await.expect("a socket")
        };
        let (_server, opened) = tokio::join!(accept, open(url));
        let socket = opened.expect("open");
        let MaybeTlsStream::Plain(stream) = socket.get_ref() else { panic!("no TLS") };
        assert!(stream.nodelay().expect("an option"));
    }
}
