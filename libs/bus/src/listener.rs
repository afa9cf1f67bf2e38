//! The one subscription of a process.
//!
//! Owns connecting, connecting again, noticing a dead connection, and sorting out echoes and malformed payloads. After
//! every subscription the handlers are told to read the truth, because hints sent meanwhile are gone.

use crate::{AbortHint, Signal, bus::Inner, stats::count};
use futures_util::StreamExt as _;
use gauntlet_runtime::Backoff;
use redis::{Client, RedisError, RedisResult};
use std::{convert::Infallible, io, time::Duration};
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A quiet connection is asked this often whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Listens for as long as it is polled.
pub(crate) async fn listen(inner: &Inner) {
    let Some(client) = &inner.config.client else { return };
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    loop {
        let Err(error) = subscribe(inner, client, &mut backoff).await;
        count(&inner.counters.connection_failed);
        if backoff.attempts() == 0 {
            tracing::warn!(%error, "redis subscription was lost, trying again");
        } else {
            tracing::debug!(%error, "redis subscription failed, trying again");
        }
        backoff.sleep().await;
    }
}

/// Subscribes and dispatches until the connection fails.
async fn subscribe(
    inner: &Inner,
    client: &Client,
    backoff: &mut Backoff,
) -> RedisResult<Infallible> {
    let connect = async {
        let mut pubsub = client.get_async_pubsub().await?;
        pubsub.subscribe(inner.config.abort_channel()).await?;
        Ok::<_, RedisError>(pubsub)
    };
    let (mut sink, mut messages) =
        timeout(CONNECT_TIMEOUT, connect).await.map_err(too_late)??.split();
    backoff.reset();
    count(&inner.counters.subscriptions);
    tracing::info!(channel = inner.config.abort_channel(), "listening for abort hints");
    let _ = inner.signals.send(Signal::Resubscribed);
    loop {
        match timeout(PING_INTERVAL, messages.next()).await {
            Ok(Some(message)) => dispatch(inner, message.get_payload_bytes()),
            Ok(None) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Err(_quiet) => timeout(PING_TIMEOUT, sink.ping::<redis::Value>())
                .await
                .map_err(too_late)?
                .map(drop)?,
        }
    }
}

fn too_late(_: tokio::time::error::Elapsed) -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

fn dispatch(inner: &Inner, payload: &[u8]) {
    match AbortHint::decode(payload) {
        None => {
            count(&inner.counters.malformed);
            tracing::warn!(bytes = payload.len(), "malformed abort hint was ignored");
        }
        Some(hint) if hint.origin == inner.origin => count(&inner.counters.echoes),
        Some(hint) => {
            count(&inner.counters.received);
            // Without a handler left there is nobody to tell, which is fine.
            let _ = inner.signals.send(Signal::Abort(hint));
        }
    }
}
