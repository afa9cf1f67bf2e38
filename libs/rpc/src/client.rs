//! The channel to another service.
//!
//! Owns what every outgoing call carries (trace parent, request id, deadline) and the one blind retry that is allowed. It
//! balances nothing and caches nothing. A crash of the peer is UNAVAILABLE here; the channel connects again by itself.

use crate::CONNECTION_WINDOW_BYTES;
use crate::{
    UNARY_DEADLINE,
    context::{self, REQUEST_ID_KEY},
    is_unavailable, methods, retry_after, status, timeout,
};
use futures_util::future::BoxFuture;
use gauntlet_runtime::Backoff;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::propagation::Injector;
use std::{
    error::Error,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tonic::{
    Status, TimeoutExpired,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an endpoint was refused.
#[derive(Debug, thiserror::Error)]
#[error("endpoint {endpoint:?} is not a url like http://host:port")]
pub struct EndpointError {
    /// The endpoint as given.
    pub endpoint: String,
    /// What is wrong with it.
    pub source: tonic::transport::Error,
}

/// A channel to one service, for every generated client: `SchedulerServiceClient::new(peer)`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    channel: Channel,
}

impl Peer {
    /// Returns a channel that connects at the first call, and again whenever the connection is lost. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `endpoint` is not a URL.
    pub fn connect_lazy(endpoint: &str) -> Result<Self, EndpointError> {
        let refused = |source| EndpointError { endpoint: endpoint.to_owned(), source };
        let endpoint = Endpoint::from_shared(endpoint.to_owned())
            .map_err(refused)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(KEEPALIVE_INTERVAL))
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        Ok(Self { channel: endpoint.connect_lazy() })
    }
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let unary = methods::is_unary(request.uri().path());
        dress(request.headers_mut(), unary);
        let answer = self.channel.call(request);
        Box::pin(async move {
            answer.await.map_err(|error| {
                // tonic calls a deadline that passed on our side CANCELLED; nobody cancelled anything.
                if is_timeout(&error) {
                    status::deadline_exceeded()
                } else {
                    Status::from_error(error.into())
                }
            })
        })
    }
}

/// Adds what the call being served passes on: trace parent, request id, and no more time than is left.
fn dress(headers: &mut HeaderMap, unary: bool) {
    let given = timeout::read(headers).or(unary.then_some(UNARY_DEADLINE));
    let left = if unary { context::time_left() } else { None };
    if let Some(shortest) = [given, left].into_iter().flatten().min() {
        timeout::write(headers, shortest);
    }
    if let Some(Ok(id)) = context::request_id().map(HeaderValue::try_from) {
        headers.entry(REQUEST_ID_KEY).or_insert(id);
    }
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|p| {
        p.inject_context(&context, &mut Headers(headers))
    });
}

fn is_timeout(error: &tonic::transport::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        next = error.source();
    }
    false
}

struct Headers<'h>(&'h mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Returns a request that may take at most `deadline`; unary calls without one get [`UNARY_DEADLINE`].
pub fn with_deadline<T>(message: T, deadline: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Makes a call again while it fails as UNAVAILABLE, with back-off, never sooner than the server asks, until the attempts
/// are used up or the next wait would pass `deadline`.
///
/// Only for calls that can be repeated; in this contract all can.
///
/// # Errors
/// The last failure.
///
/// # Cancel safety
/// Dropping the future ends the retries; the call in flight may have been carried out.
pub async fn retry_unavailable<T, F, Fut>(
    mut backoff: Backoff,
    deadline: Duration,
    mut call: F,
) -> Result<T, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Status>>,
{
    let end = Instant::now() + deadline;
    loop {
        let status = match call().await {
            Err(status) if is_unavailable(&status) => status,
            result => return result,
        };
        let Some(delay) = backoff.next_delay() else { return Err(status) };
        let next = Instant::now() + delay.max(retry_after(&status).unwrap_or_default());
        if next >= end {
            return Err(status);
        }
        tracing::debug!(code = ?status.code(), message = status.message(), "peer is unavailable, retrying");
        tokio::time::sleep_until(next).await;
    }
}
