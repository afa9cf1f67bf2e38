//! The webhook receiver: writes down every call, and keeps callers waiting while its gate is closed. Beside it a page for
//! browsers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Html;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) webhook_id: String,
    pub(crate) run_id: Uuid,
    pub(crate) generation: i32,
    pub(crate) state: String,
}

#[derive(Clone, Default)]
struct Shared {
    calls: Arc<Mutex<Vec<Call>>>,
    closed: Arc<watch::Sender<bool>>,
}

/// A receiver that ends with this value.
pub(crate) struct Receiver {
    addr: SocketAddr,
    shared: Shared,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the receiver")?;
        let addr = listener.local_addr()?;
        let shared = Shared::default();
        let page = "<!doctype html><title>Chaos</title><link rel=icon href='data:,'><p>Page</p>";
        let page = get(move || std::future::ready(Html(page)));
        let app = Router::new().route("/page", page).fallback(receive).with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            // Ends with this value; the checker misses the calls if it ends earlier.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { addr, shared, _server: server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Returns the URL of the page.
    pub(crate) fn site(&self) -> String {
        format!("http://{}/page", self.addr)
    }

    /// Keeps callers waiting, or lets them go.
    pub(crate) fn close(&self, closed: bool) {
        self.shared.closed.send_replace(closed);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: String) -> StatusCode {
    let Some(call) = call(&headers, &body) else { return StatusCode::BAD_REQUEST };
    shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    // Fails only when the receiver is gone.
    let _ = shared.closed.subscribe().wait_for(|closed| !closed).await;
    StatusCode::OK
}

fn call(headers: &HeaderMap, body: &str) -> Option<Call> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some(Call {
        webhook_id: headers.get("webhook-id")?.to_str().ok()?.to_owned(),
        run_id: body["run_id"].as_str()?.parse().ok()?,
        generation: i32::try_from(body["generation"].as_i64()?).ok()?,
        state: body["state"].as_str()?.to_owned(),
    })
}
