//! A connection of our own to Chromium's `DevTools`, beside the driver's: many commands in flight, and what no driver passes on.
//!
//! One task owns the socket. A request that is held back is answered with [`BLANK`] by that task, without asking anybody.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    driver::lock,
    error::{DriverError, cut},
};

/// The page that no site has sent.
pub(crate) const BLANK: &str = "<!doctype html><html id=gauntlet-blank>";
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Where Chromium says how it is reached, below its user data.
const PORT_FILE: &str = "profile/DevToolsActivePort";

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A connection to one browser.
#[derive(Debug)]
pub(crate) struct Cdp {
    out: mpsc::UnboundedSender<String>,
    pending: Pending,
    next_id: AtomicU64,
    task: JoinHandle<()>,
}

impl Drop for Cdp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cdp {
    /// Connects to the browser that has its files in `folder`.
    pub(crate) async fn connect(folder: &Path) -> Result<Self, DriverError> {
        const CONNECT: &str = "DevTools";
        let lost = |reason: String| DriverError::Lost { command: CONNECT, reason: cut(&reason) };
        let said = tokio::fs::read_to_string(folder.join(PORT_FILE)).await;
        let said = said.map_err(|error| lost(error.to_string()))?;
        let (port, path) = said.trim().split_once('\n').unwrap_or_default();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) =
            tokio_tungstenite::connect_async(url).await.map_err(|error| lost(error.to_string()))?;
        let (out, mut orders) = mpsc::unbounded_channel::<String>();
        let pending = Pending::default();
        let waiting = Arc::clone(&pending);
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is owned here and aborted on drop"
        )]
        let task = tokio::spawn(async move {
            let (mut write, mut read) = socket.split();
            loop {
                let order = tokio::select! {
                    Some(order) = orders.recv() => Some(order),
                    message = read.next() => match message {
                        Some(Ok(Message::Text(text))) => take(&waiting, &text),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                        Some(Ok(_)) => None,
                    },
                };
                if let Some(order) = order
                    && write.send(Message::text(order)).await.is_err()
                {
                    break;
                }
            }
            // Whoever waits learns at once that nothing will come.
            lock(&waiting).clear();
        });
        Ok(Self { out, pending, next_id: AtomicU64::new(1), task })
    }

    /// Sends a command to the browser, or to the page of a session, and waits for its answer.
    pub(crate) async fn command(
        &self,
        session: Option<&str>,
        method: &'static str,
        params: Value,
    ) -> Result<Value, DriverError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            order["sessionId"] = json!(session);
        }
        let (answer, wait) = oneshot::channel();
        lock(&self.pending).insert(id, answer);
        let gone =
            || DriverError::Crashed { command: method, reason: "its connection closed".to_owned() };
        self.out.send(order.to_string()).map_err(|_| gone())?;
        let mut answer = match tokio::time::timeout(LIMIT, wait).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => {
                lock(&self.pending).remove(&id);
                return Err(DriverError::Hung { command: method, after: LIMIT });
            }
        };
        match answer["error"]["message"].as_str() {
            None => Ok(answer["result"].take()),
            Some(message) => {
                Err(DriverError::Remote { command: method, status: None, message: cut(message) })
            }
        }
    }
}

/// Takes one message in; returns what to send because of it.
fn take(pending: &Pending, text: &str) -> Option<String> {
    let message: Value = serde_json::from_str(text).ok()?;
    if let Some(id) = message["id"].as_u64() {
        let answer = lock(pending).remove(&id)?;
        let _ = answer.send(message);
        return None;
    }
    if message["method"] != "Fetch.requestPaused" {
        return None;
    }
    let body = base64::engine::general_purpose::STANDARD.encode(BLANK);
    let params = json!({
        "requestId": message["params"]["requestId"], "responseCode": 200, "body": body,
        "responseHeaders": [{ "name": "content-type", "value": "text/html" }],
    });
    // Nobody waits for its answer: ids of commands begin with 1.
    let fulfil = json!({
        "id": 0, "method": "Fetch.fulfillRequest", "params": params, "sessionId": message["sessionId"],
    });
    Some(fulfil.to_string())
}
