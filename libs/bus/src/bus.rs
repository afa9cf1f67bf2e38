//! Publishing hints and handing them to the handlers of this process.
//!
//! Owns the fan-out. Each handler has its own task and its own place in a bounded queue: a slow or failing one holds up
//! nobody. A crash loses the hints that were queued, which is what hints are for.

use crate::{
    AbortHint, BusStats, RedisConfig, Signal, listener,
    stats::{Counters, count},
};
use futures_util::FutureExt as _;
use gauntlet_runtime::{Lifecycle, TaskOutcome, error_chain, ids};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::broadcast::{self, error::RecvError};
use uuid::Uuid;

/// Longest time that publishing may hold up its caller.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_millis(200);

/// Signals that wait for a slow handler before it starts to miss some.
const QUEUE_MAX: usize = 1_024;

/// The hints of one process. Cheap to clone; make one per process and share it.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: RedisConfig,
    pub(crate) origin: Uuid,
    pub(crate) counters: Counters,
    pub(crate) signals: broadcast::Sender<Signal>,
    publisher: Option<ConnectionManager>,
    lifecycle: Lifecycle,
    listening: AtomicBool,
}

impl Bus {
    /// Returns the bus of a process; connects lazily. Needs a tokio runtime. `lifecycle` is that of the whole process.
    #[must_use]
    pub fn new(config: &RedisConfig, lifecycle: &Lifecycle) -> Self {
        let publisher = config.client.clone().and_then(|client| {
            let quick = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_min_delay(Duration::from_millis(10))
                .set_connection_timeout(Some(PUBLISH_TIMEOUT))
                .set_response_timeout(Some(PUBLISH_TIMEOUT));
            ConnectionManager::new_lazy_with_config(client, quick)
                .inspect_err(|error| tracing::error!(%error, "redis publisher could not be made"))
                .ok()
        });
        Self(Arc::new(Inner {
            config: config.clone(),
            origin: ids::v4(),
            counters: Counters::default(),
            signals: broadcast::channel(QUEUE_MAX).0,
            publisher,
            lifecycle: lifecycle.clone(),
            listening: AtomicBool::new(false),
        }))
    }

    /// Returns a hint from this process.
    #[must_use]
    pub fn hint(&self, run_id: Uuid, revision: i64) -> AbortHint {
        AbortHint { run_id, revision, origin: self.0.origin }
    }

    /// Hands a hint to the handlers of this process at once and then, best effort, to Redis.
    ///
    /// Takes at most [`PUBLISH_TIMEOUT`] and never fails: what Redis did not take is counted and logged.
    ///
    /// # Cancel safety
    /// Dropping the future may lose the hint for other processes.
    pub async fn publish(&self, hint: AbortHint) {
        // Without a handler there is nobody to tell, which is fine.
        let _ = self.0.signals.send(Signal::Abort(hint));
        let (Some(publisher), Some(payload)) = (self.0.publisher.clone(), hint.encode()) else {
            return;
        };
        match tokio::time::timeout(PUBLISH_TIMEOUT, self.send(publisher, payload)).await {
            Ok(Ok(())) => count(&self.0.counters.published),
            Ok(Err(error)) => self.publish_failed(hint, &error.to_string()),
            Err(_) => self.publish_failed(hint, "took too long"),
        }
    }

    async fn send(&self, mut to: ConnectionManager, payload: String) -> redis::RedisResult<()> {
        redis::cmd("PUBLISH")
            .arg(self.0.config.abort_channel())
            .arg(payload)
            .exec_async(&mut to)
            .await
    }

    fn publish_failed(&self, hint: AbortHint, error: &str) {
        count(&self.0.counters.publish_failed);
        tracing::warn!(run.id = %hint.run_id, error, "abort hint was not published, the next renewal will tell");
    }

    /// Calls `handler` for every signal, one at a time and in order, until `lifecycle` drains.
    ///
    /// The first call starts the only listener of the process, which connects again with back-off for as long as the
    /// process lives. A handler that fails or panics is counted and logged, and hears the next signal.
    pub fn subscribe<F, Fut>(&self, lifecycle: &Lifecycle, handler: F)
    where
        F: Fn(Signal) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: TaskOutcome> + Send + 'static,
    {
        let (inner, signals, watched) =
            (self.0.clone(), self.0.signals.subscribe(), lifecycle.clone());
        lifecycle.spawn("bus-handler", async move {
            tokio::select! {
                () = watched.draining() => {}
                () = handle(&inner.counters, signals, handler) => {}
            }
        });
        if self.0.config.client.is_some() && !self.0.listening.swap(true, Ordering::SeqCst) {
            let (inner, watched) = (self.0.clone(), self.0.lifecycle.clone());
            self.0.lifecycle.spawn("bus-listener", async move {
                tokio::select! {
                    () = watched.draining() => {}
                    () = listener::listen(&inner) => {}
                }
            });
        }
    }

    /// Returns what was counted since the start.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        self.0.counters.snapshot()
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("config", &self.0.config)
            .field("origin", &self.0.origin)
            .finish_non_exhaustive()
    }
}

async fn handle<F, Fut>(counters: &Counters, mut signals: broadcast::Receiver<Signal>, handler: F)
where
    F: Fn(Signal) -> Fut,
    Fut: Future<Output: TaskOutcome>,
{
    loop {
        let signal = match signals.recv().await {
            Ok(signal) => signal,
            Err(RecvError::Lagged(missed)) => {
                counters.lagged.fetch_add(missed, Ordering::Relaxed);
                Signal::Resubscribed
            }
            Err(RecvError::Closed) => return,
        };
        let failure = match AssertUnwindSafe(async { handler(signal).await }).catch_unwind().await {
            Ok(outcome) => outcome.into_result().err().map(|error| error_chain(error.as_ref())),
            Err(_panic) => Some("panicked".to_owned()),
        };
        if let Some(error) = failure {
            count(&counters.handler_failed);
            tracing::error!(?signal, error, "bus handler failed");
        }
    }
}
